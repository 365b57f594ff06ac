"""What detection costs beyond the forward passes of its network: `make bench-detect`.

For each network, in one run and over the same tiles in the same engine, each in a process of its own: the passes
alone, the whole of `sslkd detect` from file to finished rasters and outlines, the same without the start of its
process, a plain loop, and MONAI's sliding window in memory; on a GPU the passes of the compiled network, too. For a
raster of a single tile how long it takes to its pass and to the end. Of several rounds medians are shown. Then
reading and writing alone, with a network that costs nothing, beside a copy by GDAL into the same compression, and with
one that sees pixels twice as large. At last the peak memory over widths and heights, as a constant and bytes a column.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, thread_time
from typing import TypeVar

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin
from rasterio.windows import Window
from safetensors.numpy import save_file

from qgis_sslkd.core.images import Images, Normalisation, Predictor
from qgis_sslkd.core.models.model_card import ModelCard, card_header, load_card
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.runtime import Precision, Runtime, runtime_loader
from qgis_sslkd.core.reporting import Silent
from qgis_sslkd.core.windows import Tiling, tile_starts
from qgis_sslkd.worker.jobs import DetectJob
from qgis_sslkd.worker.work import detect

Result = TypeVar("Result")
UNITS = ("seconds", "processor", "memory")
ENCODERS = ("mobilenet_v2", "tu-mobilenetv3_large_100", "resnet50")
TILING = Tiling(tile=512, overlap=128, batch=1)
NORMALISATION = Normalisation.of_bytes(3)
GSD = 0.3  # metres
FREE = NetworkSpec("none", "none")
START = """
import sys
from qgis_sslkd.worker.__main__ import main
sys.argv[0] = "sslkd"
main()
"""
END_AFTER_A_PASS = """
import os
from dataclasses import replace
from qgis_sslkd.worker.imports import importing
with importing():
    import qgis_sslkd.worker.cli
    from qgis_sslkd.worker.work import detect
begin_to_load = detect.runtime_loader
def begin(*arguments):
    load = begin_to_load(*arguments)
    def load_to_end():
        runtime = load()
        return replace(runtime, predict=lambda images: os._exit(len(runtime.predict(images)) == 0))
    return load_to_end
detect.runtime_loader = begin
"""
SURFACE = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}


@dataclass(frozen=True)
class Bench:
    """What is measured.

    Attributes:
        folder: for all files.
        raster: what is detected in.
        model: the model file.
        device: that computes, as `sslkd detect` names it.
        precision: of the computation, likewise.
    """

    folder: Path
    raster: Path
    model: Path
    device: str = "cpu"
    precision: Precision = "float32"

    def runtime(self) -> Runtime:
        """The network, which has seen a batch of tiles."""
        card = load_card(self.model)
        if card.network == FREE:
            return Runtime(free, TILING.batch, "no network")
        runtime = runtime_loader(self.model, card, self.device, self.precision, TILING.tile)()
        runtime.predict(np.zeros((runtime.batch, 3, TILING.tile, TILING.tile), np.float32))
        return runtime

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
        feeding: processor seconds of the thread that feeds the network, for which a fast one waits; where it is told.
    """

    seconds: float
    processor: float
    memory: float
    tiles: int
    feeding: float = 0.0


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
    runtime = bench.runtime()
    return passes_by(runtime.predict, runtime.batch, bench)


def compiled_passes(bench: Bench) -> Measured:
    """The passes alone of the network as PyTorch compiles it, which takes its time first."""
    import torch

    from qgis_sslkd.core.models.devices import choose_device
    from qgis_sslkd.core.models.inference import predictor
    from qgis_sslkd.core.models.model_file import load_network

    batch = bench.runtime().batch
    rows, columns = bench.starts()
    network = torch.compile(load_network(bench.model, load_card(bench.model)))
    predict = predictor(network, choose_device(bench.device, print), bench.precision != "float32")
    start = perf_counter()
    for size in {batch, len(rows) * len(columns) % batch or batch}:  # the last pass may be a smaller one
        predict(np.zeros((size, 3, TILING.tile, TILING.tile), np.float32))
    print(f"  compiled in {perf_counter() - start:.1f} s", flush=True)
    return passes_by(predict, batch, bench)


def passes_by(predict: Predictor, batch: int, bench: Bench) -> Measured:
    """As many passes as the tiles take."""
    rows, columns = bench.starts()
    tiles = len(rows) * len(columns)
    images = np.random.default_rng(0).standard_normal((batch, 3, TILING.tile, TILING.tile), dtype=np.float32)
    return timed(lambda: [predict(images[: tiles - done]) for done in range(0, tiles, batch)], tiles)


