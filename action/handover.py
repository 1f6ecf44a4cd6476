"""Handing the run folder from one job to the next: named files, and one manifest with the SHA-256 of each.

The receiving job believes nothing of what lies in the folder. It is told the manifest's own hash by the workflow, as an
output of the job before; names come from a closed list, sizes are bounded, and only plain files are read. Nothing that
was received is ever run or imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, ValidationError

from controlplane.errors import CallerError
from controlplane.noun import Noun

MANIFEST = "manifest.json"
CHUNK = 2**20
MAX_MANIFEST_BYTES = 2**20
MAX_FILES = 2000
MAX_FILE_BYTES = 300 * 2**20
MAX_OTHER_BYTES = 64 * 2**20  # everything but git's objects
MAX_TOTAL_BYTES = 500 * 2**20
PART = r"[A-Za-z0-9_][][A-Za-z0-9_.+@,=() -]*"
NAME = re.compile(rf"{PART}(/{PART}){{0,8}}")
SHA256 = re.compile(r"[0-9a-f]{64}")
OBJECTS = "change.pack"
Stage = Literal["build", "verify"]
# What each job may hand on: files by their name, folders with all that is in them.
FILES: dict[Stage, tuple[str, ...]] = {
    "build": (
        "run.json", "spec.json", "plan.json", "sprint.json", "build.json", "failure.json", "events.jsonl",
        "executions.jsonl", "ledger.jsonl", OBJECTS,
    ),
    "verify": ("evidence.json", "failure.json"),
}  # fmt: skip
FOLDERS: dict[Stage, tuple[str, ...]] = {"build": ("agent-logs",), "verify": ("reports", "logs")}
# What was decided before any agent ran, in the order of their digest.
ORDERS = ("run.json", "spec.json", "plan.json", "sprint.json")


class HandoverRefused(CallerError):
    """What the job before handed on cannot be trusted."""

    default_code = "handover-refused"


class Entry(Noun):
    """One file: `name` with forward slashes, below the folder; size in bytes."""

    name: str = Field(max_length=400)
    size: int = Field(ge=0, le=MAX_FILE_BYTES)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(Noun):
    """`ci_run` is GitHub's id of the workflow run; `commit` the change that was built or measured, or empty."""

    format: Literal[1] = 1
    stage: Stage
    ci_run: str = Field(default="", max_length=100)
    commit: str = Field(default="", pattern=r"^([0-9a-f]{40})?$")
    files: tuple[Entry, ...] = Field(max_length=MAX_FILES)


def pack(source: Path, target: Path, stage: Stage, ci_run: str, commit: str, secrets: tuple[str, ...] = ()) -> str:
    """Copy what `stage` hands on from the run folder to `target`; the manifest's SHA-256.

    Secrets are cut out of everything but git's objects, which a secret would have had to be committed to. A name that
    the next job would refuse (of an agent's making) is left out.
    """
    entries: list[Entry] = []
    total = 0
    for name in _present(source, stage):
        size = (source / name).lstat().st_size
        most = MAX_FILE_BYTES if name == OBJECTS else MAX_OTHER_BYTES
        if len(entries) >= MAX_FILES - 1 or size > most or total + size > MAX_TOTAL_BYTES:
            if name == OBJECTS:
                raise CallerError("The change is too large to hand on.", "Make the sprint smaller.", "too-large")
            continue
        entries.append(_copy_out(source / name, target, name, () if name == OBJECTS else secrets))
        total += entries[-1].size
    manifest = Manifest(stage=stage, ci_run=ci_run, commit=commit, files=tuple(entries))
    text = json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n"
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    (target / MANIFEST).write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def unpack(folder: Path, target: Path, stage: Stage, digest: str, ci_run: str) -> Manifest:
    """Copy what the manifest names into the run folder, each file checked while it is copied.

    Raises HandoverRefused, which leaves files behind that were checked, never one that was not.
    """
    manifest = _read_manifest(folder, stage, digest)
    if manifest.ci_run != ci_run:
        raise _refused("it is of another workflow run")
    names = [entry.name for entry in manifest.files]
    if len({name.casefold() for name in names}) != len(names):
        raise _refused("it names a file twice")
    if sum(entry.size for entry in manifest.files) > MAX_TOTAL_BYTES:
        raise _refused(f"it holds more than {MAX_TOTAL_BYTES // 2**20} MiB")
    if any(entry.size > MAX_OTHER_BYTES for entry in manifest.files if entry.name != OBJECTS):
        raise _refused(f"it holds a file of more than {MAX_OTHER_BYTES // 2**20} MiB")
    for name in names:
        if not _is_expected(name, stage):
            raise _refused(f"it holds {name[:100]!r}, which this job is not to receive")
    for entry in manifest.files:
        _copy_in(folder, target, entry)
    return manifest


