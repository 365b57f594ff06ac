"""Importing what takes long, PyTorch above all, as fast as Python can."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["importing"]

# What is left out for good when Python ends, libraries would call leaks.
atexit.register(gc.unfreeze)


@contextmanager
def importing() -> Iterator[None]:
    """Has Python look for no garbage in what is imported inside, then or later.

    There is none, and to look for it again and again takes a fifth of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
