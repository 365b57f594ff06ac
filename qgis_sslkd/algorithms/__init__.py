"""The algorithms: each turns layers into a job for the worker and its answer into layers."""

from __future__ import annotations

from .detect import DetectRoads
from .evaluate import EvaluateRoads
from .train import TrainSslkd
from .vectorise import VectoriseRoads

__all__ = ["ALGORITHMS", "DetectRoads", "EvaluateRoads", "TrainSslkd", "VectoriseRoads"]

ALGORITHMS = (TrainSslkd, DetectRoads, VectoriseRoads, EvaluateRoads)
