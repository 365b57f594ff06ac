"""How a process asks for memory."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["share_heap"]

_OWN_MAPPING = 4 * 2**20  # bytes; more than a tile takes


def share_heap() -> None:
    """Has all threads share glibc's heap, and give back at once what is large: it would keep them at their most."""
    mmap_threshold, most_arenas = -3, -8  # M_MMAP_THRESHOLD and M_ARENA_MAX in malloc.h
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(most_arenas, 1)
        mallopt(mmap_threshold, _OWN_MAPPING)
