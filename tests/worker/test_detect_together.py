"""Several processes under torchrun write what one process writes."""

import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio


@pytest.fixture
def together(model):
    """Runs `sslkd detect` in two processes."""
    clean = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

    def run(*arguments):
        command = [*start, "-m", "qgis_sslkd.worker", "detect", "--model", model, *arguments]
        environment = clean | {"OMP_NUM_THREADS": "1"}
        return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=300)

    return run


def test_several_processes_write_the_same_bytes(together, sslkd, model, photo, tmp_path):
    given = [option for name in ("a.tif", "b.tif") for option in ("--raster", photo(150, 90, name))]
    options = (*given, "--product", "probability", "--tile", 64, "--overlap", 40, "--device", "cpu")
    folders = tmp_path / "alone", tmp_path / "together"
    for folder in folders:
        folder.mkdir()
    alone = sslkd("detect", *options, "--model", model, "--folder", folders[0])
    assert alone.code == 0, alone.stderr
    several = together(*options, "--folder", folders[1])
    assert several.returncode == 0, several.stderr
    assert several.stdout == alone.stdout.replace(str(folders[0]), str(folders[1]))
    names = {path.name for path in folders[0].iterdir()}
    assert names == {path.name for path in folders[1].iterdir()} and len(names) == 4
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_what_goes_wrong_in_another_process_is_told_and_leaves_nothing(together, make_raster, results):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 600, 64), dtype=np.uint8)
    raster = make_raster(pixels, "torn.tif", tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    with rasterio.open(raster) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_0_3", "TIFF", bidx=1))
    content = bytearray(raster.read_bytes())
    content[offset + 100 : offset + 300] = bytes(200)
    raster.write_bytes(content)
    options = ("--tile", 64, "--overlap", 0, "--device", "cpu", "--surface", results / "s.tif")
    ended = together("--raster", raster, *options)
    assert ended.returncode != 0
    assert "torn.tif cannot be read at column 0" in ended.stderr
    assert list(results.iterdir()) == []
