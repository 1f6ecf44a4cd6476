"""A secret that no repr, log line or trace shows.

Pydantic's SecretStr is one, too. Where nothing else of pydantic is needed, importing it takes a third of a function's
cold start, so what functions are told of their environment is held in `Hidden`.
"""

from __future__ import annotations

from typing import Protocol


class Secret(Protocol):
    """What holds a secret and gives it to whoever asks for it by this name."""

    def get_secret_value(self) -> str: ...


class Hidden:
    """A secret text; stars to everybody who only looks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Hidden('{'**********' if self._value else ''}')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


NO_SECRET = Hidden("")
