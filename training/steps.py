"""One step of a training: losses, gradients, weights; of several processes, each gives its part."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..core.distributed import world_size
from ..core.models.devices import training_precision
from ..core.trainers import Batch, Losses, Trainer
from .checkpoints import State
from .presets import TrainingSettings

__all__ = ["StepTaker", "learning_rate"]

_LEAST_LEARNING_RATE = 1e-6
_POWER = 0.9


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """The learning rate of a step, counted from 0: polynomial decay (power 0.9, least 1e-6) or a half cosine.

    It never rises: one that starts lower than the least stays as it is.
    """
    done = step / settings.steps
    if settings.schedule == "poly":
        least = min(_LEAST_LEARNING_RATE, settings.learning_rate)
        return max(least, settings.learning_rate * math.pow(1 - done, _POWER))
    return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2


class StepTaker:
    """Takes the steps of a training: losses, gradients (the mean over the processes), weights."""

    def __init__(self, trainer: Trainer, settings: TrainingSettings, device: torch.device) -> None:
        self._settings, self._device = settings, device
        self._losses: nn.Module = _LossesOf(trainer)
        if world_size() > 1:
            # Some parameters rest while a term of the loss is not there yet.
            self._losses = DistributedDataParallel(self._losses, find_unused_parameters=True)
        self._optimiser = _optimiser(trainer.trained, settings)
        self._precision = training_precision(device)
        # Half precision lacks the range of bfloat16: its gradients are scaled.
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._precision is torch.float16)

    def state(self) -> State:
        return {"optimiser": self._optimiser.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state(self, state: State) -> None:
        self._optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:  # none where the steps were taken in another precision
            self._scaler.load_state_dict(state["scaler"])

    def step(self, batch: Batch, step: int) -> Losses:
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self._settings, step)
        mixed = self._precision is not torch.float32
        with torch.autocast(self._device.type, self._precision if mixed else None, enabled=mixed):
            losses: Losses = self._losses(batch.to(self._device), step / self._settings.steps)
        self._optimiser.zero_grad(set_to_none=True)
        total = self._scaler.scale(torch.stack(list(losses.values())).sum())
        total.backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return losses


class _LossesOf(nn.Module):
    """A trainer as the module that DistributedDataParallel wraps: forward gives the losses."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self._trainer = trainer
        self.trained = trainer.trained

    def forward(self, batch: Batch, progress: float) -> Losses:
        return self._trainer.losses(batch, progress)


def _optimiser(trained: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    match settings.optimiser:
        case "sgd":
            return torch.optim.SGD(trained.parameters(), settings.learning_rate, momentum=0.9, weight_decay=1e-4)
        case "adamw":
            return torch.optim.AdamW(trained.parameters(), settings.learning_rate, weight_decay=1e-2)
