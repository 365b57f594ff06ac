"""The conversation with the worker, held with real processes that speak well, badly and not at all."""

import contextlib
import os
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest import alive
from qgis.core import QgsApplication, QgsProcessingUtils
from qgis.PyQt.QtCore import QCoreApplication, QElapsedTimer, QEvent, QTimer

from qgis_sslkd import client
from qgis_sslkd.client import JobCancelled, JobFailed, WorkerDied, WorkerNotStarted, run_job, run_worker, worker_command
from qgis_sslkd.processes import POLL_MS
from qgis_sslkd.window import living_window

PREAMBLE = """
import json, os, signal, subprocess, sys, time
def say(**event): print(json.dumps(event), flush=True)
"""


def program(code):
    return [sys.executable, "-I", "-c", PREAMBLE + textwrap.dedent(code)]


def cancel_soon(feedback, seconds=1.0):
    threading.Timer(seconds, feedback.cancel).start()


def test_the_result_is_found_among_rubbish(feedback):
    code = """
        print("Downloading: 3%", 42, "[1, 2]", "null", '{"event": "unheard of"}', '{"outputs": {}}', sep="\\n")
        print('{"event": ["list"]}\\n{"event": "result", "outputs": "text"}\\n{"event": "result",')
        sys.stdout.flush()
        os.write(1, b"\\xff\\xfe\\x00 native library\\n")
        say(event="result", outputs={"surface": "s.tif", "n": 1.5})
    """
    assert run_worker(program(code), feedback) == {"surface": "s.tif", "n": 1.5}


def test_an_event_may_come_in_pieces(feedback):
    code = """
        line = json.dumps({"event": "result", "outputs": {"name": "Straße"}}, ensure_ascii=False).encode()
        for byte in line + b"\\n":
            os.write(1, bytes([byte]))
            time.sleep(0.005)
    """
    assert run_worker(program(code), feedback) == {"name": "Straße"}


def test_progress_and_messages_reach_qgis_while_the_worker_runs(feedback):
    code = """
        def say_slowly(**event): say(**event); time.sleep(0.3)
        say_slowly(event="progress", fraction=0.25, text="step 1 of 2")
        say_slowly(event="progress", fraction=0.5, text="step 1 of 2")
        say_slowly(event="progress", fraction="half", text="")
        say_slowly(event="message", level="info", text="80 windows")
        say_slowly(event="message", level="warning", text="no GPU")
        say_slowly(event="progress", fraction=7, text="step 2 of 2")
        assert sys.stdin.readline() == "cancel\\n"
        say(event="cancelled")
        sys.exit(130)
    """
    feedback.progressChanged.connect(lambda percent: feedback.cancel() if percent == 100 else None)
    with pytest.raises(JobCancelled, match="what was not whole was removed"):
        run_worker(program(code), feedback)
    assert feedback.fractions == [25, 50, 100]
    assert feedback.texts == ["step 1 of 2", "step 2 of 2"]
    assert (feedback.infos, feedback.warnings) == (["80 windows"], ["no GPU"])


def test_of_more_than_anyone_reads_the_first_lines_are_told_and_the_others_counted(feedback):
    code = """
        for number in range(20000):
            say(event="message", level="info", text=f"line {number}")
            say(event="progress", fraction=number / 20000, text="")
        say(event="message", level="warning", text="the end")
        say(event="result", outputs={})
    """
    assert run_worker(program(code), feedback) == {}
    lines = "\n".join(feedback.infos).splitlines()
    assert lines[:50] == [f"line {number}" for number in range(50)]
    left_out = sum(int(line.split()[0][1:]) for line in lines if line.endswith(" more lines)"))
    assert len([line for line in lines if line.startswith("line ")]) + left_out == 20000
    assert all(text.count("\n") <= 50 for text in feedback.infos)
    assert feedback.fractions == sorted(feedback.fractions) and feedback.fractions[-1] == 100 * 19999 / 20000
    assert feedback.warnings == ["the end"]


@pytest.fixture
def little_patience(monkeypatch):
    """With a worker that was asked to stop."""
    monkeypatch.setattr(client, "_FAREWELL_SECONDS", 1.0)


