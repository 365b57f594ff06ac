"""What a training step costs beyond its forward and backward passes: `make bench-train`.

Times whole steps of both steps of the method (reading, augmenting, all passes, the optimiser), and the same
passes on random tensors that lie on the device already, in turns in one run, and prints their ratio: by the clock,
and in processor seconds, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np
import rasterio
import shapely
import torch
from rasterio.transform import from_origin

from qgis_sslkd.core.ahead import map_ahead
from qgis_sslkd.core.geodata.annotations import VectorLayer
from qgis_sslkd.core.geodata.rasters import RasterReader, inspect_raster
from qgis_sslkd.core.models.devices import choose_device, describe_device
from qgis_sslkd.core.reporting import Silent
from qgis_sslkd.core.trainers import Batch, CrossModelTrainer, CrossSupervision, StudentTrainer, Trainer
from qgis_sslkd.training.data import TrainingData, TrainingInputs, prepare
from qgis_sslkd.training.fit import READING_THREADS, Run
from qgis_sslkd.training.presets import PRESETS, TrainingSettings
from qgis_sslkd.training.sampler import Sampler
from qgis_sslkd.training.steps import StepTaker

_SIDE, _PIXEL = 4096, 0.3
_LEFT, _TOP = 500_000.0, 5_000_000.0
_ROUND = 10


@dataclass(frozen=True)
class Seconds:
    """What a step takes.

    Attributes:
        clock: seconds that pass.
        processor: seconds of all processors.
    """

    clock: float
    processor: float


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="paper", choices=PRESETS)
    parser.add_argument("--batch", type=int, help="labelled windows a step, and as many unlabelled ones")
    parser.add_argument("--tile", type=int, help="side of a window in pixels, a multiple of 32")
    parser.add_argument("--steps", type=int, default=20, help="steps of each kind; a few at first are not counted")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    settings = replace(PRESETS[options.preset], steps=10**6)
    settings = replace(settings, batch=options.batch or settings.batch, tile=options.tile or settings.tile)
    device = choose_device(options.device, print)
    print(f"{options.preset}: {settings.batch} + {settings.batch} windows of {settings.tile} px, "
          f"{describe_device(device)}, {options.steps} steps")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, RasterReader() as reader:
        data = _scene(Path(folder), settings.tile, reader)
        run = Run(data, settings, device, reader, Silent())
        figures = {name: _measure(trainer, run, options.steps) for name, trainer in _trainers(run)}
    for name, (whole, passes) in figures.items():
        print(f"{name}: whole step {whole.clock:.3f} s, passes alone {passes.clock:.3f} s, "
              f"ratio {whole.clock / passes.clock:.3f}; processor {whole.processor:.3f} s and "
              f"{passes.processor:.3f} s, ratio {whole.processor / passes.processor:.3f}")  # fmt: skip
    if options.json:
        plain = {name: {"whole": asdict(whole), "passes": asdict(passes)} for name, (whole, passes) in figures.items()}
        options.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def _trainers(run: Run) -> Iterator[tuple[str, Trainer]]:
    """A trainer of each step of the method, past its supervised start."""
    settings = run.settings
    teachers = {f"teacher {k}": run.build(spec, k) for k, spec in enumerate(settings.teachers, start=1)}
    yield "step 1 (teachers)", CrossModelTrainer(teachers, CrossSupervision(warm_up=0.0))
    for teacher in teachers.values():
        teacher.to(run.device)
    student = run.build(settings.student, 0)
    yield "step 2 (student)", StudentTrainer(student, teachers, replace(settings.distillation, warm_up=0.0))


def _measure(trainer: Trainer, run: Run, steps: int) -> tuple[Seconds, Seconds]:
    """What a whole step and its passes alone take, a round of these after a round of those."""
    trainer.trained.to(run.device).to(memory_format=torch.channels_last).train()
    taker = StepTaker(trainer, run.settings, run.device)
    sampler = Sampler(run.data, run.settings.batch, (0, 1), run.settings.augment, run.reader)
    random = _random_batch(run.settings, run.device)
    taker.step(random, 0)  # the first step also prepares the device
    whole, passes = [], []
    for start in range(0, steps, _ROUND):
        part = range(start, min(start + _ROUND, steps))
        passes.append(_timed(repeat(random, len(part)), taker, run.device))
        with closing(map_ahead(sampler.batch, part, READING_THREADS, ahead=4)) as batches:
            whole.append(_timed(batches, taker, run.device))
    return _of_a_step(whole, steps), _of_a_step(passes, steps)


def _timed(batches: Iterable[Batch], taker: StepTaker, device: torch.device) -> tuple[list[float], float]:
    """Seconds of each step by the clock, the next batch included, and seconds of all processors for all of them."""
    clock, processor = [], time.process_time()
    started = time.perf_counter()
    for batch in batches:
        taker.step(batch, 0)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        clock.append(time.perf_counter() - started)
        started = time.perf_counter()
    return clock, time.process_time() - processor


def _of_a_step(rounds: Sequence[tuple[list[float], float]], steps: int) -> Seconds:
    """The median by the clock, without the first step of a round, for which nothing was read ahead."""
    clock = [seconds for each, _ in rounds for seconds in each[1:] or each]
    return Seconds(statistics.median(clock), sum(processor for _, processor in rounds) / steps)


def _random_batch(settings: TrainingSettings, device: torch.device) -> Batch:
    shape = (settings.batch, settings.tile, settings.tile)
    everywhere = torch.ones(shape, dtype=torch.bool)
    batch = Batch(
        torch.randn(shape[0], 3, *shape[1:]),
        torch.randint(0, 2, shape),
        everywhere,
        torch.randn(shape[0], 3, *shape[1:]),
        everywhere,
    )
    return batch.to(device)


def _scene(folder: Path, tile: int, reader: RasterReader) -> TrainingData:
    """A raster of noise with a grid of roads, of which a quarter is annotated."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, _SIDE, _SIDE), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": _SIDE, "height": _SIDE, "count": 3, "dtype": "uint8", "crs": "EPSG:32632"}
    options = {"tiled": True, "compress": "deflate", "transform": from_origin(_LEFT, _TOP, _PIXEL, _PIXEL)}
    with rasterio.open(folder / "scene.tif", "w", **profile, **options) as dataset:
        dataset.write(pixels)
    raster = inspect_raster(str(folder / "scene.tif"))
    extent = _SIDE * _PIXEL
    streets = [shapely.box(_LEFT + x, _TOP - extent, _LEFT + x + 8, _TOP) for x in range(0, int(extent), 60)]
    quarter = shapely.box(_LEFT, _TOP - extent / 2, _LEFT + extent / 2, _TOP)
    roads = VectorLayer("streets", np.array(streets, dtype=object), raster.crs)
    area = VectorLayer("area", np.array([quarter], dtype=object), raster.crs)
    return prepare(TrainingInputs([raster], [roads], [area], []), tile, 0, reader)


if __name__ == "__main__":
    main()
