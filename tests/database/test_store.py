"""The store through the real gateway: the official client, real tokens, real objects, real refusals."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from controlplane import ids
from controlplane.errors import CallerError, Conflict, NotAllowed, NotAuthenticated, NotFound
from controlplane.store import Connection, FunctionsStore, RunnerStore, connect
from controlplane.tokens import MintedToken, mint_token
from local.gateway.keys import generate_signing_jwk
from tests.database.world import World, spec

pytestmark = pytest.mark.database

PUBLISHABLE_KEY = "sb_publishable_test"
ROOT = Path(__file__).parents[2]


@dataclass
class Gate:
    url: str
    jwk: dict[str, Any]

    def connection(self, token: MintedToken | str) -> Connection:
        text = token if isinstance(token, str) else token.token
        return Connection(url=self.url, publishable_key=PUBLISHABLE_KEY, token=SecretStr(text))

    def functions(self, ttl_seconds: int = 600) -> FunctionsStore:
        return FunctionsStore(connect(self.connection(mint_token(self.jwk, "aicd_functions", ttl_seconds))))

    def runner(self, world: World, run_id: str, **claims: Any) -> RunnerStore:
        project_id = world.value("select project_id::text from runs where id = %s", run_id)
        token = mint_token(self.jwk, "aicd_runner", 600, project_id=project_id, run_id=run_id, **claims)
        return RunnerStore(connect(self.connection(token)))


@pytest.fixture(scope="module")
def gate(shared: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    jwk = generate_signing_jwk()
    environment = os.environ | {
        "AICD_GATEWAY_PORT": str(port),
        "AICD_GATEWAY_DSN": shared.authenticator_dsn,
        "AICD_GATEWAY_STORAGE_DIR": str(tmp_path_factory.mktemp("storage")),
        "AICD_GATEWAY_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
        "AICD_GATEWAY_SECRET_KEY": "sb_secret_test",
        "AICD_GATEWAY_SIGNING_JWK": json.dumps(jwk),
    }
    command = [sys.executable, "-m", "local.gateway"]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Gate(ready["url"], jwk)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def intake(world: World, store: FunctionsStore, content: bytes) -> dict[str, Any]:
    """One mail from push to run, as gmail-push does it."""
    mail = world.mail()
    spec_id = ids.spec_id(mail["id"], content)
    path = store.put_spec(spec_id, content, "application/yaml")
    made = spec(id=spec_id, storage_path=path, sha=hashlib.sha256(content).hexdigest(), size=len(content))
    return store.ingest_message(mail, [made])


def test_whole_line_from_mail_to_signed_report(world: World, gate: Gate) -> None:
    content = b"meta: {project: shop, repo: acme/shop}\n"
    functions = gate.functions()
    opened = functions.open_mailbox("specs@example.org")
    assert opened is not None
    assert opened["mailbox_id"] == world.mailbox_id
    (made,) = intake(world, functions, content)["specs"]
    run_id = made["runs"][0]

    (row,) = functions.claim_outbox(["dispatch"], 10, 60)
    assert functions.describe_run(row["payload"]["run_id"])["project"]["repo"] == "acme/shop"
    assert functions.bind_run(run_id, "77", "https://ci.example/77") == "77"
    assert functions.finish_outbox(row["id"], row["lease_id"], {"ci_run_id": "77"}) is True

    runner = gate.runner(world, run_id)
    assert runner.start_run(run_id, "77", 1)["outcome"] == "started"
    assert runner.get_spec(made["spec_id"]) == content
    runner.record_event(run_id, "BUILD", "building", {"iteration": 1})
    runner.record_execution(run_id, {"agent": "command", "iteration": 1, "cost_usd": 0.5})
    artifact_id = ids.artifact_id(run_id, "report.html")
    path = runner.put_artifact(run_id, artifact_id, b"<h1>done</h1>", "text/html")
    runner.record_artifact(run_id, {"id": artifact_id, "kind": "report", "name": "report.html", "storage_path": path})
    runner.record_pull_request(
        run_id, {"url": "https://github.com/acme/shop/pull/1", "branch": "b", "commit": "c" * 40}
    )
    assert runner.finish_run(run_id, "PASSED", {"status": "PASSED"}) == {
        "result": "PASSED",
        "next_run_id": None,
        "next_run_ids": [],
    }

    notices = functions.claim_outbox(["notify"], 10, 60)
    (report,) = [one for one in notices if one["payload"]["template"] == "report"]
    described = functions.describe_notice(report["id"])
    assert described["run"]["summary_json"] == {"status": "PASSED"}
    link = functions.sign_artifact(described["artifacts"][0]["storage_path"], 60, "report.html")
    answer = httpx.get(link)
    assert (answer.status_code, answer.content) == (200, b"<h1>done</h1>")
    assert "report.html" in answer.headers["content-disposition"]


def test_same_bytes_twice_are_fine_and_other_bytes_are_a_conflict(world: World, gate: Gate) -> None:
    functions, spec_id = gate.functions(), str(uuid.uuid4())
    assert functions.put_spec(spec_id, b"a: 1", "application/yaml") == f"{spec_id}/source"
    assert functions.put_spec(spec_id, b"a: 1", "application/yaml") == f"{spec_id}/source"
    with pytest.raises(Conflict):
        functions.put_spec(spec_id, b"a: 2", "application/yaml")
    assert functions.get_spec(spec_id) == b"a: 1"


def test_same_spec_stored_by_ten_at_once_is_one_object(world: World, gate: Gate) -> None:
    spec_id = str(uuid.uuid4())
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: gate.functions().put_spec(spec_id, b"a: 1", "application/yaml"), range(10)))
    assert world.value("select count(*) from storage.objects") == 1


def test_artifact_from_a_file_is_stored_as_it_is(world: World, gate: Gate, tmp_path: Path) -> None:
    made = world.started()
    content = os.urandom(3_000_000)
    (tmp_path / "trace.zip").write_bytes(content)
    runner = gate.runner(world, made["run_id"])
    artifact_id = ids.artifact_id(made["run_id"], "trace.zip")
    for _ in range(2):
        path = runner.put_artifact(made["run_id"], artifact_id, tmp_path / "trace.zip", "application/zip")
    assert httpx.get(runner.sign_artifact(path, 60, "trace.zip")).content == content


def test_missing_object_and_foreign_object_look_the_same(world: World, gate: Gate) -> None:
    mine, other = world.started(), world.started()
    gate.functions().put_spec(other["spec_id"], b"secret", "application/yaml")
    runner = gate.runner(world, mine["run_id"])
    codes = []
    for spec_id in (other["spec_id"], str(uuid.uuid4())):
        with pytest.raises(NotFound) as caught:
            runner.get_spec(spec_id)
        codes.append((caught.value.code, caught.value.message))
    assert codes[0] == codes[1]


def test_foreign_artifact_path_is_not_allowed(world: World, gate: Gate) -> None:
    mine, other = world.started(), world.started()
    with pytest.raises(NotAllowed):
        gate.runner(world, mine["run_id"]).put_artifact(other["run_id"], str(uuid.uuid4()), b"x", "text/plain")


def test_verbs_refusal_keeps_its_code_sentence_and_fix(world: World, gate: Gate) -> None:
    made = world.started()
    runner = gate.runner(world, made["run_id"])
    runner.finish_run(made["run_id"], "FAILED", {})
    with pytest.raises(Conflict) as caught:
        runner.finish_run(made["run_id"], "PASSED", {})
    assert (caught.value.code, caught.value.message) == ("run-finished", "This run has ended as FAILED.")
    assert caught.value.fix
    with pytest.raises(NotFound) as missing:
        runner.start_run(str(uuid.uuid4()), "1", 1)
    assert missing.value.code == "run-not-found"
    with pytest.raises(CallerError) as large:
        gate.functions().record_message(world.mail(state="IGNORED", problems=["x" * 300_000]))
    assert large.value.code == "too-large"


def test_tokens_that_do_not_count_are_refused(world: World, gate: Gate) -> None:
    minted = mint_token(gate.jwk, "aicd_functions", 600)
    store = FunctionsStore(connect(gate.connection(minted)))
    assert len(store.list_mailboxes()) == 1
    with world.administration() as operator:
        operator.revoke_token(minted.jti, "lost")
    with pytest.raises(NotAuthenticated) as revoked:
        store.list_mailboxes()
    assert revoked.value.code == "token-not-live"
    foreign = mint_token(generate_signing_jwk(), "aicd_functions", 600)
    with pytest.raises(NotAuthenticated):
        FunctionsStore(connect(gate.connection(foreign))).list_mailboxes()
    with pytest.raises((NotAuthenticated, NotAllowed)):
        FunctionsStore(connect(gate.connection("not a token"))).list_mailboxes()


def test_runners_token_cannot_call_the_functions_verbs(world: World, gate: Gate) -> None:
    token = mint_token(gate.jwk, "aicd_runner", 600, project_id=world.projects["acme/shop"])
    with pytest.raises(NotAllowed):
        FunctionsStore(connect(gate.connection(token))).list_mailboxes()


def test_nul_and_lone_surrogates_in_a_mail_lose_nothing(world: World, gate: Gate) -> None:
    mail = world.mail(state="REFUSED", subject="a\x00b\ud800c")
    assert gate.functions().record_message(mail)["outcome"] == "recorded"
    assert world.value("select subject from messages") == "ab?c"


def test_empty_answers_are_what_they_say(world: World, gate: Gate) -> None:
    functions = gate.functions()
    assert functions.open_mailbox("who@example.org") is None
    assert functions.claim_outbox(["notify"], 10, 60) == []
    assert functions.close_dead_runs(60) == 0
    functions.fail_mailbox(world.mailbox_id, "x", "y")


def test_paused_sprint_goes_on_elsewhere_with_what_was_left_and_no_other_run_reads_it(world: World, gate: Gate) -> None:
    """PAUSED, woken, and continued by another CI run with nothing but its own token."""
    functions = gate.functions()
    run_id, foreign = (intake(world, functions, content)["specs"][0]["runs"][0] for content in (b"a: 1", b"a: 2"))
    runner, stranger = gate.runner(world, run_id, scope="build"), gate.runner(world, foreign, scope="build")
    started = runner.start_run(run_id, "1", 1)
    stranger.start_run(foreign, "9", 1)
    path = runner.put_session(started["sprint_id"], run_id, b"what was said")
    assert runner.put_session(started["sprint_id"], run_id, b"what was said") == path
    assert runner.put_session(started["sprint_id"], run_id, b"said anew") == f"{path}.2"
    assert runner.put_session(started["sprint_id"], run_id, b"and on", f"{path}.2") == f"{path}.3"
    assert runner.put_session(started["sprint_id"], run_id, b"and round", f"{path}.9") == f"{path}.4"
    runner.pause_run(run_id, "2026-01-01T00:00:00Z", "limit", {"path": f"{path}.2", "session_id": "s-1"})
    world.execute("update sprints set resume_at = now() where state = 'PAUSED'")
    (next_run,) = functions.wake_sprints()
    another = gate.runner(world, next_run, scope="build")
    session = another.start_run(next_run, "2", 1)["sprint"]["session"]
    assert session["session_id"] == "s-1"
    assert another.get_session(session["path"]) == b"said anew"
    with pytest.raises(NotFound):
        stranger.get_session(session["path"])
    with pytest.raises(NotAllowed):
        stranger.put_session(started["sprint_id"], run_id, b"mine")
