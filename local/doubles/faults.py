"""Faults that a test asks an API double to play: what an upstream does on a bad day.

Injected answers are marked and not judged against the published schema: breaking it is their purpose.
"""

from __future__ import annotations

import fnmatch
import threading
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Fault(BaseModel):
    """One planned misbehaviour.

    kind: `status` answers with that status in the provider's error shape; `hang` waits `seconds` before the answer;
    `truncate` closes the connection in the middle of the body; `garbage` answers with text that is no JSON.
    `after_effect` lets the effect happen first, so that only the answer is lost. `path` narrows it to some things, such
    as one mail; `reason` is the provider's word for a `status`, where it has several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: str = "*"
    path: str = "*"
    kind: Literal["status", "hang", "truncate", "garbage"] = "status"
    status: Annotated[int, Field(ge=200, le=599)] = 503
    reason: str = ""
    times: Annotated[int, Field(ge=1)] = 1
    retry_after: int | None = None
    seconds: Annotated[float, Field(ge=0, le=120)] = 0
    after_effect: bool = False


class ApiFaults:
    """The faults still to be played, each consumed as often as planned. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[tuple[Fault, int]] = []
        self.injected = 0

    def plan(self, faults: list[Fault]) -> None:
        """Replaces what was planned; an empty list ends all faults."""
        with self._lock:
            self._planned = [(fault, fault.times) for fault in faults]

    def take(self, operation: str, path: str) -> Fault | None:
        """The next planned fault whose patterns fit the operation and the path."""
        with self._lock:
            for place, (fault, left) in enumerate(self._planned):
                if fnmatch.fnmatchcase(operation, fault.operation) and fnmatch.fnmatchcase(path, fault.path):
                    self._planned[place : place + 1] = [(fault, left - 1)] if left > 1 else []
                    self.injected += 1
                    return fault
        return None