def test_a_worker_that_talks_without_end_is_cancelled(feedback, little_patience):
    code = """
        while True:
            say(event="message", level="info", text="more")
            print("rubbish" * 100)
    """
    cancelled = time.monotonic() + 1
    cancel_soon(feedback)
    with pytest.raises(JobCancelled):
        run_worker(program(code), feedback)
    assert time.monotonic() - cancelled < 5


def test_a_cancel_that_comes_too_late_is_told(feedback):
    feedback.cancel()
    assert run_worker(program('sys.stdin.readline(); say(event="result", outputs={"iou": 1})'), feedback) == {"iou": 1}
    assert feedback.warnings == ["Cancelled too late: all was done by then, and the results are written."]


def test_an_error_event_is_the_sentence_that_the_user_sees(feedback):
    code = """
        print("Traceback of a library", file=sys.stderr)
        say(event="error", text="The rasters have 3 and 4 bands.")
        sys.exit(1)
    """
    with pytest.raises(JobFailed) as caught:
        run_worker(program(code), feedback)
    assert str(caught.value) == "The rasters have 3 and 4 bands."


def test_death_before_the_first_word_names_the_cause_and_what_mends_it(feedback):
    code = """
        print("Traceback (most recent call last):\\nModuleNotFoundError: No module named 'torch'", file=sys.stderr)
        sys.exit(3)
    """
    with pytest.raises(WorkerDied) as caught:
        run_worker(program(code), feedback)
    assert "exit code 3): ModuleNotFoundError: No module named 'torch'" in str(caught.value)
    assert "sslkd:setup" in str(caught.value)
    assert "Traceback" in feedback.details[0]


def test_death_while_the_libraries_are_loaded_tells_what_mends_it(feedback):
    code = """
        say(event="progress", fraction=0, text="starting")
        os.kill(os.getpid(), signal.SIGBUS)
    """
    with pytest.raises(WorkerDied, match=r"(?s)exit code 7.*sslkd:setup"):
        run_worker(program(code), feedback)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(("number", "told"), [("SIGABRT", "(exit code 6): a warning"), ("SIGKILL", "memory runs out")])
def test_death_by_a_signal_in_the_middle_of_the_work(feedback, number, told):
    code = f"""
        say(event="progress", fraction=0, text="starting")
        say(event="progress", fraction=0.1, text="working")
        print("a warning", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.{number})
    """
    with pytest.raises(WorkerDied) as caught:
        run_worker(program(code), feedback)
    assert told in str(caught.value)
    assert "sslkd:setup" not in str(caught.value)


def test_the_last_words_are_in_utf_8_whatever_the_system_writes(feedback):
    python, *arguments = worker_command(sys.executable, "job.json")
    options = arguments[: arguments.index("-c")]
    code = PREAMBLE + 'say(event="result", outputs={"encoding": sys.stderr.encoding, "mode": sys.flags.utf8_mode})'
    assert run_worker([python, *options, "-c", code], feedback) == {"encoding": "utf-8", "mode": 1}


def test_a_clean_exit_without_an_answer_is_a_failure(feedback):
    with pytest.raises(WorkerDied, match="exit code 0"):
        run_worker(program("pass"), feedback)


def test_a_python_that_cannot_be_started(feedback, tmp_path):
    with pytest.raises(WorkerNotStarted, match="sslkd:setup"):
        run_worker([str(tmp_path / "python")], feedback)


def test_much_on_stderr_does_not_stop_the_worker(feedback):
    code = """
        for number in range(20000):
            print("x" * 100, file=sys.stderr)
        say(event="result", outputs={})
    """
    assert run_worker(program(code), feedback) == {}


def test_a_worker_that_hangs_after_its_result_is_ended(feedback, tmp_path):
    code = f"""
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        say(event="result", outputs={{"model": "m"}})
        time.sleep(60)
    """
    begun = time.monotonic()
    assert run_worker(program(code), feedback) == {"model": "m"}
    assert time.monotonic() - begun < 6
    assert not alive((tmp_path / "pid").read_text())


def test_a_worker_has_time_to_remove_what_it_had_begun(feedback, tmp_path):
    """Gigabytes take a while; what fails meanwhile is no news."""
    code = f"""
        sys.stdin.readline()
        time.sleep(4)
        say(event="error", text="There is no such folder any more.")
        open({str(tmp_path / "removed")!r}, "w").close()
    """
    cancel_soon(feedback, 0.2)
    with pytest.raises(JobCancelled):
        run_worker(program(code), feedback)
    assert (tmp_path / "removed").exists()


