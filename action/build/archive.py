"""What one run leaves for the next, on any runner: the agent's transcript, the work as a git bundle, and what was to
come next. A tar.gz in the control plane's bucket `sessions`, which runs of the same sprint may read.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from action.gitrepo.git import git, text
from controlplane.change import EMPTY_TREE
from controlplane.noun import Noun

MOST_PACKED = 50_000_000
MOST_FILE = 120_000_000
META, TRANSCRIPT, WORK = "meta.json", "session.jsonl", "work.bundle"
REF = "refs/aicd/work"
COMMIT = r"^[0-9a-f]{40}$"
MOST_FEEDBACK = 200_000
MOST_ASKED = 100


class Left(Noun):
    """`resume.json`: where another run goes on. `folder` is where the agent worked, `told_usd` its own total.

    `head` is the work so far, the same as `base` where there is none; `feedback` what the next attempt is told, `made`
    how many came to their end, and `is_judged` whether somebody looked at what the last of them left. `asked` are
    questions of the agent that waited for no answer.
    """

    agent: str
    session: str = Field(default="", max_length=100)
    folder: str = Field(default="", max_length=1000)
    told_usd: float = Field(default=0.0, ge=0)
    base: str = Field(pattern=COMMIT)
    head: str = Field(pattern=COMMIT)
    feedback: str = Field(default="", max_length=MOST_FEEDBACK)
    made: int = Field(default=0, ge=0, le=1000)
    is_judged: bool = True
    asked: tuple[str, ...] = Field(default=(), max_length=MOST_ASKED)
    run_id: str = ""


@dataclass(frozen=True)
class Archive:
    left: Left
    transcript: bytes = b""
    bundle: bytes = b""


def pack_archive(repository: Path, left: Left, transcript: bytes) -> bytes:
    """The archive's bytes. A transcript that would make it larger than 50 MB stays away: then the work goes on, and
    what was said is told by the feedback alone."""
    parts = {META: left.model_dump_json().encode(), WORK: _bundle(repository, left)}
    packed = _pack({**parts, TRANSCRIPT: transcript} if transcript else parts)
    return packed if len(packed) <= MOST_PACKED else _pack(parts)


def unpack_archive(data: bytes) -> Archive | None:
    """None for anything that is not what `pack_archive` makes; never more than a bounded amount is unpacked."""
    parts: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|gz") as tar:
            for member in tar:
                expected = {META, TRANSCRIPT, WORK} - parts.keys()
                if member.name not in expected or not member.isreg() or member.size > MOST_FILE:
                    return None
                stream = tar.extractfile(member)
                parts[member.name] = stream.read(MOST_FILE) if stream else b""
        left = Left.model_validate(json.loads(parts[META]))
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError, ValidationError, RecursionError):
        return None
    return Archive(left, parts.get(TRANSCRIPT, b""), parts.get(WORK, b""))


def restore_work(repository: Path, archive: Archive, base: str) -> bool:
    """Bring the work into the repository, each object checked; false where it does not fit what is there.

    `base` is where this run would begin by itself. What everything is measured against is never taken on an archive's
    word: its base must be that commit, or lie in its history.
    """
    left = archive.left
    if left.base != base and (EMPTY_TREE in (left.base, base) or not _is_within(repository, left.base, base)):
        return False
    if left.head == left.base:
        return True
    with tempfile.TemporaryDirectory(prefix="aicd-bundle-") as folder:
        file = Path(folder) / WORK
        file.write_bytes(archive.bundle)
        wanted = ("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", str(file), f"+{REF}:{REF}")
        if git(repository, *wanted, check=False).returncode != 0:
            return False
    descends = left.base == EMPTY_TREE or _is_within(repository, left.base, left.head)
    return text(repository, "rev-parse", REF) == left.head and descends


def _bundle(repository: Path, left: Left) -> bytes:
    if left.head == left.base:
        return b""
    git(repository, "update-ref", REF, left.head)
    without = [] if left.base == EMPTY_TREE else [f"^{left.base}"]
    return git(repository, "bundle", "create", "-", REF, *without).stdout


def _pack(parts: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=6) as tar:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def _is_within(repository: Path, commit: str, head: str) -> bool:
    return git(repository, "merge-base", "--is-ancestor", commit, head, check=False).returncode == 0
