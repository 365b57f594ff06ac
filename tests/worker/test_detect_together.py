"""Several processes, as torchrun starts them, write what one process writes."""

import signal
import socket

import numpy as np
import pytest
import rasterio


@pytest.fixture
def together(start):
    """Runs `sslkd` in two processes that share the work."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free.getsockname()[1], "WORLD_SIZE": 2}

    def run(*arguments, kill=None, number=signal.SIGKILL):
        commands = [start(*arguments, RANK=rank, LOCAL_RANK=rank, **meeting) for rank in range(2)]
        if kill is not None:
            commands[0].wait_for("Detecting roads")
            commands[kill].signal(number)
        return [command.wait() for command in commands]

    return run


def test_several_processes_write_the_same_bytes(together, sslkd, model, photo, tmp_path):
    given = [option for name in ("a.tif", "b.tif") for option in ("--raster", photo(150, 90, name))]
    options = (*given, "--model", model, "--product", "probability", "--tile", 64, "--overlap", 40, "--device", "cpu")
    folders = tmp_path / "alone", tmp_path / "together"
    for folder in folders:
        folder.mkdir()
    alone = sslkd("detect", *options, "--folder", folders[0])
    first, second = together("detect", *options, "--folder", folders[1])
    assert (alone.code, first.code, second.code) == (0, 0, 0), first.stderr + second.stderr
    assert first.stdout == alone.stdout.replace(str(folders[0]), str(folders[1]))
    assert second.stdout == ""
    names = {path.name for path in folders[0].iterdir()}
    assert names == {path.name for path in folders[1].iterdir()} and len(names) == 4
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


@pytest.mark.parametrize("tile", [512, 64], ids=["in the second", "in both"])
def test_what_goes_wrong_in_another_process_is_told_and_leaves_nothing(together, model, make_raster, results, tile):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1024, 64), dtype=np.uint8)
    raster = make_raster(pixels, "torn.tif", tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    with rasterio.open(raster) as dataset:
        # In the lower half, which of large tiles the second process reads.
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_0_11", "TIFF", bidx=1))
    content = bytearray(raster.read_bytes())
    content[offset + 100 : offset + 300] = bytes(200)
    raster.write_bytes(content)
    options = ("--raster", raster, "--model", model, "--tile", tile, "--overlap", 0, "--device", "cpu")
    first, second = together("detect", *options, "--surface", results / "s.tif")
    assert (first.code, second.code) == (1, 1)
    assert "torn.tif cannot be read at column 0" in first.stderr
    assert "Traceback" not in first.stderr + second.stderr
    assert list(results.iterdir()) == []


def test_where_another_process_is_killed_the_first_ends_with_a_sentence(together, model, photo, results):
    options = ("--raster", photo(3000, 2000), "--model", model, "--tile", 64, "--device", "cpu")
    first, _ = together("detect", *options, "--surface", results / "s.tif", kill=1)
    assert first.code == 1
    assert "Another of the processes" in first.stderr and "Traceback" not in first.stderr
    assert list(results.iterdir()) == []


def test_ended_in_the_middle_they_leave_nothing(together, model, photo, results):
    """As torchrun and schedulers end them."""
    options = ("--raster", photo(3000, 2000), "--model", model, "--tile", 64, "--device", "cpu")
    ended = together("detect", *options, "--surface", results / "s.tif", kill=0, number=signal.SIGTERM)
    assert ended[0].code == 130
    assert "Traceback" not in ended[0].stderr
    assert list(results.iterdir()) == []
