"""The values of labels and of road surfaces."""

from __future__ import annotations

__all__ = ["IGNORE", "ROAD"]

ROAD = 1
IGNORE = 255
"""Nothing is known of the pixel: it takes part in no loss and no score."""
