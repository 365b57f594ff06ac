"""Imagery that holds nothing in places, in each way that a raster can say so."""

import numpy as np

KINDS = ("nodata", "alpha", "nan")


def with_nothing(empty, kind):
    """Pixels of 200 but where `empty` `(H, W)`, and the options that make a raster say so."""
    values = np.where(empty, 0, 200)
    return {
        "nodata": (values[None].astype(np.uint8), {"nodata": 0}),
        "alpha": (
            np.stack([values, values, values, ~empty * 255]).astype(np.uint8),
            {"photometric": "RGB", "alpha": "YES"},
        ),
        "nan": (np.where(empty, np.nan, values)[None].astype(np.float32), {}),
    }[kind]
