"""`aicd` called in this process: what it said, and with which code it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from local.cli import run


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Aicd = Callable[..., Said]


def speaker(capsys: pytest.CaptureFixture[str], *verb: str) -> Aicd:
    """Calls `aicd VERB …` with the arguments that it is given."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        return Said(run([*verb, *arguments]), *capsys.readouterr())

    return call
