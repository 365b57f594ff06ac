"""The values of labels and of road surfaces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["IGNORE", "ROAD", "Labels"]

Labels = npt.NDArray[np.uint8]

ROAD = 1
IGNORE = 255
"""Nothing is known of the pixel: it takes part in no loss and no score."""
