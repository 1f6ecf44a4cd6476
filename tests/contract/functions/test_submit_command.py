"""`aicd submit` against the running function: in the request, through a signed URL, refused, and from a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from werkzeug.serving import make_server

from controlplane.errors import OutsideError
from local.administration import Administration
from local.api_client import ApiClient
from tests.contract.functions.conftest import REPO, ROOT, SPEC, Line
from tests.unreliable import KINDS, Fault, Unreliable

pytestmark = pytest.mark.database


@contextmanager
def serving(line: Line, **changes: str) -> Iterator[str]:
    """The function behind an address of its own."""
    line.database.execute("truncate private.request_times, private.idempotent_requests, private.spec_uploads")
    client = line.function("specs", **changes)
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.fixture
def address(line: Line) -> Iterator[str]:
    with serving(line) as address:
        yield address


def submit(line: Any, address: str, *arguments: str, stdin: bytes = b"") -> tuple[int, Any, str]:
    """Exit code, the JSON document on stdout, and what was said on stderr."""
    done = call(line, address, *arguments, "--json", stdin=stdin)
    return done.returncode, json.loads(done.stdout), done.stderr.decode()


def call(line: Any, address: str, *arguments: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    with Administration(line.world.db_url) as operator:
        key = operator.create_api_key({"repo": REPO, "name": "c", "scopes": ["specs:read", "specs:write"]})["key"]
    command = [sys.executable, "-m", "local", "submit", *arguments, "--url", address]
    environment = {**os.environ, "AICD_API_KEY": str(key), "PYTHONPATH": str(ROOT), "NO_PROXY": "*"}
    return subprocess.run(command, input=stdin, capture_output=True, env=environment, cwd=ROOT, timeout=60, check=False)


def test_small_specification_goes_with_the_request_and_twice_is_once(line: Line, address: str, tmp_path: Any) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC)
    first, second = (submit(line, address, str(file)) for _ in range(2))
    assert (first[0], second[0]) == (0, 0)
    assert (first[1]["duplicate"], second[1]["duplicate"]) == (False, True)
    assert first[1]["id"] == second[1]["id"]
    assert first[1]["name"] == "spec.yaml"


def test_large_specification_goes_through_storage(line: Line, address: str, tmp_path: Any) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC + "# " + "x" * 300_000 + "\n")
    code, made, _ = submit(line, address, str(file))
    assert (code, made["size"]) == (0, file.stat().st_size)
    assert line.rows("select count(*) from private.spec_uploads where spec_id is not null") == [(1,)]


def test_bad_specification_from_a_pipe_is_refused_with_each_place(line: Line, address: str) -> None:
    code, told, said = submit(line, address, "-", stdin=SPEC.replace("coverage_min: 0.8", "coverage_min: 8").encode())
    assert (code, told["errors"][0]["code"]) == (1, "spec-invalid")
    assert said.startswith("-:12:")


def test_problem_of_a_bad_specification_is_said_once(line: Line, address: str) -> None:
    bad = SPEC.replace("coverage_min: 0.8", "coverage_min: 8").encode()
    done = call(line, address, "-", stdin=bad)
    said = done.stderr.decode()
    assert (done.returncode, said.count("coverage_min")) == (1, 1), said
    assert "The problem is named above. Fix: Mend it" in said


def test_wait_ends_with_the_run_and_says_why_it_failed(line: Line, address: str, tmp_path: Any) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC)
    made = submit(line, address, str(file))[1]
    line.store.abandon_run(made["runs"][0]["id"], "no-runner", "There was no runner.")
    code, page, said = submit(line, address, str(file), "--wait", "--timeout", "20")
    assert (code, page["state"], page["runs"][0]["error"]["message"]) == (1, "FAILED", "There was no runner.")
    assert "There was no runner." in said


@pytest.fixture
def shaky(line: Line) -> Iterator[tuple[Unreliable, str]]:
    """Supabase behind a proxy, and the address of the function that signs links to it."""
    proxy = Unreliable(line.world.api_url)
    with serving(line, SUPABASE_URL=proxy.url) as address:
        yield proxy, address
    proxy.close()


@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "refused"])
def test_upload_that_breaks_off_is_sent_again_and_stored_once(
    line: Line, shaky: tuple[Unreliable, str], kind: str, late: bool
) -> None:
    proxy, address = shaky
    with Administration(line.world.db_url) as operator:
        key = operator.create_api_key({"repo": REPO, "name": "c", "scopes": ["specs:read", "specs:write"]})["key"]
    sent: list[int] = []
    with ExitStack() as over:  # with the first pause
        client = ApiClient(address, str(key), sent=sent.append, sleep=lambda _: over.close(), timeout_seconds=2.0)
        over.enter_context(proxy.failing(Fault(kind, "PUT .*/upload/sign/", late)))
        content = (SPEC + "# " + "x" * 300_000 + "\n").encode()
        made = client.submit(content, "spec.yaml")
        tries = len(proxy.spoiled)
    client.close()
    assert (made["size"], sum(sent), tries) == (len(content), len(content), 1)
    assert line.rows("select count(*) from public.specs") == [(1,)]
    assert line.store.get_spec(made["id"]) == content


def test_upload_that_stays_refused_comes_to_an_end(line: Line, shaky: tuple[Unreliable, str]) -> None:
    proxy, address = shaky
    pauses: list[float] = []
    with Administration(line.world.db_url) as operator:
        key = operator.create_api_key({"repo": REPO, "name": "c", "scopes": ["specs:write"]})["key"]
    client = ApiClient(address, str(key), sleep=pauses.append)
    with proxy.failing(Fault("429", "PUT .*/upload/sign/")), pytest.raises(OutsideError, match="did not take"):
        client.submit(b"x" * 300_000, "spec.yaml")
    assert (pauses, len(proxy.spoiled)) == ([1.0] * 4, 5), "Retry-After is kept, and there is an end"
    client.close()
