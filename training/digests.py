"""Digests: what depends on something is known by them to be of it still."""

from __future__ import annotations

import hashlib
import json

__all__ = ["digest_of"]


def digest_of(content: object) -> str:
    """A digest of what JSON can hold, the same whatever the order of its names."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
