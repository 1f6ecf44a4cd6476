"""What is kept of a run, and its way to Storage: bytes first, then the row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from controlplane.ids import artifact_id
from controlplane.report import ArtifactNote

MAX_BYTES = 20 * 2**20
MAX_FILES = 200
UPLOADS_AT_ONCE = 4
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".xml": "application/xml",
    ".md": "text/markdown; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".patch": "text/x-diff; charset=utf-8",
    ".png": "image/png",
    ".sarif": "application/sarif+json",
    ".zip": "application/zip",
}


class ArtifactStore(Protocol):
    """The part of controlplane's RunnerStore that takes artifacts."""

    def put_artifact(self, run_id: str, artifact_id: str, content: bytes, content_type: str) -> str: ...

    def record_artifact(self, run_id: str, artifact: dict[str, Any]) -> Any: ...


@dataclass(frozen=True)
class Artifact:
    """`name` is shown to people; the storage key is made of ids only."""

    kind: str
    name: str
    data: bytes

    @property
    def content_type(self) -> str:
        return TYPES.get(Path(self.name).suffix, "application/octet-stream")

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def identity(self, run_id: str) -> str:
        """The same content of the same run has the same id, so that sending it twice keeps it once."""
        return artifact_id(run_id, self.name, self.sha256)

    def note(self, run_id: str) -> ArtifactNote:
        return ArtifactNote(
            id=self.identity(run_id),
            kind=self.kind,
            name=self.name,
            content_type=self.content_type,
            size=len(self.data),
            sha256=self.sha256,
        )


def collect_files(folders: Iterable[tuple[str, Path]], secrets: tuple[str, ...]) -> Iterator[Artifact]:
    """Plain files of the folders as (prefix, folder); links are not followed, what is too large keeps its beginning."""
    count = 0
    for prefix, folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if path.is_symlink() or not path.is_file() or count >= MAX_FILES:
                continue
            count += 1
            name = f"{prefix}{path.relative_to(folder).as_posix()}"
            with path.open("rb") as file:
                yield Artifact(kind=kind_of(name), name=name, data=redact(file.read(MAX_BYTES), secrets))


def kind_of(name: str) -> str:
    """The word by which people look for an artifact."""
    if "junit" in name or name.endswith(".xml"):
        return "junit"
    if "coverage" in name:
        return "coverage"
    return "log" if name.startswith("logs/") else "evidence"


def redact(data: bytes, secrets: tuple[str, ...]) -> bytes:
    for secret in secrets:
        data = data.replace(secret.encode(), b"***")
    return data


def upload(store: ArtifactStore, run_id: str, artifacts: Iterable[Artifact]) -> None:
    """Send all, a few at once; the first error is raised when the others are through."""
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for done in [pool.submit(_send, store, run_id, artifact) for artifact in artifacts]:
            done.result()


def _send(store: ArtifactStore, run_id: str, artifact: Artifact) -> None:
    identity = artifact.identity(run_id)
    path = store.put_artifact(run_id, identity, artifact.data, artifact.content_type)
    row = {**artifact.note(run_id).model_dump(mode="json"), "storage_path": path}
    store.record_artifact(run_id, row)
