"""Numbers in sentences."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """`1 test`, `2 tests`; `many` where an s is not enough."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
