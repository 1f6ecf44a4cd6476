"""Sending artifacts: a few at once, bytes first, then the row, so that no row names an object that is not there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from action.publish.artifacts import Artifact, artifact_of, pack
from action.publish.shelves import Shelf
from controlplane.errors import AicdError

UPLOADS_AT_ONCE = 6  # of 20 MiB each at the most
# Each of these was tried again and again; a place that refuses so many will refuse the rest, which would take hours.
MOST_REFUSALS = 5


class Ledger(Protocol):
    """The part of controlplane's RunnerStore that notes artifacts."""

    def record_artifact(self, run_id: str, artifact: dict[str, Any]) -> Any: ...


def upload(shelf: Shelf, ledger: Ledger | None, run_id: str, artifacts: Iterable[Artifact]) -> None:
    """Send all; the first error is raised when the others are through, or MOST_REFUSALS were refused.

    Without a ledger the objects are stored, and nothing else knows of them.
    """
    troubles: list[AicdError] = []

    def send(artifact: Artifact) -> None:
        if len(troubles) >= MOST_REFUSALS:
            return
        try:
            _send(shelf, ledger, run_id, artifact)
        except AicdError as error:
            troubles.append(error)

    _each(send, artifacts)
    if troubles:
        raise troubles[0]


def _each(work: Callable[[Artifact], None], artifacts: Iterable[Artifact]) -> None:
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for done in [pool.submit(work, artifact) for artifact in artifacts]:
            done.result()


def _send(shelf: Shelf, ledger: Ledger | None, run_id: str, artifact: Artifact) -> None:
    data = artifact.read()
    if hashlib.sha256(data).hexdigest() != artifact.sha256:
        # Written to since it was noted, as a log may be: what is stored and what is said of it must be one thing.
        artifact = artifact_of(artifact.kind, artifact.name, data)
    identity = artifact.identity(run_id)
    packed = pack(data, artifact.encoding)
    path = shelf.put(run_id, identity, packed, artifact.content_type, artifact.encoding)
    if ledger is not None:
        row = artifact.note(run_id).model_dump(mode="json")
        places = {"storage_path": path, "store": shelf.store, "encoding": artifact.encoding or None}
        ledger.record_artifact(run_id, row | {name: value for name, value in places.items() if value})
