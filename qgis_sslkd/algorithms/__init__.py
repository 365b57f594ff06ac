"""The algorithms: each turns layers into a job for the worker and its answer into layers."""

from __future__ import annotations

from .detect import DetectRoads
from .diagnose import Diagnose
from .setup import SetUp
from .train import TrainSslkd

__all__ = ["ALGORITHMS", "DetectRoads", "Diagnose", "SetUp", "TrainSslkd"]

ALGORITHMS = (TrainSslkd, DetectRoads, SetUp, Diagnose)
