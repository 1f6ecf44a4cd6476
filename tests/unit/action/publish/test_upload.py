"""Artifacts on their way: bytes before their row, each once, all that can go; and to a real S3 server."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from action.publish.artifacts import Artifact, artifact_in, artifact_of
from action.publish.shelves import S3Shelf, StorageShelf, open_shelf
from action.publish.upload import MOST_REFUSALS, ROWS_AT_ONCE, upload
from action.settings import Settings, read_settings
from controlplane.errors import CallerError, OutsideError, UsageError
from controlplane.s3 import S3Keys, parse_store, presign
from tests.unit.action.publish.conftest import RUN_ID

SECRET = "secret-canary-0123456789"
KEYS = S3Keys("testing", SecretStr(SECRET))
LOG = artifact_of("log", "logs/a.log", b"a line of a log\n" * 5000)


class Recorder:
    """A control plane that notes what comes, in its order; objects whose content is in `broken` are refused."""

    def __init__(self, *broken: bytes) -> None:
        self.broken = broken
        self.calls: list[tuple[str, str]] = []
        self.rows: list[dict[str, Any]] = []
        self.types: list[str] = []
        self.tried = 0

    def put_artifact(self, run_id: str, artifact_id: str, content: bytes, content_type: str) -> str:
        self.tried += 1
        if content in self.broken:
            raise OutsideError("no")
        self.calls.append(("bytes", artifact_id))
        self.types.append(content_type)
        return f"{run_id}/{artifact_id}"

    def record_artifacts(self, run_id: str, artifacts: Sequence[dict[str, Any]]) -> None:
        for artifact in artifacts:
            assert artifact["storage_path"] == f"{run_id}/{artifact['id']}"
            self.calls.append(("row", artifact["id"]))
            self.rows.append(artifact)


def small(count: int) -> list[Artifact]:
    return [artifact_of("log", f"{n}.log", b"%d" % n) for n in range(count)]


def test_bytes_are_stored_before_their_row() -> None:
    store = Recorder()
    upload(StorageShelf(store), store, RUN_ID, small(ROWS_AT_ONCE * 2 + 9))
    for kind, identity in store.calls:
        if kind == "row":
            assert store.calls.index(("bytes", identity)) < store.calls.index(("row", identity))
    assert len(store.rows) == len({row["id"] for row in store.rows}) == ROWS_AT_ONCE * 2 + 9


def test_one_upload_that_fails_is_told_and_stops_no_other() -> None:
    store = Recorder(b"3")
    with pytest.raises(OutsideError):
        upload(StorageShelf(store), store, RUN_ID, small(9))
    assert len(store.calls) == 16


def test_place_that_refuses_everything_is_not_asked_a_thousand_times() -> None:
    store = Recorder(*(b"%d" % n for n in range(1000)))
    with pytest.raises(OutsideError):
        upload(StorageShelf(store), store, RUN_ID, small(1000))
    assert store.tried < MOST_REFUSALS + 10


def test_storage_is_told_that_a_packed_object_is_a_gzip_file() -> None:
    """It would forget a Content-Encoding, and hand a browser bytes that are no text."""
    store = Recorder()
    upload(StorageShelf(store), store, RUN_ID, [LOG])
    [row] = store.rows
    assert store.types == ["application/gzip"]
    assert (row["encoding"], row["content_type"], row["size"]) == ("gzip", "text/plain; charset=utf-8", LOG.size)
    assert "store" not in row


def test_log_that_grew_since_it_was_noted_is_said_to_be_what_is_stored(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one")
    noted = artifact_in("log", "logs/a.log", log, (SECRET,))
    log.write_bytes(f"one {SECRET} two".encode())
    store = Recorder()
    upload(StorageShelf(store), store, RUN_ID, [noted])
    assert store.rows[0]["sha256"] == hashlib.sha256(b"one *** two").hexdigest()


def settings(address: str, **more: str) -> Settings:
    told = {
        "AICD_ARTIFACT_STORE": "s3://reports/team-1",
        "AICD_S3_ENDPOINT": address,
        "AICD_S3_ACCESS_KEY_ID": "testing",
        "AICD_S3_SECRET_ACCESS_KEY": SECRET,
    }
    return read_settings(told | more)


def test_packed_log_comes_back_from_s3_as_a_browser_sees_it(s3: str) -> None:
    store = Recorder()
    with open_shelf(settings(s3), store) as shelf:
        assert shelf is not None
        upload(shelf, store, RUN_ID, [LOG, *small(20)])
    row = next(row for row in store.rows if row["name"] == "logs/a.log")
    assert (row["store"], row["encoding"]) == ("s3://reports/team-1", "gzip")
    place = parse_store(row["store"], s3)
    link = presign(place, KEYS, "GET", row["storage_path"], 3600, {"response-content-disposition": "inline"})
    assert "X-Amz-Expires=3600&" in link  # the server itself does not look at it
    with httpx.stream("GET", link, headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
        headers = answer.headers
    assert (headers["content-type"], headers["content-encoding"]) == ("text/plain; charset=utf-8", "gzip")
    assert headers["content-disposition"] == "inline"
    assert gzip.decompress(raw) == LOG.read()
    assert httpx.get(link).content == LOG.read()
    assert len(store.rows) == 21


def test_object_without_a_signature_is_not_given_away(s3: str) -> None:
    with open_shelf(settings(s3), None) as shelf:
        assert shelf is not None
        upload(shelf, None, RUN_ID, [LOG])
    assert httpx.get(f"{s3}/reports/team-1/{RUN_ID}/{LOG.identity(RUN_ID)}").status_code == 403


def test_bucket_that_is_not_there_is_named_with_what_to_check(s3: str) -> None:
    with open_shelf(settings(s3, AICD_ARTIFACT_STORE="s3://nowhere"), None) as shelf:
        assert shelf is not None
        with pytest.raises(CallerError, match="s3://nowhere refused an artifact"):
            upload(shelf, None, RUN_ID, [LOG])


def test_secret_half_of_the_key_is_missed_where_it_is_needed(s3: str) -> None:
    with (
        pytest.raises(UsageError, match="s3-secret-access-key"),
        open_shelf(settings(s3, AICD_S3_SECRET_ACCESS_KEY=""), None),
    ):
        pass


def test_without_a_bucket_and_a_control_plane_nothing_is_kept() -> None:
    with open_shelf(Settings(), None) as shelf:
        assert shelf is None


class Moody(ThreadingHTTPServer):
    """Answers with each status of `mood` in turn, then with 200."""

    def __init__(self, *mood: int) -> None:
        super().__init__(("127.0.0.1", 0), MoodyHandler)
        self.mood = list(mood)
        self.seen: list[str] = []


class MoodyHandler(BaseHTTPRequestHandler):
    server: Moody

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(self.path)
        self.send_response(self.server.mood.pop(0) if self.server.mood else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own name
        """Silent."""


@pytest.fixture
def moody() -> Iterator[Moody]:
    server = Moody(503, 429)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_server_that_recovers_gets_the_artifact(moody: Moody) -> None:
    place = parse_store("s3://reports", f"http://127.0.0.1:{moody.server_port}")
    with httpx.Client() as client:
        upload(S3Shelf(place, KEYS, client), None, RUN_ID, small(1))
    assert len(moody.seen) == 3


def test_trouble_names_no_signed_address(moody: Moody) -> None:
    moody.mood = [403]
    place = parse_store("s3://reports", f"http://127.0.0.1:{moody.server_port}")
    with httpx.Client() as client, pytest.raises(CallerError) as caught:
        upload(S3Shelf(place, KEYS, client), None, RUN_ID, small(1))
    assert "X-Amz" not in repr(caught.value)
    assert SECRET not in repr(caught.value)
