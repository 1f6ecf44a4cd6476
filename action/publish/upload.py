"""Sending artifacts: a few at once, bytes first, then the row, so that no row names an object that is not there."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from action.publish.artifacts import Artifact, artifact_of, pack
from action.publish.shelves import Shelf
from controlplane.errors import AicdError

UPLOADS_AT_ONCE = 6  # of 20 MiB each at the most
ROWS_AT_ONCE = 50
# Each of these was tried again and again; a place that refuses so many will refuse the rest, which would take hours.
MOST_REFUSALS = 5


class Ledger(Protocol):
    """The part of controlplane's RunnerStore that notes artifacts."""

    def record_artifacts(self, run_id: str, artifacts: Sequence[dict[str, Any]]) -> Any: ...


def upload(shelf: Shelf, ledger: Ledger | None, run_id: str, artifacts: Iterable[Artifact]) -> None:
    """Send all; the first error is raised when the others are through, or MOST_REFUSALS were refused.

    Without a ledger the objects are stored, and nothing else knows of them.
    """
    troubles: list[AicdError] = []
    book = _Book(ledger, run_id)

    def send(artifact: Artifact) -> None:
        if len(troubles) >= MOST_REFUSALS:
            return
        try:
            book.note(_store(shelf, run_id, artifact))
        except AicdError as error:
            troubles.append(error)

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for done in [pool.submit(send, artifact) for artifact in artifacts]:
            done.result()
    try:
        book.close()
    except AicdError as error:
        troubles.append(error)
    if troubles:
        raise troubles[0]


class _Book:
    """Notes rows ROWS_AT_ONCE at a time; threads share it."""

    def __init__(self, ledger: Ledger | None, run_id: str) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._rows: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def note(self, row: dict[str, Any]) -> None:
        with self._lock:
            self._rows.append(row)
            full = self._rows if len(self._rows) >= ROWS_AT_ONCE else []
            self._rows = [] if full else self._rows
        self._write(full)

    def close(self) -> None:
        self._write(self._rows)

    def _write(self, rows: list[dict[str, Any]]) -> None:
        if rows and self._ledger is not None:
            self._ledger.record_artifacts(self._run_id, rows)


def _store(shelf: Shelf, run_id: str, artifact: Artifact) -> dict[str, Any]:
    """The row of an object that is stored now."""
    data = artifact.read()
    if not artifact.is_current() and hashlib.sha256(data).hexdigest() != artifact.sha256:
        # Written to since it was noted, as a log may be: what is stored and what is said of it must be one thing.
        artifact = artifact_of(artifact.kind, artifact.name, data)
    packed = pack(data, artifact.encoding)
    path = shelf.put(run_id, artifact.identity(run_id), packed, artifact.content_type, artifact.encoding)
    places = {"storage_path": path, "store": shelf.store, "encoding": artifact.encoding or None}
    return artifact.note(run_id).model_dump(mode="json") | {name: value for name, value in places.items() if value}
