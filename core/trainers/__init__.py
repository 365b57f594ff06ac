"""One step of each training: named losses from a batch."""

from .batch import Batch, Losses, Trainer
from .cct import CctTrainer
from .cross_model import CrossModelTrainer
from .student import Distillation, StudentTrainer
from .supervised import SupervisedTrainer
from .unimatch import UniMatchTrainer

__all__ = [
    "Batch",
    "CctTrainer",
    "CrossModelTrainer",
    "Distillation",
    "Losses",
    "StudentTrainer",
    "SupervisedTrainer",
    "Trainer",
    "UniMatchTrainer",
]
