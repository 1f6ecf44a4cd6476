"""Objects: upload, download, list, move, remove, and who may."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from storage3.exceptions import StorageApiError

from supabase import Client

from .conftest import ALICE, Stack, http

TEXT: Any = {"content-type": "text/plain"}


@pytest.fixture
def folder() -> Iterator[str]:
    """A fresh folder of Alice's: bucket rows outlive a test, keys do not meet."""
    yield f"{ALICE}/{uuid.uuid4()}"


def status_of(action: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(StorageApiError) as caught:
        action()
    return str(caught.value.status), caught.value.code


def blobs(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}


def test_object_survives_the_round_trip(alice: Client, folder: str) -> None:
    bucket, content = alice.storage.from_("private"), bytes(range(256)) * 9000
    options: Any = {"content-type": "image/png", "cache-control": "60", "metadata": {"k": "v"}}
    assert bucket.upload(f"{folder}/a b (1).png", content, options).full_path == f"private/{folder}/a b (1).png"
    assert bucket.download(f"{folder}/a b (1).png") == content
    info = bucket.info(f"{folder}/a b (1).png")
    assert (info["size"], info["content_type"], info["cache_control"]) == (len(content), "image/png", "max-age=60")
    assert info["metadata"] == {"k": "v"}
    assert bucket.exists(f"{folder}/a b (1).png")
    assert not bucket.exists(f"{folder}/other")


def test_owner_is_the_subject(alice: Client, folder: str, as_owner: Callable[..., Any]) -> None:
    alice.storage.from_("private").upload(f"{folder}/x", b"x", TEXT)
    assert as_owner("select owner_id from storage.objects where name = %s", f"{folder}/x") == [(ALICE,)]


def test_second_upload_needs_upsert(alice: Client, folder: str, gateway: Stack) -> None:
    bucket = alice.storage.from_("private")
    bucket.upload(f"{folder}/x", b"one", TEXT)
    before = blobs(gateway.storage_dir)
    assert status_of(lambda: bucket.upload(f"{folder}/x", b"two", TEXT)) == ("409", "Duplicate")
    assert bucket.download(f"{folder}/x") == b"one"
    bucket.upload(f"{folder}/x", b"three", TEXT | {"upsert": "true"})
    assert bucket.download(f"{folder}/x") == b"three"
    bucket.update(f"{folder}/x", b"four", TEXT)
    assert bucket.download(f"{folder}/x") == b"four"
    assert len(blobs(gateway.storage_dir)) == len(before), "replaced versions are deleted"


def test_objects_of_others_are_not_there(alice: Client, bob: Client, stranger: Client, folder: str) -> None:
    alice.storage.from_("private").upload(f"{folder}/x", b"x", TEXT)
    for other in (bob, stranger):
        bucket = other.storage.from_("private")
        assert status_of(lambda bucket=bucket: bucket.download(f"{folder}/x")) == ("404", "not_found")
        assert status_of(lambda bucket=bucket: bucket.upload(f"{folder}/y", b"y", TEXT)) == ("403", "Unauthorized")
        assert status_of(lambda bucket=bucket: bucket.create_signed_url(f"{folder}/x", 60))[0] == "404"
        assert status_of(lambda bucket=bucket: bucket.create_signed_upload_url(f"{folder}/z"))[0] == "403"
        assert bucket.list(folder) == []
        assert bucket.remove([f"{folder}/x"]) == []
    overwrite: Any = TEXT | {"upsert": "true"}
    assert status_of(lambda: bob.storage.from_("private").upload(f"{folder}/x", b"z", overwrite))[0] == "403"
    assert alice.storage.from_("private").download(f"{folder}/x") == b"x"


def test_list_shows_files_and_folders(alice: Client, folder: str) -> None:
    bucket = alice.storage.from_("private")
    for name in ("b.txt", "a.txt", "deep/er/c.txt", "deep/d.txt"):
        bucket.upload(f"{folder}/{name}", b"12345", TEXT)
    entries = bucket.list(folder)
    assert [(entry["name"], entry["id"] is None) for entry in entries] == [
        ("deep", True),
        ("a.txt", False),
        ("b.txt", False),
    ]
    assert entries[1]["metadata"]["size"] == 5
    assert [entry["name"] for entry in bucket.list(f"{folder}/deep/")] == ["er", "d.txt"]
    assert [entry["name"] for entry in bucket.list(folder, {"search": "B"})] == ["b.txt"]
    descending: Any = {"limit": 1, "offset": 1, "sortBy": {"column": "name", "order": "desc"}}
    assert [entry["name"] for entry in bucket.list(folder, descending)] == ["b.txt"]
    evil: Any = {"sortBy": {"column": "name; drop table notes", "order": "asc"}}
    assert status_of(lambda: bucket.list(folder, evil))[0] == "400"


def test_remove_takes_rows_and_bytes(alice: Client, folder: str, gateway: Stack) -> None:
    before = blobs(gateway.storage_dir)
    bucket = alice.storage.from_("private")
    for name in ("x", "y"):
        bucket.upload(f"{folder}/{name}", b"x", TEXT)
    removed = bucket.remove([f"{folder}/x", f"{folder}/y", f"{folder}/never"])
    assert sorted(row["name"] for row in removed) == [f"{folder}/x", f"{folder}/y"]
    assert blobs(gateway.storage_dir) == before


def test_rows_cannot_be_deleted_with_sql(as_owner: Callable[..., Any], alice: Client, folder: str) -> None:
    import psycopg

    alice.storage.from_("private").upload(f"{folder}/x", b"x", TEXT)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_owner("delete from storage.objects")


def test_move_and_copy(alice: Client, bob: Client, folder: str) -> None:
    bucket = alice.storage.from_("private")
    bucket.upload(f"{folder}/x", b"x", TEXT)
    bucket.copy(f"{folder}/x", f"{folder}/copy")
    bucket.move(f"{folder}/x", f"{folder}/moved")
    assert (bucket.download(f"{folder}/copy"), bucket.download(f"{folder}/moved")) == (b"x", b"x")
    assert not bucket.exists(f"{folder}/x")
    assert status_of(lambda: bucket.move(f"{folder}/copy", f"{folder}/moved"))[0] == "409"
    assert status_of(lambda: bob.storage.from_("private").move(f"{folder}/copy", "stolen"))[0] == "404"
    assert status_of(lambda: bucket.move(f"{folder}/copy", f"{uuid.UUID(int=2)}/gift"))[0] == "403"


@pytest.mark.parametrize("name", ["a%20b~", "ä.txt", "a#b", "a[b]", "tab\tin", "x" * 1100])
def test_key_with_other_letters_is_refused(alice: Client, folder: str, name: str) -> None:
    bucket = alice.storage.from_("private")
    path = f"{folder}/{name}".replace("%", "%25").replace("#", "%23")
    assert status_of(lambda: bucket.upload(path, b"x", TEXT)) == ("400", "InvalidKey")


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fx", "/abs", "a/../../b"])
def test_key_never_becomes_a_path(gateway: Stack, path: str) -> None:
    headers = {"apikey": gateway.secret_key, "Content-Type": "text/plain"}
    http.post(f"{gateway.url}/storage/v1/object/private/{path}", content=b"x", headers=headers)
    for file in blobs(gateway.storage_dir):
        assert gateway.storage_dir in file.resolve().parents
        uuid.UUID(file.name)


def test_bucket_limits_hold(alice: Client, folder: str, gateway: Stack) -> None:
    bucket = alice.storage.from_("small")
    before = blobs(gateway.storage_dir)
    bucket.upload(f"{folder}/fits", b"x" * 1000, TEXT)
    bucket.upload(f"{folder}/picture", b"x", {"content-type": "image/webp"})
    assert status_of(lambda: bucket.upload(f"{folder}/a", b"x" * 1001, TEXT)) == ("413", "Payload too large")
    assert status_of(lambda: bucket.upload(f"{folder}/b", b"x" * 10**6, TEXT))[0] == "413"
    html: Any = {"content-type": "text/html"}
    assert status_of(lambda: bucket.upload(f"{folder}/c", b"x", html)) == ("415", "invalid_mime_type")
    assert len(blobs(gateway.storage_dir)) == len(before) + 2, "what was refused left nothing behind"


def test_upload_without_announced_size_stops_at_the_limit(gateway: Stack) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b"x" * 100_000

    headers = {"apikey": gateway.secret_key, "Content-Type": "text/plain"}
    answer = http.post(f"{gateway.url}/storage/v1/object/small/big", content=endless(), headers=headers, timeout=20)
    assert answer.json()["statusCode"] == "413"
    assert not list((gateway.storage_dir / "staging").iterdir())


def test_missing_bucket_is_named(alice: Client, gateway: Stack) -> None:
    assert status_of(lambda: alice.storage.from_("nowhere").upload("x", b"x", TEXT)) == ("404", "Bucket not found")


def test_buckets_are_listed_to_members(alice: Client, stranger: Client) -> None:
    assert {bucket.id for bucket in alice.storage.list_buckets()} == {"private", "small", "open"}
    assert stranger.storage.list_buckets() == []
    assert alice.storage.get_bucket("small").file_size_limit == 1000


def test_public_bucket_needs_no_key(alice: Client, folder: str, gateway: Stack) -> None:
    for name in ("open", "private"):
        alice.storage.from_(name).upload(f"{folder}/page", b"<script>", {"content-type": "text/html"})
    answer = http.get(alice.storage.from_("open").get_public_url(f"{folder}/page"))
    assert (answer.status_code, answer.content) == (200, b"<script>")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert http.get(alice.storage.from_("private").get_public_url(f"{folder}/page")).json()["statusCode"] == "404"


def test_range_of_bytes(alice: Client, folder: str, gateway: Stack) -> None:
    alice.storage.from_("private").upload(f"{folder}/x", b"0123456789", TEXT)
    headers = {
        "apikey": gateway.publishable_key,
        "Authorization": f"Bearer {gateway.token(sub=ALICE)}",
        "Range": "bytes=2-4",
    }
    answer = http.get(f"{gateway.url}/storage/v1/object/authenticated/private/{folder}/x", headers=headers)
    assert (answer.status_code, answer.content) == (206, b"234")


def test_token_that_expired_is_refused(gateway: Stack, folder: str) -> None:
    client = gateway.client(gateway.token(sub=ALICE, ttl_seconds=-60))
    assert status_of(lambda: client.storage.from_("private").download(f"{folder}/x"))[0] == "403"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"prefixes": "x"}', b'{"prefixes": [1]}', b"[" * 10**5, b'{"prefixes": ["\\u0000"]}']
)
def test_broken_body_is_refused(gateway: Stack, body: bytes) -> None:
    headers = {"apikey": gateway.secret_key}
    answer = http.request("DELETE", f"{gateway.url}/storage/v1/object/private", content=body, headers=headers)
    assert (answer.status_code, answer.json()["statusCode"]) == (400, "400")
