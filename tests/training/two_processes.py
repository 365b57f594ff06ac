"""Trains tiny networks by both steps of the method, alone or under torchrun; notes what came out for each process.

Their networks have no batch norm, whose batches PyTorch shares between processes on GPUs alone, and no drop-out; one
that has is trained by the labels alone besides.
"""

import json
import math
import sys
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import rasterio
import shapely
import torch
from listening import Listener
from rasterio.transform import from_origin
from torch import nn

from qgis_sslkd.core.distributed import process_group, rank
from qgis_sslkd.core.geodata.annotations import VectorLayer
from qgis_sslkd.core.geodata.rasters import RasterReader, inspect_raster
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network
from qgis_sslkd.core.trainers import (
    CrossModelTrainer,
    CrossSupervision,
    Distillation,
    StudentTrainer,
    SupervisedTrainer,
)
from qgis_sslkd.training import checkpoints, fit, steps
from qgis_sslkd.training.checkpoints import Checkpoints
from qgis_sslkd.training.data import TrainingInputs, prepare
from qgis_sslkd.training.fit import Run, Stage, seed_torch
from qgis_sslkd.training.presets import PRESETS

CPU = torch.device("cpu")
SPEC = NetworkSpec("segnet", "vgg11", width=0.0625)
SETTINGS = replace(PRESETS["quick"], steps=4, tile=64, validations=1, optimiser="sgd", learning_rate=0.05)
SIDE = 256


def network(seed):
    seed_torch(seed)
    return without_batch_norm(build_network(SPEC))


def without_batch_norm(module):
    for name, child in module.named_children():
        replaced = nn.GroupNorm(1, child.num_features) if isinstance(child, nn.BatchNorm2d) else child
        setattr(module, name, without_batch_norm(replaced))
    return module


def data(folder, reader):
    """A quarter of the scene is annotated, with holes of nodata: windows then differ in how many pixels count."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 255, (3, SIDE, SIDE), dtype=np.uint8)
    pixels[:, rng.random((SIDE, SIDE)) < 0.2] = 0
    path = folder / f"scene-{rank()}.tif"
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=from_origin(500_000, 5_000_000, 1, 1), nodata=0, **profile) as dataset:
        dataset.write(pixels)
    raster = inspect_raster(str(path))
    boxes = [shapely.box(500_000 + x, 4_999_700, 500_010 + x, 5_000_000) for x in range(0, SIDE, 40)]
    area = [shapely.box(500_000, 4_999_872, 500_128, 5_000_000)]
    roads, area = (VectorLayer("drawn", np.array(shapes, dtype=object), raster.crs) for shapes in (boxes, area))
    return prepare(TrainingInputs([raster], [roads], [area], []), SETTINGS.tile, 0, reader)


def main(folder, batch):
    saves, counted = [], []
    over_processes = fit._over_processes
    whole = checkpoints.written_to_its_end
    checkpoints.written_to_its_end = lambda path: (saves.append(path), whole(path))[1]

    def count(total, device):
        whole = over_processes(total, device)
        counted.append(whole.pixels)
        return whole

    fit._over_processes = count
    # On every processor: bfloat16 rounds half a batch otherwise than the whole.
    steps.training_precision = lambda device: torch.float32
    with process_group(CPU), RasterReader() as reader:
        listener = Listener()
        settings = replace(SETTINGS, batch=batch)
        run = Run(data(folder, reader), settings, CPU, reader, listener, Checkpoints(folder, "same"))
        teachers = {f"teacher {k}": network(k) for k in (1, 2)}
        first = run.fit(
            CrossModelTrainer(teachers, CrossSupervision(warm_up=0.25)), Stage("teachers", 1, "teachers", 0.0, 0.5)
        )
        student = network(3)
        trainer = StudentTrainer(student, teachers, Distillation(warm_up=0.25))
        second = run.fit(trainer, Stage("student", 2, "student", 0.5, 1.0))
        normalised = build_network(SPEC)
        run.fit(SupervisedTrainer({"student": normalised}), Stage("supervised", 3, "supervised training", 0.0, 1.0))
        result = {
            "losses": {name: values for history in (first, second) for name, values in history.losses.items()},
            "weights": [round(float(p.detach().double().abs().sum()), 9) for p in student.parameters()],
            "statistics": [float(buffer.double().sum()) for buffer in normalised.buffers()],
            "scores": [value for value in astuple(second.kept["student"]) if not math.isnan(value)],
            "pixels": counted,
            "saved": bool(saves),
            "went_on": any("Going on" in said for said in listener.said),
        }
        (folder / f"rank-{rank()}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
