"""What a model file says of its model, read without the worker's libraries."""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from .resources import tr

_LONGEST_HEADER = 100 * 2**20  # as the format has it: https://github.com/huggingface/safetensors
# Anyone may have written the file, and QGIS shows this as HTML: no markup, no megabytes.
_NETWORK = re.compile(r"[\w ./:-]{1,201}")


@dataclass(frozen=True)
class ModelFacts:
    """What a model is.

    Attributes:
        network: as architecture/encoder.
        bands: how many it takes.
        gsd: ground sampling distance in metres that it learned at.
        scores: on the validation area, by name.
    """

    network: str
    bands: int
    gsd: float
    scores: dict[str, float]

    def __str__(self) -> str:
        """Return a line for a person."""
        told = [self.network, tr("{} bands").format(self.bands), tr("{:.2f} m").format(self.gsd)]
        named = (("iou", tr("validation IoU {:.3f}")), ("f1", tr("F1 {:.3f}")))
        told += [text.format(self.scores[name]) for name, text in named if name in self.scores]
        return ", ".join(told)


def read_facts(path: str) -> ModelFacts | None:
    """Return what the model in the file is; None if it is no model of SSLKD."""
    try:
        with Path(path).open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, _LONGEST_HEADER)))
        card = json.loads(header["__metadata__"]["sslkd"])
        facts = ModelFacts(
            network=f"{card['network']['architecture']}/{card['network']['encoder']}",
            bands=len(card["normalisation"]["mean"]),
            gsd=float(card["gsd"]),
            scores={name: float(score) for name, score in card["scores"].items()},
        )
    # The third and the fourth come of what is nested deep, and of whole numbers of hundreds of digits.
    except (OSError, struct.error, RecursionError, OverflowError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return facts if _NETWORK.fullmatch(facts.network) and 0 < facts.gsd < math.inf else None
