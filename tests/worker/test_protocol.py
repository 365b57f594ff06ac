"""Events on the real standard output, whatever libraries print; the line `cancel`; the end of the input."""

import io
import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from qgis_sslkd.core.errors import CancelledError
from qgis_sslkd.worker import protocol
from qgis_sslkd.worker.protocol import JsonReporter

PREAMBLE = """
import ctypes, logging, os, subprocess, sys, threading, time, warnings
from qgis_sslkd.worker.protocol import JsonReporter, claim_stdout, listen_for_cancel
"""


def start(code, folder):
    # In another folder, where the project is found as it is installed.
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + code],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


NOISE = """
print("before")
reporter = JsonReporter(claim_stdout(), listen_for_cancel())
print("from Python")
sys.stdout.write("without a line's end")
os.write(1, b"from a file descriptor\\n")
ctypes.CDLL(None).puts(b"from C")
ctypes.CDLL(None).fflush(None)
subprocess.run(["echo", "from another program"])
reporter.info("Straße\\nnach Zürich")
print("in between")
warnings.warn("from a warning")
logging.warning("from a log")
reporter.send("result", outputs={"iou": 0.5})
print("afterwards")
"""


def test_whatever_is_printed_the_standard_output_is_json(tmp_path):
    worker = start(NOISE, tmp_path)
    stdout, stderr = worker.communicate(timeout=30)
    lines = stdout.splitlines()
    # What was printed before the claim is the one thing that cannot be called back.
    assert lines[0] == "before"
    assert [json.loads(line) for line in lines[1:]] == [
        {"event": "message", "level": "info", "text": "Straße\nnach Zürich"},
        {"event": "result", "outputs": {"iou": 0.5}},
    ]
    assert worker.returncode == 0
    for noise in ("Python", "a file descriptor", "C", "another program", "a warning", "a log"):
        assert f"from {noise}" in stderr
    assert "afterwards" in stderr


def test_an_event_is_out_before_the_next_thing_happens(tmp_path):
    worker = start("JsonReporter(claim_stdout(), threading.Event()).info('now')\ntime.sleep(60)", tmp_path)
    try:
        assert json.loads(worker.stdout.readline())["text"] == "now"
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.communicate()


WAITING = """
stop = listen_for_cancel()
print("ready", flush=True)
print("asked" if stop.wait(30) else "never", flush=True)
"""


def test_the_line_cancel_asks_to_stop(tmp_path):
    worker = start(WAITING, tmp_path)
    worker.stdout.readline()
    for line in ("\n", "something else\n", "canceled\n", "Cancel\n"):
        worker.stdin.write(line)
    worker.stdin.flush()
    time.sleep(0.3)
    assert worker.poll() is None
    began = time.monotonic()
    worker.stdin.write("cancel\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "asked\n"
    assert time.monotonic() - began < 2
    # The end of the program, while the thread still listens, is an ordinary one.
    assert worker.wait(10) == 0
    assert worker.communicate()[1] == ""


def test_the_end_of_the_input_asks_to_stop_too(tmp_path):
    worker = start(WAITING, tmp_path)
    assert worker.communicate(timeout=20)[0] == "ready\nasked\n"
    assert worker.returncode == 0


WRITING = """
from itertools import count
from pathlib import Path
from qgis_sslkd.core.files import all_written_whole, folder_beside, folder_for_outputs
from qgis_sslkd.worker.ending import end_at_signals

def wait():  # for a lock that is taken; no signal ends that
    lock = ctypes.create_string_buffer(256)
    for _ in range(2): ctypes.CDLL(None).pthread_mutex_lock(lock)

def write():
    for number in count(): (own / str(number)).touch()

def write_beside():
    threading.excepthook = lambda error: None
    threading.Thread(target=write).start()
    wait()

end_at_signals(listen_for_cancel(), lambda: print("cancelled", file=sys.stderr))
old, made = Path("old.tif"), Path("made")
with folder_for_outputs(made), all_written_whole([old, made / "new.tif"]) as partials, folder_beside(old) as own:
    for partial in (*partials.values(), own / "map.tif"): partial.write_text("half")
    print("ready", flush=True)
"""
# Where nobody asks whether to stop: a library that takes long, one that fails where it cannot write any more, and both.
HANGING = ["wait", "write", "write_beside"]


@contextmanager
def hanging_workers(folder, hanging):
    """Workers in the middle of their work, each in a folder of its own; an older file may be left in it alone."""
    workers = []
    for number, name in enumerate(hanging):
        place = folder / str(number)
        place.mkdir()
        (place / "old.tif").write_text("old")
        workers.append(start(f"{WRITING}\n    {name}()", place))
    try:
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * len(workers)
        yield workers
        assert [worker.wait(30) for worker in workers] == [130] * len(workers)
        for place in folder.iterdir():
            assert [(path.name, path.read_text()) for path in place.iterdir()] == [("old.tif", "old")]
    finally:
        for worker in workers:
            worker.kill()


def test_workers_that_do_not_stop_by_themselves_are_ended_with_what_they_had_begun(tmp_path):
    """Asked to, or since whoever started them is gone."""
    with hanging_workers(tmp_path, [*HANGING, *HANGING]) as workers:
        for worker in workers[:3]:
            worker.stdin.write("cancel\n")
            worker.stdin.flush()
        for worker in workers[3:]:
            worker.stdin.close()
        began = time.monotonic()
    assert time.monotonic() - began < 9  # QGIS waits for thirty seconds
    assert not any("Traceback" in worker.stderr.read() for worker in workers)


NOTING = """
from pathlib import Path
from qgis_sslkd.core.files import written_to_its_end
from qgis_sslkd.worker import ending

ending._GRACE_SECONDS, ending._WRITING_SECONDS = 0.2, {}
ending.end_at_signals(listen_for_cancel())
with written_to_its_end(Path("checkpoint")) as partial:
    print("ready", flush=True)
    time.sleep(1)
    partial.touch()
time.sleep(9)
"""


@pytest.mark.parametrize(("patience", "left"), [(9, ["checkpoint"]), (0.1, [])])
@pytest.mark.parametrize("ask", [lambda worker: worker.stdin.close(), lambda worker: worker.terminate()])
def test_a_checkpoint_is_written_to_its_end_if_that_does_not_take_too_long(tmp_path, ask, patience, left):
    worker = start(NOTING.format(patience), tmp_path)
    assert worker.stdout.readline() == "ready\n"
    ask(worker)
    assert worker.wait(8) == 130
    assert [path.name for path in tmp_path.iterdir()] == left


def test_signals_end_what_hears_of_nothing(tmp_path):
    with hanging_workers(tmp_path, ["write_beside"] * 3) as workers:
        for _ in range(3):
            time.sleep(0.5)  # until all are in the library, and between the signals of somebody impatient
            for worker, number in zip(workers, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), strict=True):
                worker.send_signal(number)
    assert [worker.stderr.read() for worker in workers] == ["cancelled\n"] * 3


