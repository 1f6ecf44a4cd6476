"""What one run leaves for the next: packed, unpacked, and refused where it is not ours or does not fit."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from action.build.agents.claude.session import Session, keep, restore, slug_of
from action.build.archive import Left, pack_archive, restore_work, unpack_archive
from action.gitrepo.git import git, text
from action.gitrepo.trailers import Trailers
from action.gitrepo.workspace import commit_tree
from controlplane.change import EMPTY_TREE
from tests.unit.action.conftest import run_git

TRAILERS = Trailers(run="r", spec="s", sprint="S1")
SESSION = "5e1f6f0e-0000-4000-8000-000000000001"


@pytest.fixture
def worked(area: Path, origin: Path) -> tuple[Path, Left]:
    """A bare repository in which a commit was made on top of main, as one worker leaves it."""
    repository = area / "worker-1.git"
    git(None, "clone", "--quiet", "--bare", str(origin), str(repository))
    base = text(repository, "rev-parse", "main")
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"half\n").stdout.decode().strip()
    tree = git(repository, "mktree", stdin=f"100644 blob {blob}\thalf.txt\n".encode()).stdout.decode().strip()
    head = commit_tree(repository, tree, base, "Half", TRAILERS)
    return repository, Left(agent="claude", session=SESSION, base=base, head=head, feedback="mend it", told_usd=0.5)


def fresh_clone(area: Path, origin: Path) -> Path:
    repository = area / "worker-2.git"
    git(None, "clone", "--quiet", "--bare", str(origin), str(repository))
    return repository


def test_another_worker_gets_the_work_and_what_was_said(area: Path, origin: Path, worked: tuple[Path, Left]) -> None:
    repository, left = worked
    archive = unpack_archive(pack_archive(repository, left, b"said\n"))
    assert archive is not None
    assert (archive.left, archive.transcript) == (left, b"said\n")
    elsewhere = fresh_clone(area, origin)
    assert restore_work(elsewhere, archive, left.base)
    assert text(elsewhere, "show", f"{left.head}:half.txt") == "half"


def test_run_that_left_no_change_is_gone_on_with_from_its_base(
    area: Path, origin: Path, worked: tuple[Path, Left]
) -> None:
    repository, left = worked
    same = left.model_copy(update={"head": left.base})
    archive = unpack_archive(pack_archive(repository, same, b""))
    assert archive is not None
    assert archive.bundle == b""
    assert restore_work(fresh_clone(area, origin), archive, left.base)


def test_work_whose_beginning_is_not_known_any_more_is_not_taken_over(area: Path, worked: tuple[Path, Left]) -> None:
    archive = unpack_archive(pack_archive(*worked, b""))
    assert archive is not None
    other = area / "other"
    run_git(area, "init", "-q", "-b", "main", str(other))
    run_git(other, "commit", "-q", "--allow-empty", "-m", "another history")
    assert not restore_work(other / ".git", archive, run_git(other, "rev-parse", "HEAD"))


def test_bundle_whose_commit_is_not_the_one_that_was_named_is_refused(
    area: Path, origin: Path, worked: tuple[Path, Left]
) -> None:
    repository, left = worked
    packed = unpack_archive(pack_archive(repository, left, b""))
    assert packed is not None
    other = commit_tree(repository, text(repository, "rev-parse", f"{left.base}^{{tree}}"), left.base, "X", TRAILERS)
    lying = type(packed)(left.model_copy(update={"head": other}), packed.transcript, packed.bundle)
    assert not restore_work(fresh_clone(area, origin), lying, left.base)


def test_target_that_moved_on_is_gone_on_with_from_where_the_work_was_begun(
    area: Path, origin: Path, worked: tuple[Path, Left]
) -> None:
    clone = area / "clone"
    run_git(clone, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    run_git(clone, "push", "-q", "origin", "main")
    archive = unpack_archive(pack_archive(*worked, b""))
    assert archive is not None
    elsewhere = fresh_clone(area, origin)
    assert restore_work(elsewhere, archive, text(elsewhere, "rev-parse", "main"))


def test_archive_may_not_choose_what_the_work_is_measured_against(worked: tuple[Path, Left]) -> None:
    """Its base is a commit of its own making, which the repository even knows."""
    repository, left = worked
    archive = unpack_archive(pack_archive(repository, left.model_copy(update={"base": left.head}), b""))
    assert archive is not None
    assert not restore_work(repository, archive, left.base)


def test_empty_repository_can_be_gone_on_with(area: Path) -> None:
    repository = area / "empty.git"
    git(None, "init", "--quiet", "--bare", str(repository))
    tree = git(repository, "mktree", stdin=b"").stdout.decode().strip()
    left = Left(agent="claude", base=EMPTY_TREE, head=commit_tree(repository, tree, EMPTY_TREE, "First", TRAILERS))
    archive = unpack_archive(pack_archive(repository, left, b""))
    elsewhere = area / "elsewhere.git"
    git(None, "init", "--quiet", "--bare", str(elsewhere))
    assert archive is not None
    assert restore_work(elsewhere, archive, EMPTY_TREE)


def tar_of(**members: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def linking() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        info = tarfile.TarInfo("meta.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    return target.getvalue()


def repeating() -> bytes:
    """Twice a part that would do once: with a million of them, unpacking would never end."""
    meta = Left(agent="claude", base="0" * 40, head="0" * 40).model_dump_json().encode()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for _ in range(2):
            info = tarfile.TarInfo("meta.json")
            info.size = len(meta)
            tar.addfile(info, io.BytesIO(meta))
    return target.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        tar_of(etc__passwd=b"x"),
        tar_of(meta_json=b"{"),
        tar_of(meta_json=b'{"agent": "claude", "base": "--upload-pack=x", "head": "HEAD"}'),
        linking(),
        repeating(),
    ],
    ids=["empty", "no-archive", "other-name", "broken-meta", "options-as-commits", "link", "same-part-twice"],
)
def test_what_is_no_archive_of_ours_is_none(data: bytes) -> None:
    assert unpack_archive(data) is None


def test_transcript_is_put_where_the_program_looks_and_taken_back(area: Path) -> None:
    workspace, home = area / "my work_space", area / "home"
    workspace.mkdir()
    home.mkdir()
    restore(Session(SESSION, "/elsewhere", b"one\n"), home, workspace, None)
    file = home / "projects" / slug_of(workspace) / f"{SESSION}.jsonl"
    assert file.read_bytes() == b"one\n"
    file.write_bytes(b"one\ntwo\n")
    session = Session(SESSION)
    assert keep(session, home, workspace)
    assert (session.transcript, session.folder) == (b"one\ntwo\n", str(workspace))


@pytest.mark.parametrize("trick", ["link", "linked-folder", "hard-link", "pipe", "none"])
def test_transcript_that_is_a_trick_is_not_read(area: Path, trick: str) -> None:
    home, workspace, secret = area / "home", area / "work", area / "secret"
    workspace.mkdir()
    secret.mkdir()
    (secret / f"{SESSION}.jsonl").write_text("canary")
    folder = home / "projects" / slug_of(workspace)
    folder.parent.mkdir(parents=True)
    if trick == "linked-folder":
        folder.symlink_to(secret)
    else:
        folder.mkdir()
    file = folder / f"{SESSION}.jsonl"
    if trick == "link":
        file.symlink_to(secret / f"{SESSION}.jsonl")
    if trick == "hard-link":
        os.link(secret / f"{SESSION}.jsonl", file)
    if trick == "pipe":
        os.mkfifo(file)
    session = Session(SESSION)
    assert not keep(session, home, workspace)
    assert session.transcript is None
