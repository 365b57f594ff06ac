"""What pydantic found wrong, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

__all__ = ["explain", "in_json"]


def explain(error: ValidationError) -> str:
    """What is wrong, in the words of the fields or of their own checks, without a full stop."""
    return "; ".join(map(_words, error.errors()))


def in_json(content: Mapping[str, Any]) -> str:
    """What TOML or a data class holds, to be checked strictly: in JSON, text may be a path and a list a tuple."""
    return json.dumps(content, default=str)


def _words(problem: Mapping[str, Any]) -> str:
    # A check of our own says in a sentence what is wrong with what; pydantic puts "Value error, " before it.
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"]).removesuffix(".")
    got = f", got {problem['input']!r}" if isinstance(problem["input"], str | int | float) else ""
    return f"{'.'.join(str(part) for part in problem['loc']) or 'input'}: {problem['msg']}{got}"