WORKING = """
from rich.console import Console
from qgis_sslkd.core.errors import CancelledError
from qgis_sslkd.worker.ending import end_at_signals
from qgis_sslkd.worker.terminal import TerminalReporter

stop = threading.Event()
end_at_signals(stop, lambda: print("ended", file=sys.stderr))
reporter = TerminalReporter(Console(stderr=True), stop)
print("ready", flush=True)
try:
    while True:
        reporter.progress(0.5, "step")
        time.sleep(0.01)
except CancelledError:
    print("noted", file=sys.stderr)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("together", [False, True])
def test_work_on_the_command_line_stops_by_itself_at_a_signal_but_that_of_several_processes(
    tmp_path, monkeypatch, number, together
):
    if together:
        monkeypatch.setenv("RANK", "0")
    worker = start(WORKING, tmp_path)
    assert worker.stdout.readline() == "ready\n"
    worker.send_signal(number)
    assert (worker.wait(30), worker.stderr.read()) == ((130, "ended\n") if together else (0, "noted\n"))


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(protocol, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def stop():
    return threading.Event()


def events(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_progress_comes_at_a_pace_to_follow(clock, stop):
    stream = io.StringIO()
    reporter = JsonReporter(stream, stop)
    for step in range(1000):  # ten seconds
        clock.now = 1000 + step / 100
        reporter.progress(step / 1000, f"step {step}")
    found = events(stream)
    assert found[0] == {"event": "progress", "fraction": 0.0, "text": "step 0"}
    assert 18 <= len(found) <= 22
    assert [event["text"] for event in found if "text" in event] == ["step 0", "step 500"]
    assert [event["fraction"] for event in found] == sorted(event["fraction"] for event in found)


def test_no_message_is_left_out(clock, stop):
    stream = io.StringIO()
    reporter = JsonReporter(stream, stop)
    for k in range(5):
        reporter.progress(0.5, "busy")
        reporter.info(f"fact {k}")
        reporter.warning(f"doubt {k}")
    levels = [(event["level"], event["text"]) for event in events(stream) if event["event"] == "message"]
    assert levels == [pair for k in range(5) for pair in (("info", f"fact {k}"), ("warning", f"doubt {k}"))]


def test_once_asked_every_progress_ends_the_work(clock, stop):
    stream = io.StringIO()
    reporter = JsonReporter(stream, stop)
    reporter.progress(0.1, "busy")
    stop.set()
    for _ in range(2):
        with pytest.raises(CancelledError):
            reporter.progress(0.2, "busy")
    assert len(events(stream)) == 1