def test_cancel_ends_a_worker_that_does_not_listen(feedback, tmp_path, little_patience):
    code = f"""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        say(event="progress", fraction=0, text="working")
        time.sleep(60)
    """
    cancelled = time.monotonic() + 1
    cancel_soon(feedback)
    with pytest.raises(JobCancelled):
        run_worker(program(code), feedback)
    assert time.monotonic() - cancelled < 5
    assert not alive((tmp_path / "pid").read_text())


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")
@pytest.mark.parametrize("ending", ['say(event="result", outputs={})', "time.sleep(60)", "sys.exit(1)"])
def test_nothing_that_the_worker_started_outlives_it(feedback, tmp_path, ending):
    code = f"""
        os.setpgid(0, 0)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
        {ending}
    """
    cancel_soon(feedback, 2.0)
    with contextlib.suppress(JobCancelled, WorkerDied):
        run_worker(program(code), feedback)
    deadline = time.monotonic() + 2
    while alive((tmp_path / "pid").read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive((tmp_path / "pid").read_text())


def test_the_settings_of_qgis_do_not_reach_the_worker(feedback, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PROJ_LIB", "GDAL_DATA", "LD_LIBRARY_PATH", "SSLKD_KEPT"):
        monkeypatch.setenv(name, "/nowhere")
    outputs = run_worker(program('say(event="result", outputs=dict(os.environ))'), feedback)
    foreign = {name for name in outputs if name.startswith(("PYTHON", "PROJ", "GDAL", "LD_"))}
    assert not foreign
    assert outputs["SSLKD_KEPT"] == "/nowhere"
    assert outputs["PATH"] == os.environ["PATH"]


def test_the_window_lives_while_the_worker_is_silent(feedback):
    thread = threading.Thread(
        target=run_worker, args=(program('time.sleep(2); say(event="result", outputs={})'), feedback)
    )
    clock, beats = QElapsedTimer(), []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(clock.restart()))
    clock.start()
    timer.start(10)
    thread.start()
    while thread.is_alive():
        QCoreApplication.processEvents()
    timer.stop()
    # A wait that held Python's lock would stop this thread most of the time; a busy machine delays some beats.
    assert sum(beat for beat in beats if beat >= POLL_MS) < sum(beats) / 2


ASKED_TO_STOP = """
    import select
    heard, _, _ = select.select([sys.stdin], [], [], 3)
    say(event="cancelled") if heard else say(event="result", outputs={})
"""


def test_the_window_lives_where_the_worker_is_waited_for_in_its_thread(feedback):
    QTimer.singleShot(500, feedback.cancel)
    with pytest.raises(JobCancelled):
        run_worker(program(ASKED_TO_STOP), feedback)


def test_closing_qgis_cancels_a_worker_that_is_waited_for_in_the_window_s_thread(feedback):
    # So QGIS does once it has asked; it stays open until no task is left.
    tasks, listed = QgsApplication.taskManager(), []

    def close():
        listed.extend(task.description() for task in tasks.activeTasks())
        tasks.cancelAll()

    QTimer.singleShot(500, close)
    with pytest.raises(JobCancelled):
        run_worker(program(ASKED_TO_STOP), feedback)
    assert listed == ["SSLKD worker"] and not tasks.activeTasks()
    assert feedback.isCanceled()


def test_a_cancelled_task_may_be_gone_before_its_worker(feedback):
    with living_window(feedback):
        QgsApplication.taskManager().cancelAll()
        # As where another model has begun meanwhile, whose worker is waited for first.
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert feedback.isCanceled()


def test_no_task_is_left_of_a_worker_that_has_done_its_job(feedback):
    run_worker(program('say(event="result", outputs={})'), feedback)
    assert not QgsApplication.taskManager().activeTasks()
    assert not feedback.isCanceled()


def test_the_job_lies_in_the_folder_that_qgis_clears(recorded_job, feedback):
    with pytest.raises(JobFailed, match="Recorded"):
        run_job({"kind": "train", "labelled": ["Weiß.tif"]}, feedback)
    assert recorded_job() == {"kind": "train", "labelled": ["Weiß.tif"]}
    assert list(Path(QgsProcessingUtils.tempFolder()).rglob("job.json"))
