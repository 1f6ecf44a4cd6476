"""What is kept: once each, without secrets, and nothing that a link points to."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from action.publish.artifacts import MAX_BYTES, PACKED_FROM_BYTES, artifact_of, collect_files, pack
from tests.unit.action.publish.conftest import RUN_ID


def test_same_content_of_the_same_run_has_the_same_id() -> None:
    first = artifact_of("log", "logs/a.log", b"x").identity(RUN_ID)
    assert artifact_of("log", "logs/a.log", b"x").identity(RUN_ID) == first
    others = {
        artifact_of("log", "logs/a.log", b"y").identity(RUN_ID),
        artifact_of("log", "logs/b.log", b"x").identity(RUN_ID),
        artifact_of("log", "logs/a.log", b"x").identity(RUN_ID.replace("1", "2")),
    }
    assert len(others | {first}) == 4


def test_secrets_are_taken_out_and_links_left_alone(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (logs / "deep").mkdir(parents=True)
    (logs / "deep" / "a.log").write_bytes(b"token canary-0123456789 \xff")
    (tmp_path / "outside").write_text("private")
    (logs / "link.log").symlink_to(tmp_path / "outside")
    (logs / "folder").symlink_to(tmp_path)
    [found] = collect_files([("logs/", logs)], ("canary-0123456789",))
    assert (found.name, found.kind, found.read()) == ("logs/deep/a.log", "log", b"token *** \xff")


def test_giant_file_keeps_its_beginning(tmp_path: Path) -> None:
    with (tmp_path / "a.log").open("wb") as file:
        file.truncate(MAX_BYTES + 10)
    [found] = collect_files([("", tmp_path)], ())
    assert found.size == len(found.read()) == MAX_BYTES


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


@pytest.mark.parametrize(
    ("kind", "name", "size", "encoding"),
    [
        ("log", "logs/a.log", PACKED_FROM_BYTES, "gzip"),
        ("log", "logs/a.log", PACKED_FROM_BYTES - 1, ""),
        ("junit", "base-tests.junit.xml", 10**6, "gzip"),
        ("bundle", "evidence-bundle.zip", 10**6, "gzip"),
        ("report", "report.html", 10**6, ""),
        ("evidence", "test-results/a/trace.zip", 10**6, ""),
        ("evidence", "test-results/a/shot.png", 10**6, ""),
        ("evidence", "unknown.bin", 10**6, ""),
    ],
)
def test_larger_texts_are_packed_and_what_people_open_is_not(kind: str, name: str, size: int, encoding: str) -> None:
    assert artifact_of(kind, name, b"x" * size).encoding == encoding


def test_packing_the_same_content_gives_the_same_bytes() -> None:
    data = b"a line of a log\n" * 5000
    assert gzip.decompress(pack(data, "gzip")) == data
    assert pack(data, "gzip") == pack(data, "gzip")
    assert pack(data, "") is data
