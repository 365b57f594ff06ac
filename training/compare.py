"""A comparison of methods: each row is trained and tested once a seed, and goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from ..core.distributed import broadcast, is_first, world_size
from ..core.errors import (
    TOO_LITTLE_MEMORY,
    ModelFileError,
    NotWholeError,
    SettingError,
    SslkdError,
    WeightsError,
    lacks_memory,
)
from ..core.files import written_whole
from ..core.geodata.rasters import RasterReader
from ..core.images import Mask
from ..core.labels import IGNORE, Labels
from ..core.metrics import Scores
from ..core.models.costs import Costs, measure_costs
from ..core.models.devices import describe_device
from ..core.models.inference import predictor
from ..core.models.model_card import load_card
from ..core.models.model_file import load_network, save_model
from ..core.models.network_spec import NetworkSpec
from ..core.reporting import PartOfJob, Reporter
from ..core.version import own_version
from .checkpoints import Checkpoints
from .comparison_data import ComparisonData
from .configuration import Configuration, LabelSet, Row, row_settings
from .data import TrainingData, read_window
from .digests import digest_of
from .fit import Run, count
from .methods import Trained, find_method
from .presets import TrainingSettings
from .reports.figures import (
    Picture,
    accuracy_against_cost,
    bar_chart,
    masks_side_by_side,
    picture,
    save_png,
    side_by_side,
)
from .reports.results import Result, Split, summarise, write_page, write_table
from .run import model_card

__all__ = ["compare"]

_SHARED_STAGES = ("teachers",)
_PICTURED = 4
_RESULTS: TypeAdapter[list[Result]] = TypeAdapter(list[Result])


@dataclass(frozen=True)
class _Task:
    """One row with one seed.

    Attributes:
        row: the row.
        settings: of its training, its seed among them.
        folder: where its files lie.
        identity: digest of all that its result depends on.
    """

    row: Row
    settings: TrainingSettings
    folder: Path
    identity: str

    @property
    def title(self) -> str:
        """The row and the seed, for people."""
        return f"{self.row.name}, seed {self.settings.seed}"

    @property
    def data(self) -> tuple[int, LabelSet, bool]:
        """What its data depends on: the side of a window, which labels there are, whether imagery without is used."""
        return self.settings.tile, self.row.labels, find_method(self.row.method).unlabelled

    @property
    def model(self) -> Path:
        return self.folder / f"{self.row.slug}.safetensors"

    @property
    def results(self) -> Path:
        return self.folder / f"{self.row.slug}.json"


def compare(
    configuration: Configuration, data: ComparisonData, folder: Path, device: torch.device, reporter: Reporter
) -> list[Result]:
    """Trains and tests every row with every seed; writes the table anew after each, and page and pictures at the end.

    What an earlier call with the same folder finished is not done again, and what it began goes on from its last
    checkpoint, if neither the data nor the settings have changed. A row that fails for itself leaves the others theirs.

    Args:
        configuration: rows and seeds.
        data: what is learned from and tested on.
        folder: gets `table.csv`, `table.html`, pictures, and a folder a seed with models and scores.
        device: where to train.
        reporter: hears of the progress, and may stop the work.

    Returns:
        The results of each row and seed, on the validation and on the test windows.

    Raises:
        SslkdError: before any training if a row cannot be trained on the data, or what an earlier call left is damaged;
            at the end if rows failed; at once if all would, as where the disk is full or an image cannot be read.
        CancelledError: where the user asked to stop.
    """
    tasks = _tasks(configuration, data, folder)
    # All of it now: what cannot be done is said before hours of training.
    training = {key: data.training(*key) for key in dict.fromkeys(task.data for task in tasks)}
    earlier = broadcast([_finished(task) for task in tasks] if is_first() else [])
    results: list[Result] = []
    done: list[_Task] = []
    failed: dict[str, SslkdError] = {}
    costs: dict[NetworkSpec, Costs] = {}
    with RasterReader() as reader:
        for number, (task, finished) in enumerate(zip(tasks, earlier, strict=True)):
            part = PartOfJob(reporter, number / len(tasks), (number + 1) / len(tasks))
            if finished is None:
                part.info(f"{task.title}: row {number + 1} of {len(tasks)}.")
                try:
                    finished = _train_and_test(task, training[task.data], data, device, reader, part, costs)
                except Exception as error:
                    failed[task.title] = _of_the_row(error)
                    part.warning(f"{task.title}: {failed[task.title]}")
                    continue
            results += finished
            done.append(task)
            if is_first():
                write_table(folder / "table.csv", results)
        if results and is_first():
            _write_page(configuration, data, done, results, folder, device, reader)
    if not results:
        raise next(iter(failed.values()))
    if failed:
        raise SettingError(
            f"{len(failed)} of {len(tasks)} rows could not be trained: {'; '.join(failed)}. "
            f"The results of the others are in {folder}; start again to train what is missing."
        )
    return results


def _tasks(configuration: Configuration, data: ComparisonData, folder: Path) -> list[_Task]:
    """Every row with the first seed, then with the next."""
    tasks = []
    for seed in configuration.seeds:
        for row in configuration.rows:
            settings = row_settings(configuration, row, seed)
            identity = digest_of([data.identity, row.method, row.labels, asdict(settings)])
            tasks.append(_Task(row, settings, folder / f"seed-{seed}", identity))
    return tasks


def _of_the_row(error: Exception) -> SslkdError:
    """The sentence of an error that other rows need not meet; any other goes on: all need the disk and the imagery.

    So does each error where several processes train: the others may be waiting for this one in the midst of the row.
    """
    if world_size() == 1 and lacks_memory(error):
        return SettingError(TOO_LITTLE_MEMORY)
    if world_size() > 1 or isinstance(error, NotWholeError) or not isinstance(error, (SettingError, WeightsError)):
        raise error
    return error


def _finished(task: _Task) -> list[Result] | None:
    """The results of a row that was finished with these settings and data, if its model is still there; else None.

    Raises:
        SettingError: if the results or the model are damaged.
    """
    if not (task.results.exists() and task.model.exists()):
        return None
    try:
        content: dict[str, Any] = json.loads(task.results.read_text(encoding="utf-8"))
        if content["identity"] != task.identity:
            return None
        results = _RESULTS.validate_python(content["results"])
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(f"The results {task.results} are damaged; remove the file to train the row anew.") from error
    try:
        load_card(task.model)
    except ModelFileError as error:
        raise SettingError(f"The model {task.model} is damaged; remove the file to train the row anew.") from error
    # The table may call a row otherwise today.
    return [replace(result, method=task.row.name) for result in results]


def _train_and_test(
    task: _Task,
    training: TrainingData,
    data: ComparisonData,
    device: torch.device,
    reader: RasterReader,
    reporter: Reporter,
    costs: dict[NetworkSpec, Costs],
) -> list[Result]:
    task.folder.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(task.folder, f"{data.identity} {task.row.labels}")
    run = Run(training, task.settings, device, reader, reporter, checkpoints)
    trained = find_method(task.row.method).train(run)
    results = _test(task, trained, run, data, costs)
    if is_first():
        save_model(task.model, trained.network, model_card(trained, run))
        with written_whole(task.results) as partial:
            content = {"identity": task.identity, "results": [asdict(result) for result in results]}
            partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    # The other rows of this seed start from the same teachers.
    checkpoints.remove([stage.name for stage in trained.histories if stage.name not in _SHARED_STAGES])
    return results


def _test(
    task: _Task, trained: Trained, run: Run, data: ComparisonData, costs: dict[NetworkSpec, Costs]
) -> list[Result]:
    if trained.spec not in costs:
        costs[trained.spec] = measure_costs(trained.network, trained.spec.in_channels, run.device)
    tested = count({"": trained.network}, data.test, run.device, run.reader)[""]
    splits: dict[Split, Scores] = {"validation": trained.scores[trained.kept], "test": tested.scores()}
    return [
        Result(
            method=task.row.name,
            seed=task.settings.seed,
            split=split,
            scores=scores,
            costs=costs[trained.spec],
            seconds=trained.seconds,
            device=describe_device(run.device),
            version=own_version(),
        )
        for split, scores in splits.items()
    ]


def _write_page(
    configuration: Configuration,
    data: ComparisonData,
    tasks: Sequence[_Task],
    results: Sequence[Result],
    folder: Path,
    device: torch.device,
    reader: RasterReader,
) -> None:
    tested = summarise(results, "test")
    seed = tasks[0].settings.seed
    of_one_seed = [task for task in tasks if task.settings.seed == seed]
    shown = _look(of_one_seed, data.test, device, reader)
    figures = {
        "bars": bar_chart(tested),
        "cost": accuracy_against_cost(tested),
        "tiles": side_by_side(shown.names, shown.pictures, shown.labels, shown.found),
        "masks": masks_side_by_side(shown.names, shown.labels, shown.found),
    }
    for name, figure in figures.items():
        save_png(figure, folder / f"{name}.png")
    facts = {
        "Preset": configuration.preset,
        "Settings of all rows": ", ".join(f"{name} {value}" for name, value in configuration.settings.items()),
        "Seeds": ", ".join(map(str, configuration.seeds)),
        "Data": data.description,
        # An earlier call may have trained some rows elsewhere.
        "Device": "; ".join(dict.fromkeys(result.device for result in results)),
        "SSLKD": "; ".join(dict.fromkeys(result.version for result in results)),
    }
    titled = {
        "Road IoU and F1 on the test tiles": figures["bars"],
        "Accuracy against cost": figures["cost"],
        f"The test tiles with the most road, the same for every method, each trained with seed {seed}": figures[
            "tiles"
        ],
    }
    write_page(folder / "table.html", configuration.title, facts, results, titled)


@dataclass(frozen=True)
class _Shown:
    """Test tiles, and what each row found there."""

    names: list[str]
    pictures: list[Picture]
    labels: list[Labels]
    found: list[list[Mask]]


def _look(tasks: Sequence[_Task], test: TrainingData, device: torch.device, reader: RasterReader) -> _Shown:
    labels = [window.labels(test.tile) for window in test.validation]
    # Tiles with the most road show the most.
    labelled = [k for k, each in enumerate(labels) if (each != IGNORE).any()]
    chosen = sorted(labelled, key=lambda k: -int((labels[k] == 1).sum()))[:_PICTURED]
    windows = [test.validation[k] for k in chosen]
    images = [read_window(window.source, window.window, test, reader)[0] for window in windows]
    # Windows reach beyond tiles whose side is no multiple of what networks take.
    parts = [_part_with_labels(labels[k]) for k in chosen]
    found: list[list[Mask]] = [[] for _ in chosen]
    for task in tasks:
        predict = predictor(load_network(task.model, load_card(task.model)), device)
        for masks, tile, part in zip(found, images, parts, strict=True):
            masks.append((predict(tile[None])[0] >= 0.5)[part])
    return _Shown(
        [task.row.name for task in tasks],
        [picture(tile)[part] for tile, part in zip(images, parts, strict=True)],
        [labels[k][part] for k, part in zip(chosen, parts, strict=True)],
        found,
    )


def _part_with_labels(labels: Labels) -> tuple[slice, slice]:
    """The rows and columns from the first to the last that hold a label."""
    known = labels != IGNORE
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
