"""The algorithms: each turns layers into a job for the worker and its answer into layers."""

from __future__ import annotations

from .detect import DetectRoads
from .train import TrainSslkd
from .vectorise import VectoriseRoads

__all__ = ["ALGORITHMS", "DetectRoads", "TrainSslkd", "VectoriseRoads"]

ALGORITHMS = (TrainSslkd, DetectRoads, VectoriseRoads)
