"""The training loop: batches, optimiser, validation; the best network of each name is kept."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..core.ahead import map_ahead
from ..core.distributed import mean_over_processes, rank, share_buffers, world_size
from ..core.errors import CancelledError, SettingError, lacks_memory
from ..core.geodata.rasters import RasterReader
from ..core.labels import IGNORE
from ..core.metrics import Confusion, Scores, confusion
from ..core.models.inference import predictor
from ..core.models.network_spec import NetworkSpec
from ..core.models.networks import build_network
from ..core.reporting import Reporter, duration
from ..core.trainers import Batch, Losses, Trainer
from .checkpoints import Checkpoints, State
from .data import TrainingData, read_labelled
from .presets import TrainingSettings
from .sampler import Sampler
from .steps import StepTaker, learning_rate

__all__ = ["READING_THREADS", "History", "Run", "Stage", "count", "seed_torch"]

Tensors = tuple[Tensor, ...] | list[Tensor]

READING_THREADS = 2
_LOGGED = 200


@dataclass(frozen=True)
class Stage:
    """Which part of a run a training is.

    Attributes:
        name: of its checkpoint.
        number: tells its random numbers apart; trainings of one number learn from the same windows.
        text: what it is called.
        start: share of the job that is done when it starts, from 0 to 1.
        end: share of the job that is done when it ends.
    """

    name: str
    number: int
    text: str
    start: float
    end: float


@dataclass
class History:
    """What happened in a training.

    Attributes:
        steps: at which the losses were noted.
        losses: by term, at `steps`; NaN where a term was not there yet.
        learning_rates: at `steps`.
        validated: steps after which the networks were validated.
        scores: by network, at `validated`.
        counts: the pixel counts of the state that was kept, by network.
        seconds: how long it took.
        validating: seconds of these that validation took.
        waiting: seconds of these in which the next batch was still being read and augmented.
    """

    steps: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)
    learning_rates: list[float] = field(default_factory=list)
    validated: list[int] = field(default_factory=list)
    scores: dict[str, list[Scores]] = field(default_factory=dict)
    counts: dict[str, Confusion] = field(default_factory=dict)
    seconds: float = 0.0
    validating: float = 0.0
    waiting: float = 0.0

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> History:
        """The history that `asdict` made plain."""
        scores = {name: [Scores(**each) for each in values] for name, values in plain["scores"].items()}
        counts = {name: Confusion(**values) for name, values in plain["counts"].items()}
        return cls(**{**plain, "scores": scores, "counts": counts})

    @property
    def kept(self) -> dict[str, Scores]:
        """The scores of the state that was kept, by network."""
        return {name: counts.scores() for name, counts in self.counts.items()}

    def note_losses(self, step: int, losses: Mapping[str, float], rate: float) -> None:
        """Adds the losses of a step; a term that is new starts with NaN for what was before it."""
        for name in losses:
            self.losses.setdefault(name, [math.nan] * len(self.steps))
        for name, values in self.losses.items():
            values.append(losses.get(name, math.nan))
        self.steps.append(step)
        self.learning_rates.append(rate)

    def note_counts(self, step: int, counts: Mapping[str, Confusion], keep: Literal["best", "last"]) -> list[str]:
        """Adds the counts after a step; returns the networks whose present state is to be kept."""
        scores, kept = {name: each.scores() for name, each in counts.items()}, self.kept
        self.validated.append(step)
        for name, score in scores.items():
            self.scores.setdefault(name, []).append(score)
        worth_keeping = [
            name
            for name, score in scores.items()
            if keep == "last" or name not in kept or _comparable(score) > _comparable(kept[name])
        ]
        self.counts |= {name: counts[name] for name in worth_keeping}
        return worth_keeping

    def latest(self) -> list[str]:
        """The last total of the losses and the last IoU, once known: `loss 0.41`, `IoU 0.58`."""
        known = []
        if self.steps:
            known.append(f"loss {sum(values[-1] for values in self.losses.values() if not math.isnan(values[-1])):.2f}")
        if self.scores:
            known.append(f"IoU {_ious({name: scores[-1] for name, scores in self.scores.items()})}")
        return known


@dataclass(frozen=True)
class Run:
    """What every training of a run shares.

    Attributes:
        data: what is learned from.
        settings: how.
        device: where.
        reader: reads the rasters.
        reporter: hears of the progress, and may stop the work.
        checkpoints: where to note how far the run is, and to go on from; None for nowhere.
    """

    data: TrainingData
    settings: TrainingSettings
    device: torch.device
    reader: RasterReader
    reporter: Reporter
    checkpoints: Checkpoints | None = None

    def fit(self, trainer: Trainer, stage: Stage) -> History:
        """Trains for `settings.steps` steps; leaves each of the trainer's networks in the state that is kept.

        Raises:
            SettingError: if the losses are no numbers any more, or the checkpoint is damaged or of another version.
            CancelledError: where the user asked to stop.
        """
        settings = self.settings
        _synchronise(trainer.trained, self.device)
        trainer.trained.to(self.device).to(memory_format=torch.channels_last).train()
        progress = _Progress(trainer, settings, self.device)
        self._resume(progress, stage)
        sampler = Sampler(
            self.data, settings.batch, (settings.seed, stage.number), settings.augment, self.reader, rank()
        )
        clock = _Clock(stage, settings.steps, progress)
        steps = range(progress.done, settings.steps)
        with closing(map_ahead(sampler.batch, steps, READING_THREADS, ahead=4)) as batches:
            try:
                # It may have been stopped in the midst of a validation.
                self._validate_if_due(progress, clock, stage)
                for step, batch in zip(steps, _timed(batches, progress.history), strict=True):
                    seed_torch(settings.seed, stage.number, step, rank())
                    losses = progress.step(batch, step)
                    if _is_due(step, settings.steps, _LOGGED):
                        progress.history.note_losses(step + 1, _numbers(losses), learning_rate(settings, step))
                    self._validate_if_due(progress, clock, stage)
                    self.reporter.progress(*clock.tell())
            except CancelledError:
                self._note(progress, clock, stage)
                raise
        for name, network in trainer.networks.items():
            network.load_state_dict(progress.kept[name])
        progress.history.seconds = clock.seconds
        if steps:
            self.reporter.info(_summary(stage, progress.history))
        return progress.history

    def build(self, spec: NetworkSpec, number: int) -> nn.Module:
        """A network for the bands of the data; `number` tells the initial weights of networks of one seed apart."""
        seed_torch(self.settings.seed, 0, number)
        return build_network(self.for_bands(spec), self.settings.weights, self.settings.batch_norm_momentum)

    def for_bands(self, spec: NetworkSpec) -> NetworkSpec:
        """The network's description with as many bands as the data has."""
        return replace(spec, in_channels=len(self.data.normalisation.mean))

    def _validate_if_due(self, progress: _Progress, clock: _Clock, stage: Stage) -> None:
        """Validates after the last step, if that is due and not done, and notes how far the training is."""
        done, settings = progress.done, self.settings
        if done and done not in progress.history.validated and _is_due(done - 1, settings.steps, settings.validations):
            self._validate(progress, clock)
            self._note(progress, clock, stage)

    def _validate(self, progress: _Progress, clock: _Clock) -> None:
        def tell(share: float) -> None:
            self.reporter.progress(*clock.tell(f"validating {share:.0%}"))

        networks, started = progress.candidates(), time.monotonic()
        # On the CPU each process has statistics of its own batches: the scores are to be of the network that is kept.
        for network in networks.values():
            share_buffers(network)
        counts = count(networks, self.data, self.device, self.reader, tell)
        for name in progress.history.note_counts(progress.done, counts, self.settings.keep):
            progress.kept[name] = copy.deepcopy(networks[name].state_dict())
        progress.history.validating += time.monotonic() - started

    def _resume(self, progress: _Progress, stage: Stage) -> None:
        state = self.checkpoints.load(stage.name, self.settings) if self.checkpoints else None
        if self.checkpoints is None or state is None:
            return
        try:
            progress.load_state(state)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if lacks_memory(error):
                raise
            raise SettingError(
                f"The checkpoint {self.checkpoints.path(stage.name, self.settings)} is of another version of SSLKD, "
                "which cannot be gone on from; remove it to start anew."
            ) from error
        self.reporter.info(f"Going on from a checkpoint: {stage.text}, {progress.done}/{self.settings.steps}.")

    def _note(self, progress: _Progress, clock: _Clock, stage: Stage) -> None:
        if self.checkpoints:
            progress.history.seconds = clock.seconds
            self.checkpoints.save(stage.name, self.settings, progress.state())


