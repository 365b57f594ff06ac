"""One step of each training: named losses from a batch."""

from .batch import Batch, Losses, Trainer
from .cct import CctTrainer
from .cross_model import CrossImages, CrossModelTrainer, CrossSupervision
from .structural import Structural
from .student import Aggregation, Distillation, DistilledImages, FeatureTerm, StudentTrainer, Views
from .supervised import SupervisedTrainer
from .unimatch import UniMatchTrainer

__all__ = [
    "Aggregation",
    "Batch",
    "CctTrainer",
    "CrossImages",
    "CrossModelTrainer",
    "CrossSupervision",
    "Distillation",
    "DistilledImages",
    "FeatureTerm",
    "Losses",
    "Structural",
    "StudentTrainer",
    "SupervisedTrainer",
    "Trainer",
    "UniMatchTrainer",
    "Views",
]
