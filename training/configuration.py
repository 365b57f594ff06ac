"""What a comparison compares: a TOML file of rows, seeds and data, checked before any training."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.errors import SettingError
from ..core.validation import explain, in_json
from .methods import find_method
from .presets import TrainingSettings
from .settings import changed_settings
from .tiles import MaskKind

__all__ = [
    "Configuration",
    "LabelSet",
    "RastersData",
    "RoadNetData",
    "Row",
    "TilesData",
    "load_configuration",
    "row_settings",
]

LabelSet = Literal["split", "all"]
"""Whether the labels of the split are learned from, or those of the unlabelled tiles, too."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TilesData(_Part):
    """Tiles in folders, split by a JSON file of names.

    Attributes:
        folder: where they lie, within the folder of all data.
        images: folder of the images, within `folder`.
        masks: folder of the masks, of the images' names.
        split: JSON file with the names that are `labelled`, `unlabelled` and `test`.
        mask: how masks tell roads: `labels` (0, 1, 255), `grey` (above 127), `red`.
        gsd: ground sampling distance of the images, in metres.
        resampled_gsd: that of the windows; None for the images' own.
    """

    kind: Literal["tiles"]
    folder: Path
    images: str
    masks: str
    split: str
    mask: MaskKind = "labels"
    gsd: Annotated[float, Field(gt=0)]
    resampled_gsd: Annotated[float | None, Field(gt=0)] = None


class RoadNetData(_Part):
    """The RoadNet data set, cut to tiles: `{train,test}_{image,segment}/<folder>-<row>-<col>.png`."""

    kind: Literal["roadnet"]
    folder: Path
    gsd: Annotated[float, Field(gt=0)] = 0.21


class RastersData(_Part):
    """Rasters with drawn roads, as `sslkd train` takes them, and others to test on.

    Attributes:
        folder: what the other paths start from, within the folder of all data.
        labelled: rasters that roads were drawn on.
        roads: vector files of the roads.
        area: vector files of where all roads were drawn; empty for the whole of the rasters.
        unlabelled: further rasters; empty for what lies outside of the area.
        test: rasters to test on.
        test_roads: vector files of all roads there.
        test_area: vector files of where to test; empty for the whole of the rasters.
        road_width: full width of roads drawn as lines, in metres.
        nodata: a value that counts as nodata besides what the rasters declare.
    """

    kind: Literal["rasters"]
    folder: Path = Path()
    labelled: Annotated[list[str], Field(min_length=1)]
    roads: Annotated[list[str], Field(min_length=1)]
    area: list[str] = []
    unlabelled: list[str] = []
    test: Annotated[list[str], Field(min_length=1)]
    test_roads: Annotated[list[str], Field(min_length=1)]
    test_area: list[str] = []
    road_width: Annotated[float, Field(gt=0)] = 6.0
    nodata: Annotated[float | None, Field(allow_inf_nan=True)] = None


class Row(_Part):
    """One row of the table.

    Attributes:
        name: what the table calls it, in at most 50 characters: files bear it, too.
        method: how it is trained.
        labels: `split` for the labelled tiles, `all` for the labels of the unlabelled ones, too.
        settings: where this row departs from the settings of all.
    """

    name: Annotated[str, Field(min_length=1, max_length=50)]
    method: str
    labels: LabelSet = "split"
    settings: dict[str, Any] = {}

    @property
    def slug(self) -> str:
        """The name as files have it: its letters, of any alphabet, and digits."""
        return re.sub(r"[\W_]+", "-", self.name.lower()).strip("-")


class Configuration(_Part):
    """A comparison.

    Attributes:
        title: what the page is called.
        preset: where the settings start from.
        settings: of all rows, where they depart from the preset.
        seeds: each row is trained once with each.
        data: what is learned from and tested on.
        rows: what is compared.
    """

    title: str
    preset: str
    settings: dict[str, Any] = {}
    seeds: Annotated[list[int], Field(min_length=1)] = [0]
    data: Annotated[TilesData | RoadNetData | RastersData, Field(discriminator="kind")]
    rows: Annotated[list[Row], Field(min_length=1)]


def load_configuration(name: str) -> Configuration:
    """Reads a configuration and checks all that can be checked without the data.

    Args:
        name: a TOML file, or the name of one that comes with SSLKD.

    Raises:
        SettingError: if it cannot be read, or names what there is not; known names are listed.
    """
    text = _read(name)
    try:
        configuration = Configuration.model_validate_json(in_json(tomllib.loads(text)), strict=True)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"The configuration {name} is no TOML: {error}.") from error
    except ValidationError as error:
        raise SettingError(f"The configuration {name} is not understood: {explain(error)}.") from error
    _check(configuration)
    return configuration


def row_settings(configuration: Configuration, row: Row, seed: int) -> TrainingSettings:
    """The settings that a row is trained with.

    Raises:
        SettingError: if the method, a setting or a network is unknown, or a value is out of its range.
    """
    try:
        settings = changed_settings(configuration.preset, configuration.settings, row.settings, {"seed": seed})
        return find_method(row.method).settings(settings)
    except SettingError as error:
        raise SettingError(f"The row '{row.name}': {error}") from error


def _read(name: str) -> str:
    ours = {file.name.removesuffix(".toml"): file for file in files(f"{__package__}.configurations").iterdir()}
    ours = {name: file for name, file in ours.items() if not name.startswith("__")}
    try:
        return ours[name].read_text("utf-8") if name in ours else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"The configuration {name} cannot be read; give a TOML file, or one of {', '.join(sorted(ours))}."
        ) from error


def _check(configuration: Configuration) -> None:
    named: dict[str, str] = {}
    for name, slug in ((row.name, row.slug) for row in configuration.rows):
        if not slug:
            raise SettingError(
                f"The row '{name}' has no letter and no digit, of which the names of its files are made; name it anew."
            )
        if slug in named:
            raise SettingError(
                f"The rows '{named[slug]}' and '{name}' have the same letters and digits, of which the names of their "
                "files are made; give each others."
            )
        named[slug] = name
    if len(set(configuration.seeds)) < len(configuration.seeds):
        raise SettingError(f"A seed is named twice in {', '.join(map(str, configuration.seeds))}; name each once.")
    for row in configuration.rows:
        row_settings(configuration, row, 0)