def whole(bench: Bench) -> Measured:
    """The command line from its start to its end."""
    return command(START, bench)


def first_tile(bench: Bench) -> Measured:
    """The command line from its start to the end of its first pass."""
    return command(END_AFTER_A_PASS + START, bench)


def command(program: str, bench: Bench) -> Measured:
    """A program that is given the options of `sslkd detect`, from its start to its end."""
    rows, columns = bench.starts()
    files = {"raster": bench.raster, "model": bench.model, "surface": "s.tif", "outlines": "o.gpkg"}
    sizes = {"tile": TILING.tile, "overlap": TILING.overlap}
    options = {**files, **sizes, "device": bench.device, "precision": bench.precision}
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
    engine = Counting(bench.runtime().predict)

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

    runtime = bench.runtime()
    engine = Counting(runtime.predict)

    def predict(images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(engine(images.numpy())[:, None])

    def window() -> None:
        with rasterio.open(bench.raster) as dataset:
            pixels = dataset.read()
        images = torch.from_numpy(NORMALISATION.apply(pixels, np.ones(pixels.shape[1:], bool))[None])
        side, share = (TILING.tile, TILING.tile), TILING.overlap / TILING.tile
        sliding_window_inference(images, side, runtime.batch, predict, overlap=share, mode="gaussian")

    measured = timed(window, 0)
    return replace(measured, tiles=engine.images)


def from_file_to_file(bench: Bench) -> Measured:
    """All of `sslkd detect` to the surface raster once its process has started and loaded the network."""
    runtime = bench.runtime()
    engine = Counting(runtime.predict)
    detect.runtime_loader = lambda *_: lambda: replace(runtime, predict=engine)
    sizes = {"tile": TILING.tile, "overlap": TILING.overlap}
    job = DetectJob(raster=[str(bench.raster)], model=bench.model, surface=Path("surface.tif"), **sizes)
    start = thread_time()
    measured = timed(lambda: detect.do_detect(job, Silent()), 0)
    return replace(measured, tiles=engine.images, feeding=thread_time() - start)


def resampled(bench: Bench) -> Measured:
    """The same where the network that costs nothing sees pixels twice as large."""
    return from_file_to_file(replace(bench, model=write_free(bench.folder / "coarse.safetensors", 2 * GSD)))


def copy(bench: Bench) -> Measured:
    """What GDAL takes to copy the raster into the same compression."""
    options = {**SURFACE, "predictor": 2, "num_threads": "all_cpus", "bigtiff": "if_safer"}
    return timed(lambda: rasterio.shutil.copy(bench.raster, "copy.tif", **options), 0)


def memory(folder: Path, widths: list[int]) -> dict[str, list[Measured]]:
    """Reading and writing over widths, and over the heights of the first; shows the constant and bytes a column."""
    low, high = TILING.tile * 2, TILING.tile * 32
    results: dict[str, list[Measured]] = {}
    for height, width in [(low, width) for width in widths] + [(high, widths[0])]:
        photo = apart(folder, write_photo, folder / f"{height} x {width}.tif", height, width)
        bench = Bench(folder, photo, write_free(folder / "no network.safetensors"))
        results[bench.raster.stem] = [apart(folder, from_file_to_file, bench)]
        bench.raster.unlink()
    peaks = [results[f"{low} x {width}"][0].memory for width in widths]
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
    with rasterio.open(path, "w", transform=from_origin(5e5, 5e6, GSD, GSD), **profile, **options) as dataset:
        for top in range(0, height, 512):
            coarse = rng.integers(0, 200, (3, 32, -(-width // 16)), dtype=np.uint8)
            rows = coarse.repeat(16, 1).repeat(16, 2)[:, : min(512, height - top), :width]
            fine = rng.integers(0, 8, rows.shape, dtype=np.uint8)
            dataset.write(rows + fine, window=Window(0, top, width, rows.shape[1]))
    return path


def write_free(path: Path, gsd: float = GSD) -> Path:
    """The file of a network that costs nothing."""
    save_file({"none": np.zeros(1)}, path, card_header(ModelCard(FREE, NORMALISATION, "uint8", gsd, TILING.tile)))
    return path


def write_model(path: Path, encoder: str) -> Path:
    """A student that has learned nothing, which costs what any costs."""
    import torch

    from qgis_sslkd.core.models.model_file import save_model
    from qgis_sslkd.core.models.networks import build_network

    torch.manual_seed(0)
    spec = NetworkSpec("deeplabv3plus", encoder)
    save_model(path, build_network(spec), ModelCard(spec, NORMALISATION, "uint8", GSD, TILING.tile))
    return path


def show(title: str, results: dict[str, list[Measured]]) -> None:
    """Print medians over the rounds; the first row is what the others are compared with, round by round."""
    print(title, flush=True)
    first = next(iter(results.values()))
    for name, rounds in results.items():
        seconds, processor, memory = (median(getattr(row, unit) for row in rounds) for unit in UNITS)
        pairs = list(zip(rounds, first, strict=True))
        clock = sorted(row.seconds / other.seconds for row, other in pairs)
        busy = median(row.processor / other.processor for row, other in pairs)
        tiles = f"{rounds[0].tiles:6} tiles" if rounds[0].tiles else " " * 12
        spread = "" if len(rounds) == 1 else f"   ({clock[0]:.2f} to {clock[-1]:.2f} x)"
        ratios = f"{seconds:8.2f} s {median(clock):6.2f} x   processor {processor:8.2f} s {busy:6.2f} x"
        fed = 1000 * median(row.feeding / max(row.tiles, 1) for row in rounds)
        feeding = f"   fed in {fed:.1f} ms a tile" if fed else ""
        print(f"  {name:20} {ratios} {memory:6.0f} MiB {tiles}{feeding}{spread}", flush=True)


WORKS = {work.__name__: work for work in (passes, whole, from_file_to_file, plain_loop, monai, compiled_passes)}


def usual_works(device: str) -> list[str]:
    """All; on a CPU PyTorch's compiler is no rival of the engine's."""
    return [name for name in WORKS if name != compiled_passes.__name__ or device != "cpu"]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="*", default=ENCODERS, help="of the students")
    parser.add_argument("--works", nargs="*", choices=WORKS, help="to measure with them; usually all")
    parser.add_argument("--rounds", type=int, default=1, help="of these, in turn")
    parser.add_argument("--size", nargs=2, type=int, default=(3200, 4000), help="height and width of their raster")
    parser.add_argument("--sides", nargs="*", type=int, default=[4096, 16384, 40960], help="of those without a network")
    parser.add_argument("--widths", nargs="*", type=int, default=[2048, 4096, 8192, 16384, 40960], help="for memory")
    parser.add_argument("--device", default="cpu", help="that the networks run on: cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="of their computation")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args()


def measure(bench: Bench, works: Sequence[Callable[[Bench], Measured]], rounds: int = 1) -> dict[str, list[Measured]]:
    """Measure each in turn, round after round, and show the table."""
    results: dict[str, list[Measured]] = {work.__name__.replace("_", " "): [] for work in works}
    for _ in range(rounds):
        for rows, work in zip(results.values(), works, strict=True):
            rows.append(apart(bench.folder, work, bench))
    rows, columns = bench.starts()
    title = f"{bench.model.stem}, {bench.device}, {bench.precision}, {bench.raster.stem}"
    show(f"{title}: {len(rows) * len(columns)} tiles needed", results)
    return results


def main() -> None:
    """Measure all in turn."""
    options = parse()
    figures: dict[str, dict[str, list[Measured]]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        height, width = options.size
        # Apart: a process starts with the peak memory of the one that starts it.
        photo = apart(folder, write_photo, folder / f"{height} x {width}.tif", height, width)
        tile = apart(folder, write_photo, folder / "one tile.tif", TILING.tile, TILING.tile)
        works = [WORKS[work] for work in options.works or usual_works(options.device)]
        for encoder in options.encoders:
            model = apart(folder, write_model, folder / f"{encoder}.safetensors", encoder)
            bench = Bench(folder, photo, model, options.device, options.precision)
            figures[encoder] = measure(bench, works, options.rounds)
            alone = replace(bench, raster=tile)
            figures[f"{encoder}, one tile"] = measure(alone, (passes, first_tile, whole), options.rounds)
        for side in options.sides:
            photo = apart(folder, write_photo, folder / f"{side} x {side}.tif", side, side)
            bench = Bench(folder, photo, write_free(folder / "no network.safetensors"))
            figures[f"no network, {side}"] = measure(bench, (copy, from_file_to_file, resampled))
            bench.raster.unlink()
        if options.widths:
            figures["memory"] = memory(folder, options.widths)
    if options.json:
        tables = {
            title: {name: [asdict(row) for row in rows] for name, rows in results.items()}
            for title, results in figures.items()
        }
        options.json.write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    main()
