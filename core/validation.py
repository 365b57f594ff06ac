"""What pydantic found wrong, in words."""

from __future__ import annotations

from pydantic import ValidationError

__all__ = ["explain"]


def explain(error: ValidationError) -> str:
    """What is wrong, in the words of the fields."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'input'}: {problem['msg']}" for problem in error.errors()
    )
