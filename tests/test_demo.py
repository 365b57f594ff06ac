"""What the demo makes of qgis_process's output, and what it leaves alone."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import demo
from demo.progress import Messages, relay

OUTPUT = (
    "QStandardPaths: XDG_RUNTIME_DIR not set\n"
    "\n----------------\nInputs\n----------------\n\nINPUT:\ttest.tif\nMODEL:\tm.safetensors\n\n\n"
    "Detecting roads in test.tif\n0...10.tile 1 of 9\n..20...30...40...50...60...70...80...90...100 - done.\n"
    "\n----------------\nResults\n----------------\n\nSURFACE:\ts.tif\n"
)
MESSAGES = ["Detecting roads in test.tif", "tile 1 of 9"]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_messages_are_found_however_the_output_is_cut(piece: int):
    messages = Messages()

    read = [m for at in range(0, len(OUTPUT), piece) for m in messages.read(OUTPUT[at : at + piece])]

    assert [message for message in read if message] == MESSAGES
    assert messages.percent == 100


def test_a_number_that_begins_a_message_is_no_tick():
    messages = Messages()

    assert messages.read("0...10...20...30...40...50...60...70...80...90") == [""]
    assert messages.percent == 90
    assert messages.read("3 rasters.\n") == ["3 rasters."]
    assert messages.percent == 90


def test_an_error_is_shown():
    assert Messages().read("\nERROR:\tThe raster has no CRS.\n") == ["ERROR:\tThe raster has no CRS."]


def test_counting_messages_are_thinned_out_and_others_are_all_shown():
    ours, its = pty.openpty()
    program = "print('begin'); [print('step', n, 'of 9') for n in range(9)]; print('end'); print('déjà vu')"
    with subprocess.Popen([sys.executable, "-X", "utf8", "-c", program], stdout=its):
        os.close(its)
        shown: list[str] = []
        relay(ours, shown.append)
    os.close(ours)

    assert [line.split("%  ")[1] for line in shown] == ["begin", "step 0 of 9", "end", "déjà vu"]


def test_a_folder_that_lacks_data_costs_no_earlier_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(*demo.__path__)))
    import run

    model = tmp_path / "model.safetensors"
    model.touch()
    monkeypatch.setattr(run, "OUT", tmp_path)
    monkeypatch.setattr(run, "_check_set_up", lambda: None)
    monkeypatch.setattr(sys, "argv", ["run.py", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"lacks train\.tif"):
        run.main()
    assert model.exists()