def orders_digest(folder: Path) -> str:
    """One hash over what the run was told to do: taken before the agent runs, compared by every later job."""
    digest = hashlib.sha256()
    for name in ORDERS:
        path = folder / name
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _present(source: Path, stage: Stage) -> Iterator[str]:
    for name in FILES[stage]:
        if _is_plain(source / name):
            yield name
    for folder in FOLDERS[stage]:
        root = source / folder
        paths: Iterable[Path] = sorted(root.rglob("*")) if root.is_dir() and not root.is_symlink() else ()
        for path in paths:
            name = path.relative_to(source).as_posix()
            if _is_plain(path) and _is_expected(name, stage):
                yield name


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_expected(name: str, stage: Stage) -> bool:
    if not NAME.fullmatch(name):
        return False
    return name in FILES[stage] or (PurePosixPath(name).parts[0] in FOLDERS[stage] and "/" in name)


def _copy_out(path: Path, target: Path, name: str, secrets: tuple[str, ...]) -> Entry:
    goal = target / name
    goal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = path.read_bytes()
    for secret in secrets:
        data = data.replace(secret.encode(), b"***")
    goal.write_bytes(data)
    return Entry(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _read_manifest(folder: Path, stage: Stage, digest: str) -> Manifest:
    if not SHA256.fullmatch(digest):
        raise _refused(f"the workflow did not pass on the hash of what {stage} handed over")
    data = b"".join(_chunks(folder, MANIFEST, MAX_MANIFEST_BYTES))
    if hashlib.sha256(data).hexdigest() != digest:
        raise _refused("its manifest is not the one that was handed over")
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise _refused("its manifest cannot be read") from error
    if manifest.stage != stage:
        raise _refused(f"it comes from {manifest.stage}, not from {stage}")
    return manifest


def _copy_in(folder: Path, target: Path, entry: Entry) -> None:
    goal = target / entry.name
    goal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = goal.with_name(goal.name + ".half")
    digest, size = hashlib.sha256(), 0
    try:
        with half.open("wb") as file:
            for chunk in _chunks(folder, entry.name, entry.size):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
        if size != entry.size or digest.hexdigest() != entry.sha256:
            raise _refused(f"{entry.name} is not what the manifest says")
        half.replace(goal)
    finally:
        half.unlink(missing_ok=True)


def _chunks(folder: Path, name: str, limit: int) -> Iterator[bytes]:
    """The bytes of one plain file below `folder`, of which no part is a link; never more than `limit`."""
    step = folder
    for part in PurePosixPath(name).parts:
        step /= part
        if step.is_symlink():
            raise _refused(f"{name} is, or lies behind, a symbolic link")
    try:
        handle = os.open(step, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _refused(f"{name} is not there ({error.strerror})") from error
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _refused(f"{name} is no plain file")
        left = limit
        while chunk := file.read(min(CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise _refused(f"{name} is larger than it may be")
            yield chunk


def _refused(reason: str) -> HandoverRefused:
    return HandoverRefused(
        f"What the job before handed over was refused: {reason}.",
        "Run the whole workflow again; if it happens again, somebody is changing artifacts on the way.",
    )
