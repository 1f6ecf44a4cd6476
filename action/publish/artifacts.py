"""What is kept of a run: each file's name, kind and hash, and its content when it is asked for.

A run may leave a thousand files; their content stays on disk until it is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from controlplane.ids import artifact_id
from controlplane.report import ArtifactNote

MAX_BYTES = 20 * 2**20
MAX_FILES = 2000
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".xml": "application/xml",
    ".trx": "application/xml",
    ".md": "text/markdown; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".info": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".patch": "text/x-diff; charset=utf-8",
    ".sarif": "application/sarif+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webm": "video/webm",
    ".zip": "application/zip",
}
# Packed already; the evidence bundle is a zip that packs nothing.
DENSE = (".png", ".jpg", ".jpeg", ".webm", ".zip")
# People open these from the mail, so they are what their name says wherever they lie.
OPENED = ("report.html", "report.md", "summary.json", "verdict.json", "change.patch")
PACKED_FROM_BYTES = 16 * 2**10
# Of isal's 0 to 3: on reports and logs five times as fast as zlib at its fastest, and no larger.
LEVEL = 2


@dataclass(frozen=True)
class Artifact:
    """`name` is shown to people; the storage key is made of ids only. `size` and `sha256` are those of the content.

    `read` gives the content with every secret cut out, from disk where it lies there; `is_current` says whether it is
    still the one that was noted.
    """

    kind: str
    name: str
    size: int
    sha256: str
    read: Callable[[], bytes]
    is_current: Callable[[], bool] = lambda: True

    @property
    def content_type(self) -> str:
        return TYPES.get(Path(self.name).suffix, "application/octet-stream")

    @property
    def encoding(self) -> str:
        """`gzip` for what is packed before it is stored: larger texts, and the bundle. Known by name and size alone."""
        suffix = Path(self.name).suffix
        is_text = self.kind == "bundle" or (suffix in TYPES and suffix not in DENSE)
        return "gzip" if is_text and self.size >= PACKED_FROM_BYTES and self.name not in OPENED else ""

    def identity(self, run_id: str) -> str:
        """The same object of the same run has the same id, so that sending it twice keeps it once.

        Two releases of what packs may make different bytes of the same content, which are different objects.
        """
        packed_by = f" {self.encoding} {LEVEL} {_packer_version()}" if self.encoding else ""
        return artifact_id(run_id, self.name, self.sha256 + packed_by)

    def note(self, run_id: str) -> ArtifactNote:
        return ArtifactNote(
            id=self.identity(run_id),
            kind=self.kind,
            name=self.name,
            content_type=self.content_type,
            size=self.size,
            sha256=self.sha256,
        )


def artifact_of(kind: str, name: str, data: bytes) -> Artifact:
    """From bytes that hold no secret."""
    return Artifact(kind, name, len(data), hashlib.sha256(data).hexdigest(), lambda: data)


def artifact_in(kind: str, name: str, path: Path, secrets: tuple[str, ...]) -> Artifact:
    """From a file, of which the first MAX_BYTES are kept."""
    noted = _stamp(path)
    raw = _read(path)
    data = redact(raw, secrets)
    # Half a gigabyte is not searched twice for what it does not hold.
    held = secrets if data != raw else ()

    def is_current() -> bool:
        return _stamp(path) == noted

    def read() -> bytes:
        again = _read(path)
        return redact(again, held if is_current() else secrets)

    return Artifact(kind, name, len(data), hashlib.sha256(data).hexdigest(), read, is_current)


def pack(data: bytes, encoding: str) -> bytes:
    """The object's bytes; without a time in them, so that they are the same each time."""
    from isal import igzip

    return igzip.compress(data, LEVEL, mtime=0) if encoding == "gzip" else data


def collect_files(folders: Iterable[tuple[str, Path]], secrets: tuple[str, ...]) -> Iterator[Artifact]:
    """Plain files of the folders as (prefix, folder); links are not followed, what is too large keeps its beginning."""
    count = 0
    for prefix, folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if path.is_symlink() or not path.is_file() or count >= MAX_FILES:
                continue
            count += 1
            name = f"{prefix}{path.relative_to(folder).as_posix()}"
            yield artifact_in(kind_of(name), name, path, secrets)


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


def _packer_version() -> str:
    import isal

    return str(isal.__version__)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES)


def _stamp(path: Path) -> tuple[int, int, int]:
    """Another one after the file was written to."""
    told = path.stat()
    return told.st_ino, told.st_size, told.st_mtime_ns
