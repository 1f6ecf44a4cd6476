"""What happened, told as it happens: to the log, to `events.jsonl` in the run folder, and to the control plane."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from action.console import Console
from action.runfolder import RunFolder
from controlplane.errors import AicdError
from controlplane.states import Phase


class Records(Protocol):
    """The part of controlplane's RunnerStore that a run's story is written to."""

    def record_event(self, run_id: str, phase: str, message: str, metadata: dict[str, Any]) -> Any: ...

    def record_execution(self, run_id: str, execution: dict[str, Any]) -> Any: ...


class Journal:
    """`records` is None for a run that no control plane knows. A story that cannot be told never stops the work.

    No secret is in what it tells, at whatever depth of an event or an execution it stood.
    `ci_attempt` counts how often the run's CI run was begun.
    """

    def __init__(
        self, folder: RunFolder, console: Console, run_id: str, records: Records | None, ci_attempt: int = 1
    ) -> None:
        self._folder = folder
        self._console = console
        self._run_id = run_id
        self._records = records
        self._ci_attempt = ci_attempt

    def event(self, phase: Phase, message: str, **metadata: Any) -> None:
        message, metadata = self.redact(message), self.redact(metadata)
        self._console.say(f"{phase.value}: {message}")
        entry = {"at": now(), "phase": phase.value, "message": message, "metadata": metadata}
        self._folder.append("events.jsonl", entry)
        self._try("event", lambda records: records.record_event(self._run_id, phase.value, message, metadata))

    def execution(self, iteration: int, execution: Mapping[str, Any]) -> None:
        """One agent execution; telling it twice records it once."""
        number = execution_id(self._run_id, self._ci_attempt, str(iteration))
        entry = {"id": number, "iteration": iteration, **self.redact(execution)}
        self._folder.append("executions.jsonl", entry)
        self._try("execution", lambda records: records.record_execution(self._run_id, entry))

    def redact(self, value: Any) -> Any:
        """Texts, and what holds them, without secrets; names of fields too."""
        if isinstance(value, str):
            return self._console.redact(value)
        if isinstance(value, Mapping):
            return {self.redact(name): self.redact(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.redact(item) for item in value)
        return value

    def _try(self, what: str, tell: Any) -> None:
        if self._records is None:
            return
        try:
            tell(self._records)
        except AicdError as error:
            self._console.warning(f"The control plane did not take an {what}: {error}")


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def execution_id(run_id: str, ci_attempt: int, name: str) -> str:
    """A CI run that is begun again works again, and what its attempt before did stays recorded."""
    return str(uuid.uuid5(uuid.UUID(run_id), f"execution/{ci_attempt}/{name}"))
