"""What a method of training is, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from ...core.metrics import Confusion, Scores
from ...core.models.network_spec import NetworkSpec
from ...core.trainers import Trainer
from ..fit import History, Run, Stage
from ..presets import TrainingSettings

__all__ = ["ALL", "Method", "Trained", "fit_all"]

ALL = (0.0, 1.0)


@dataclass(frozen=True)
class Trained:
    """What a method's training gives.

    Attributes:
        kept: name of the network that is the result.
        spec: that network.
        networks: all that were trained, each in the state that is kept, by name.
        histories: of its trainings, by their stages, in their order.
    """

    kept: str
    spec: NetworkSpec
    networks: Mapping[str, nn.Module]
    histories: Mapping[Stage, History] = field(default_factory=dict)

    @property
    def network(self) -> nn.Module:
        """The network that is the result."""
        return self.networks[self.kept]

    @property
    def counts(self) -> Mapping[str, Confusion]:
        """Pixels of what is held out, counted for every network in the state that is kept."""
        return {name: counts for history in self.histories.values() for name, counts in history.counts.items()}

    @property
    def scores(self) -> Mapping[str, Scores]:
        """Of these counts."""
        return {name: counts.scores() for name, counts in self.counts.items()}

    @property
    def seconds(self) -> float:
        """How long its trainings took."""
        return sum(history.seconds for history in self.histories.values())


def _unchanged(settings: TrainingSettings) -> TrainingSettings:
    return settings


@dataclass(frozen=True)
class Method:
    """A way to train.

    Attributes:
        title: what it trains and how, for people.
        train: does it, in a run of `settings`.
        unlabelled: whether it learns from imagery without labels, too.
        settings: those that it trains with, from the user's: some methods prescribe a few.
    """

    title: str
    train: Callable[[Run], Trained]
    unlabelled: bool = True
    settings: Callable[[TrainingSettings], TrainingSettings] = _unchanged


def fit_all(run: Run, trainer: Trainer, kept: str, spec: NetworkSpec, stage: Stage) -> Trained:
    """Trains in one stage, the whole of the run."""
    history = run.fit(trainer, stage)
    return Trained(kept, run.for_bands(spec), trainer.networks, {stage: history})
