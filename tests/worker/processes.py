"""Runs the command line in processes of its own, forked from one that has PyTorch imported: that takes seconds."""

import json
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_CONTEXT = multiprocessing.get_context("forkserver")
_WORK = [f"qgis_sslkd.worker.work.{job}" for job in ("train", "road_maps", "vectorise", "evaluate", "export")]
_CONTEXT.set_forkserver_preload(["__main__", "qgis_sslkd.worker.cli", *_WORK])


@dataclass(frozen=True)
class Ended:
    """A process that came to its end."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self):
        """What it said, where it speaks the protocol; anything else on its standard output is an error here."""
        return [json.loads(line) for line in self.stdout.splitlines()]


class Command:
    """A run of `sslkd` with files in a folder as its standard streams, a pipe as its input, further variables."""

    def __init__(self, folder: Path, *arguments: object, **variables: object):
        self._input, self._stdout, self._stderr = folder / "in", folder / "out", folder / "err"
        os.mkfifo(self._input)
        # For reading, too, or opening it would wait for the other side.
        self._pipe = os.open(self._input, os.O_RDWR)
        files = [str(self._input), str(self._stdout), str(self._stderr)]
        self._process = _CONTEXT.Process(target=_run, args=(files, list(map(str, arguments)), variables))
        self._process.start()

    def write(self, text):
        os.write(self._pipe, text.encode())

    def signal(self, number):
        os.kill(self._process.pid, number)

    def end_input(self):
        os.close(self._pipe)
        self._pipe = None

    def wait_for(self, text, seconds=60):
        """Until it has said a text, wherever."""
        streams = (self._stdout, self._stderr)
        self._until(lambda: any(s.exists() and text in s.read_text() for s in streams), seconds, f"no '{text}'")

    def wait(self, seconds=60):
        """Until it has ended."""
        self._until(lambda: not self._process.is_alive(), seconds, "no end")
        return Ended(self._process.exitcode, self._stdout.read_text(), self._stderr.read_text())

    def kill(self):
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        if self._pipe is not None:
            self.end_input()

    def _until(self, condition, seconds, complaint):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or (not self._process.is_alive() and not condition()):
                said = self._stderr.read_text() if self._stderr.exists() else ""
                raise AssertionError(f"{complaint} within {seconds} s: {said}")
            time.sleep(0.02)


def _run(files, arguments, variables):
    """In the new process: puts files in the place of the standard streams and calls what `sslkd` calls."""
    for number, (file, mode) in enumerate(zip(files, ("r", "w", "w"), strict=True)):
        with open(file, mode) as stream:  # noqa: PTH123 (one line for three files)
            os.dup2(stream.fileno(), number)
    sys.stdin = open(0)  # noqa: SIM115 (until the process ends)
    sys.argv = ["sslkd", *arguments]
    os.environ.update({name: str(value) for name, value in variables.items()})
    from qgis_sslkd.worker.__main__ import main

    main()
