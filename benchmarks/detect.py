"""What detection costs beyond the forward passes of its network: `make bench-detect`.

For each network, in one run and over the same tiles in the same engine, each in a process of its own: the passes
alone, the whole of `sslkd detect` from file to finished rasters and outlines, a plain loop, and MONAI's sliding
window in memory. Then `sslkd detect`'s reading and writing alone, with a network that costs nothing, beside a copy
by GDAL into the same compression. At last its peak memory over widths and heights, as a constant and bytes a column.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TypeVar

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin
from rasterio.windows import Window
from safetensors.numpy import save_file

from qgis_sslkd.core.detection import Predictor
from qgis_sslkd.core.engine import Engine
from qgis_sslkd.core.model_card import ModelCard, card_header
from qgis_sslkd.core.network_spec import NetworkSpec
from qgis_sslkd.core.rasters import Images, Normalisation
from qgis_sslkd.core.reporting import Silent
from qgis_sslkd.core.runtime import Runtime
from qgis_sslkd.core.windows import Tiling, tile_starts
from qgis_sslkd.worker.jobs import DetectJob
from qgis_sslkd.worker.work import detect

Result = TypeVar("Result")
TILING = Tiling(tile=512, overlap=128, batch=1)
NORMALISATION = Normalisation.of_bytes(3)
SURFACE = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}


@dataclass(frozen=True)
class Bench:
    """What is measured.

    Attributes:
        folder: for all files.
        raster: what is detected in.
        model: the model file; None for a network that costs nothing.
        bfloat16: whether the engine computes in bfloat16.
    """

    folder: Path
    raster: Path
    model: Path | None = None
    bfloat16: bool = False

    def engine(self) -> Predictor:
        """The network, which has seen a tile."""
        engine = Engine(self.model, self.bfloat16) if self.model else free
        engine(np.zeros((1, 3, TILING.tile, TILING.tile), np.float32))
        return engine

    def starts(self) -> tuple[list[int], list[int]]:
        """First rows and columns of the tiles that are needed."""
        with rasterio.open(self.raster) as dataset:
            sides = dataset.shape
        rows, columns = (tile_starts(side, TILING.tile, TILING.overlap) for side in sides)
        return rows, columns


@dataclass(frozen=True)
class Measured:
    """What some work took.

    Attributes:
        seconds: by the clock.
        processor: seconds of all processors, which other work on the machine disturbs less.
        memory: peak of its process, in MiB.
        tiles: that went through the network.
    """

    seconds: float
    processor: float
    memory: float
    tiles: int


class Counting:
    """A predictor that counts the images that it is given."""

    def __init__(self, predict: Predictor) -> None:
        self._predict, self.images = predict, 0

    def __call__(self, images: Images) -> Images:
        self.images += len(images)
        return self._predict(images)


def free(images: Images) -> Images:
    """A network that costs nothing."""
    return np.zeros((len(images), *images.shape[2:]), np.float32)


def passes(bench: Bench) -> Measured:
    """The passes alone, over as many tiles as are needed."""
    rows, columns = bench.starts()
    engine = bench.engine()
    tile = np.random.default_rng(0).standard_normal((1, 3, TILING.tile, TILING.tile), dtype=np.float32)
    return timed(lambda: [engine(tile) for _ in range(len(rows) * len(columns))], len(rows) * len(columns))


def whole(bench: Bench) -> Measured:
    """The command line from its start to its end."""
    rows, columns = bench.starts()
    program = "import sys; sys.argv[0] = 'sslkd'; from qgis_sslkd.worker.__main__ import main; main()"
    files = {"raster": bench.raster, "model": bench.model, "surface": "s.tif", "outlines": "o.gpkg"}
    sizes = {"tile": TILING.tile, "overlap": TILING.overlap, "device": "cpu"}
    options = {**files, **sizes, "precision": "bfloat16" if bench.bfloat16 else "float32"}
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    start = perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, "-c", program, "detect", *arguments], os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = perf_counter() - start
    if status:
        raise RuntimeError("sslkd detect failed")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, len(rows) * len(columns))


def plain_loop(bench: Bench) -> Measured:
    """Reads a tile, computes and writes it, one after the other; seams and all."""
    engine = Counting(bench.engine())

    def loop() -> None:
        rows, columns = bench.starts()
        with rasterio.open(bench.raster) as source:
            profile = {"width": source.width, "height": source.height, "crs": source.crs, "count": 1, "dtype": "uint8"}
            with rasterio.open("loop.tif", "w", transform=source.transform, **profile, **SURFACE) as target:
                for row in rows:
                    for column in columns:
                        window = Window(column, row, TILING.tile, TILING.tile)
                        pixels = source.read(window=window)
                        images = NORMALISATION.apply(pixels, np.ones(pixels.shape[1:], bool))
                        target.write((engine(images[None])[0] >= 0.5).astype(np.uint8), 1, window=window)

    measured = timed(loop, 0)
    return replace(measured, tiles=engine.images)


def monai(bench: Bench) -> Measured:
    """MONAI's sliding window over the raster in memory."""
    import torch
    from monai.inferers import sliding_window_inference

    engine = Counting(bench.engine())

    def predict(images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(engine(images.numpy())[:, None])

    def window() -> None:
        with rasterio.open(bench.raster) as dataset:
            pixels = dataset.read()
        images = torch.from_numpy(NORMALISATION.apply(pixels, np.ones(pixels.shape[1:], bool))[None])
        side = (TILING.tile, TILING.tile)
        sliding_window_inference(images, side, 1, predict, overlap=TILING.overlap / TILING.tile, mode="gaussian")

    measured = timed(window, 0)
    return replace(measured, tiles=engine.images)


def reading_and_writing(bench: Bench) -> Measured:
    """All of `sslkd detect` but the network."""
    card = ModelCard(NetworkSpec("none", "none"), NORMALISATION, "uint8", 0.3, TILING.tile)
    save_file({"none": np.zeros(1)}, "none.safetensors", card_header(card))
    engine = Counting(free)
    detect.load_runtime = lambda *_: Runtime(engine, TILING.batch, "no network")
    sizes = {"tile": TILING.tile, "overlap": TILING.overlap, "resample": False}
    job = DetectJob(raster=[str(bench.raster)], model=Path("none.safetensors"), surface=Path("free.tif"), **sizes)
    measured = timed(lambda: detect.do_detect(job, Silent()), 0)
    return replace(measured, tiles=engine.images)


def copy(bench: Bench) -> Measured:
    """What GDAL takes to copy the raster into the same compression."""
    options = {**SURFACE, "predictor": 2, "num_threads": "all_cpus", "bigtiff": "if_safer"}
    return timed(lambda: rasterio.shutil.copy(bench.raster, "copy.tif", **options), 0)


def memory(folder: Path, widths: list[int]) -> dict[str, Measured]:
    """Reading and writing over widths, and over the heights of the first; shows the constant and bytes a column."""
    low, high = TILING.tile * 2, TILING.tile * 32
    results: dict[str, Measured] = {}
    for height, width in [(low, width) for width in widths] + [(high, widths[0])]:
        bench = Bench(folder, apart(folder, write_photo, folder / f"{height} x {width}.tif", height, width))
        results[bench.raster.stem] = apart(folder, reading_and_writing, bench)
        bench.raster.unlink()
    peaks = [results[f"{low} x {width}"].memory for width in widths]
    slope, constant = np.polyfit(widths, peaks, 1) if len(widths) > 1 else (0, peaks[0])
    show("peak memory without a network, height x width", results)
    print(f"  {constant:.0f} MiB and {slope * 2**20:.0f} bytes a column", flush=True)
    return results


def timed(work: Callable[[], object], tiles: int) -> Measured:
    """Seconds of the work, and the peak memory of its process."""
    start, start_processor = perf_counter(), process_time()
    work()
    seconds, processor = perf_counter() - start, process_time() - start_processor
    return Measured(seconds, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, tiles)


def apart(folder: Path, function: Callable[..., Result], *arguments: object) -> Result:
    """What a function returns in a process of its own, whose memory is its own, too."""
    with ProcessPoolExecutor(1, get_context("spawn"), os.chdir, (folder,)) as pool:
        return pool.submit(function, *arguments).result()


def write_photo(path: Path, height: int, width: int) -> Path:
    """An image of coarse noise, which compresses about as well as a photograph."""
    rng = np.random.default_rng(0)
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint8", "crs": "EPSG:32632"}
    options = {"tiled": True, "compress": "deflate", "zlevel": 1, "num_threads": "all_cpus", "bigtiff": "if_safer"}
    with rasterio.open(path, "w", transform=from_origin(5e5, 5e6, 0.3, 0.3), **profile, **options) as dataset:
        for top in range(0, height, 512):
            coarse = rng.integers(0, 200, (3, 32, -(-width // 16)), dtype=np.uint8)
            rows = coarse.repeat(16, 1).repeat(16, 2)[:, : min(512, height - top), :width]
            fine = rng.integers(0, 8, rows.shape, dtype=np.uint8)
            dataset.write(rows + fine, window=Window(0, top, width, rows.shape[1]))
    return path


def write_model(path: Path, encoder: str) -> Path:
    """A student that has learned nothing, which costs what any costs."""
    import torch

    from qgis_sslkd.core.model_file import save_model
    from qgis_sslkd.core.networks import build_network

    torch.manual_seed(0)
    spec = NetworkSpec("deeplabv3plus", encoder)
    save_model(path, build_network(spec), ModelCard(spec, NORMALISATION, "uint8", 0.3, TILING.tile))
    return path


def show(title: str, results: dict[str, Measured]) -> None:
    """Print a table; the first row is what the others are compared with."""
    print(title, flush=True)
    first = next(iter(results.values()))
    for name, row in results.items():
        clock, processor = row.seconds / first.seconds, row.processor / first.processor
        tiles = f"{row.tiles:6} tiles" if row.tiles else " " * 12
        ratios = f"{row.seconds:8.2f} s {clock:6.2f} x   processor {row.processor:8.2f} s {processor:6.2f} x"
        print(f"  {name:20} {ratios} {row.memory:6.0f} MiB {tiles}", flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="*", default=["mobilenet_v2", "resnet50"], help="of the students")
    parser.add_argument("--size", nargs=2, type=int, default=(3200, 4000), help="height and width of their raster")
    parser.add_argument("--sides", nargs="*", type=int, default=[4096, 16384, 40960], help="of those without a network")
    parser.add_argument("--widths", nargs="*", type=int, default=[2048, 4096, 8192, 16384, 40960], help="for memory")
    parser.add_argument("--bfloat16", action="store_true", help="compute in bfloat16 instead of float32")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args()


def measure(bench: Bench, works: tuple[Callable[[Bench], Measured], ...]) -> dict[str, Measured]:
    """Measure each and show the table."""
    results = {work.__name__.replace("_", " "): apart(bench.folder, work, bench) for work in works}
    rows, columns = bench.starts()
    title = bench.model.stem if bench.model else "no network"
    precision = "bfloat16" if bench.bfloat16 else "float32"
    show(f"{title}, {precision}, {bench.raster.stem}: {len(rows) * len(columns)} tiles needed", results)
    return results


def main() -> None:
    """Measure all in turn."""
    options = parse()
    figures: dict[str, dict[str, Measured]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        height, width = options.size
        # Apart: a process starts with the peak memory of the one that starts it.
        photo = apart(folder, write_photo, folder / f"{height} x {width}.tif", height, width)
        tile = apart(folder, write_photo, folder / "one tile.tif", TILING.tile, TILING.tile)
        for encoder in options.encoders:
            model = apart(folder, write_model, folder / f"{encoder}.safetensors", encoder)
            bench = Bench(folder, photo, model, options.bfloat16)
            figures[encoder] = measure(bench, (passes, whole, plain_loop, monai))
            figures[f"{encoder}, one tile"] = measure(Bench(folder, tile, model, options.bfloat16), (passes, whole))
        for side in options.sides:
            bench = Bench(folder, apart(folder, write_photo, folder / f"{side} x {side}.tif", side, side))
            figures[f"no network, {side}"] = measure(bench, (copy, reading_and_writing))
            bench.raster.unlink()
        if options.widths:
            figures["memory"] = memory(folder, options.widths)
    if options.json:
        tables = {title: {name: asdict(row) for name, row in rows.items()} for title, rows in figures.items()}
        options.json.write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    main()
