"""What is kept: once each, without secrets, and nothing that a link points to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from action.publish.artifacts import MAX_BYTES, Artifact, collect_files, upload
from controlplane.errors import OutsideError
from tests.unit.action.publish.conftest import RUN_ID


class Recorder:
    """Takes what is sent, in the order it comes; `broken` names refuse."""

    def __init__(self, *broken: bytes) -> None:
        self.broken = broken
        self.calls: list[tuple[str, str]] = []

    def put_artifact(self, run_id: str, artifact_id: str, content: bytes, content_type: str) -> str:
        if content in self.broken:
            raise OutsideError("no")
        self.calls.append(("bytes", artifact_id))
        return f"{run_id}/{artifact_id}"

    def record_artifact(self, run_id: str, artifact: dict[str, Any]) -> None:
        assert artifact["storage_path"] == f"{run_id}/{artifact['id']}"
        self.calls.append(("row", artifact["id"]))


def test_same_content_of_the_same_run_has_the_same_id() -> None:
    first = Artifact("log", "logs/a.log", b"x").identity(RUN_ID)
    assert Artifact("log", "logs/a.log", b"x").identity(RUN_ID) == first
    others = {
        Artifact("log", "logs/a.log", b"y").identity(RUN_ID),
        Artifact("log", "logs/b.log", b"x").identity(RUN_ID),
        Artifact("log", "logs/a.log", b"x").identity(RUN_ID.replace("1", "2")),
    }
    assert len(others | {first}) == 4


def test_bytes_are_stored_before_their_row() -> None:
    store = Recorder()
    upload(store, RUN_ID, [Artifact("log", f"{n}.log", b"%d" % n) for n in range(9)])
    for kind, identity in store.calls:
        if kind == "row":
            assert store.calls.index(("bytes", identity)) < store.calls.index(("row", identity))
    assert len(store.calls) == 18


def test_one_upload_that_fails_is_told_and_stops_no_other() -> None:
    store = Recorder(b"3")
    with pytest.raises(OutsideError):
        upload(store, RUN_ID, [Artifact("log", f"{n}.log", b"%d" % n) for n in range(9)])
    assert len(store.calls) == 16


def test_secrets_are_taken_out_and_links_left_alone(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (logs / "deep").mkdir(parents=True)
    (logs / "deep" / "a.log").write_bytes(b"token canary-0123456789 \xff")
    (tmp_path / "outside").write_text("private")
    (logs / "link.log").symlink_to(tmp_path / "outside")
    (logs / "folder").symlink_to(tmp_path)
    [found] = collect_files([("logs/", logs)], ("canary-0123456789",))
    assert (found.name, found.kind, found.data) == ("logs/deep/a.log", "log", b"token *** \xff")


def test_giant_file_keeps_its_beginning(tmp_path: Path) -> None:
    with (tmp_path / "a.log").open("wb") as file:
        file.truncate(MAX_BYTES + 10)
    [found] = collect_files([("", tmp_path)], ())
    assert len(found.data) == MAX_BYTES


@pytest.mark.parametrize(
    ("name", "kind", "content_type"),
    [
        ("base-tests.junit.xml", "junit", "application/xml"),
        ("coverage.json", "coverage", "application/json"),
        ("logs/x.log", "log", "text/plain; charset=utf-8"),
        ("strange.bin", "evidence", "application/octet-stream"),
    ],
)
def test_kind_and_type_follow_the_name(tmp_path: Path, name: str, kind: str, content_type: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    [found] = collect_files([("", tmp_path)], ())
    assert (found.kind, found.content_type) == (kind, content_type)
