"""The algorithms: each turns layers into a job for the worker and its answer into layers."""

from __future__ import annotations

from .detect import DetectRoads
from .diagnose import Diagnose
from .evaluate import EvaluateRoads
from .export import ExportOnnx
from .setup import SetUp
from .train import TrainSslkd
from .vectorise import VectoriseRoads

__all__ = [
    "ALGORITHMS",
    "DetectRoads",
    "Diagnose",
    "EvaluateRoads",
    "ExportOnnx",
    "SetUp",
    "TrainSslkd",
    "VectoriseRoads",
]

ALGORITHMS = (TrainSslkd, DetectRoads, VectoriseRoads, EvaluateRoads, ExportOnnx, SetUp, Diagnose)