def seed_torch(*numbers: int) -> None:
    """Seeds PyTorch's global generators (drop-out, initial weights) from several numbers."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))


def count(
    networks: Mapping[str, nn.Module],
    data: TrainingData,
    device: torch.device,
    reader: RasterReader,
    tell: Callable[[float], object] = lambda share: None,
) -> dict[str, Confusion]:
    """Pixel counts of each network on the held-out windows; the networks go on training afterwards.

    Several processes share the windows. Of a large area there are thousands: before each, what share of them is done
    is told.
    """
    predictors = {name: predictor(network, device) for name, network in networks.items()}
    totals = dict.fromkeys(networks, Confusion())
    windows = data.validation[rank() :: world_size()]
    for number, window in enumerate(windows):
        tell(number / len(windows))
        images, labels = read_labelled(window, data, reader)
        if (labels == IGNORE).all():
            continue
        for name, predict in predictors.items():
            totals[name] += confusion(predict(images[None])[0] >= 0.5, labels)
    for network in networks.values():
        network.train()
    return {name: _over_processes(total, device) for name, total in totals.items()}


def _timed(batches: Iterator[Batch], history: History) -> Iterator[Batch]:
    """The batches; notes how long each was waited for."""
    while True:
        started = time.monotonic()
        try:
            batch = next(batches)
        except StopIteration:
            return
        history.waiting += time.monotonic() - started
        yield batch


def _over_processes(total: Confusion, device: torch.device) -> Confusion:
    # In float64 every count below 2**53 is exact, and so is the sum of them.
    counts = torch.tensor(astuple(total), dtype=torch.float64, device=device)
    return Confusion(*(round(count) for count in (mean_over_processes(counts) * world_size()).tolist()))


class _Clock:
    """Tells how far a training is and how long it has taken."""

    def __init__(self, stage: Stage, steps: int, progress: _Progress) -> None:
        self._stage, self._steps, self._progress = stage, steps, progress
        # What it took before a stop counts, too.
        self._started = time.monotonic() - progress.history.seconds

    @property
    def seconds(self) -> float:
        """How long the training has taken, before a stop and since."""
        return time.monotonic() - self._started

    def tell(self, *further: str) -> tuple[float, str]:
        """Share of the job that is done, and a line such as `step 2 of 2, 340/1500, loss 0.41, IoU 0.58`."""
        done, stage = self._progress.done, self._stage
        parts = [f"{stage.text}, {done}/{self._steps}", *self._progress.history.latest(), *further]
        return stage.start + done / self._steps * (stage.end - stage.start), ", ".join(parts)


class _Progress:
    """Where a training stands: its steps done, its history, and the states of its networks that are kept."""

    def __init__(self, trainer: Trainer, settings: TrainingSettings, device: torch.device) -> None:
        self.optimiser = StepTaker(trainer, settings, device)
        self.done = 0
        self.history = History()
        self.kept: dict[str, dict[str, Any]] = {}
        self._trainer = trainer
        self._averages = _averages(trainer.networks, settings.average)

    def step(self, batch: Batch, step: int) -> Losses:
        """Takes a step and returns its losses."""
        losses = self.optimiser.step(batch, step)
        for name, average in self._averages.items():
            average.update_parameters(self._trainer.networks[name])
        self.done = step + 1
        return losses

    def candidates(self) -> dict[str, nn.Module]:
        """The networks whose states may be kept: those that are trained, or the averages of their weights."""
        return {
            name: self._averages[name].module if name in self._averages else network
            for name, network in self._trainer.networks.items()
        }

    def state(self) -> State:
        return {
            "done": self.done,
            "trained": self._trainer.trained.state_dict(),
            "averages": {name: average.state_dict() for name, average in self._averages.items()},
            "optimiser": self.optimiser.state(),
            "history": asdict(self.history),
            "kept": self.kept,
        }

    def load_state(self, state: State) -> None:
        self.done, self.kept = state["done"], state["kept"]
        self._trainer.trained.load_state_dict(state["trained"])
        for name, average in self._averages.items():
            average.load_state_dict(state["averages"][name])
        self.optimiser.load_state(state["optimiser"])
        self.history = History.of(state["history"])


def _averages(networks: Mapping[str, nn.Module], decay: float) -> dict[str, AveragedModel]:
    """Running averages of the weights and statistics of networks; none where the decay is 0."""
    if decay == 0:
        return {}

    def average(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        # At first the mean of all so far: what a network began with would else weigh for thousands of steps.
        update = get_ema_multi_avg_fn(min(decay, 1 - 1 / (int(count) + 1)))  # type: ignore[no-untyped-call]
        update(averaged, current, count)

    return {name: AveragedModel(network, multi_avg_fn=average, use_buffers=True) for name, network in networks.items()}


def _synchronise(trained: nn.ModuleDict, device: torch.device) -> None:
    """Makes batch norms see the batches of all processes; PyTorch has that on GPUs alone."""
    if world_size() > 1 and device.type == "cuda":
        for name, network in trained.items():
            trained[name] = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]


def _summary(stage: Stage, history: History) -> str:
    """What a training came to: `Step 2 of 2 (student) took 4 min: IoU 0.58 ...`."""
    name = stage.text[0].upper() + stage.text[1:]
    return f"{name} took {duration(history.seconds)}: IoU {_ious(history.kept)} on the validation area."


def _is_due(step: int, steps: int, times: int) -> bool:
    """Whether something done `times` times, evenly and lastly at the end, is due after this step."""
    return (step + 1) * times // steps > step * times // steps


def _numbers(losses: Losses) -> dict[str, float]:
    values = mean_over_processes(torch.stack(list(losses.values())).detach())
    numbers = dict(zip(losses, values.tolist(), strict=True))
    if not all(map(math.isfinite, numbers.values())):
        raise SettingError("The training diverged: a loss is no number any more. Choose a lower learning rate.")
    return numbers


def _ious(scores: Mapping[str, Scores]) -> str:
    """The IoU of a single network, or those of several with their names."""
    shown = {name: "undefined" if math.isnan(each.iou) else f"{each.iou:.2f}" for name, each in scores.items()}
    if len(shown) == 1:
        return next(iter(shown.values()))
    return " and ".join(f"{iou} ({name})" for name, iou in shown.items())


def _comparable(scores: Scores) -> float:
    """The IoU to compare by; undefined (no road found, none there) is worst, but no reason to keep nothing."""
    return -1.0 if math.isnan(scores.iou) else scores.iou
