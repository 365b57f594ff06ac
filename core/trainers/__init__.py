"""One step of each training: named losses from a batch."""

from .batch import Batch, Losses, Trainer
from .student import StudentTrainer
from .supervised import SupervisedTrainer
from .teachers import TeachersTrainer

__all__ = ["Batch", "Losses", "StudentTrainer", "SupervisedTrainer", "TeachersTrainer", "Trainer"]
