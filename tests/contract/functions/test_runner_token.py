"""runner-token with the real database, gateway and GitHub double: row 10 of the threats, and what a token reaches."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from pydantic import SecretStr
from werkzeug.serving import make_server
from werkzeug.test import Client

from action.identity import Exchange, RunToken
from action.identity.github import IdentityService
from controlplane.errors import AicdError, NotAllowed, NotFound, OutsideError
from controlplane.store import Connection, RunnerStore, connect
from local.administration import Administration

AUDIENCE = "https://runner-token.example"
REPO = "acme/greeting"
STRANGER = rsa.generate_private_key(65537, 2048)


@dataclass
class Desk:
    """The function, a dispatched run with its CI run at the double, and the tokens of its job."""

    line: Any
    client: Client
    run_id: str
    ci_run: int
    repository: Mapping[str, Any]

    def identity(self, environment: str | None = None, **order: Any) -> str:
        """What the job gets from GitHub when it asks for a token with our audience."""
        github = self.line.world.github
        access = github.post(f"runs/{self.ci_run}/oidc", environment=environment)
        answer = httpx.get(
            f"{access['url']}&audience={order.get('audience', AUDIENCE)}",
            headers={"Authorization": f"bearer {access['token']}"},
            trust_env=False,
        )
        return str(answer.json()["value"])

    def forge(self, **order: Any) -> str:
        """A token of the double with anything replaced."""
        return str(
            self.line.world.github.post("oidc/forge", **{"run_id": self.ci_run, "audience": AUDIENCE, **order})["token"]
        )

    def ask(self, token: str | None, run_id: str | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        answer = self.client.post("/", json={"run_id": run_id or self.run_id}, headers=headers)
        document = answer.get_json()
        assert set(document) == {"data", "meta", "errors"}
        return answer.status_code, document

    def token(self, environment: str | None = None) -> str:
        status, document = self.ask(self.identity(environment))
        assert status == 200, document
        return str(document["data"]["token"])

    def store(self, token: str) -> RunnerStore:
        world = self.line.world
        where = Connection(url=world.api_url, publishable_key=world.publishable_key, token=SecretStr(token))
        return RunnerStore(connect(where))

    def minted(self) -> int:
        return int(self.line.rows("select count(*) from private.exchanged_identities")[0][0])


def dispatch(line: Any, run_id: str) -> int:
    """The CI run that dispatch starts and binds; its number."""
    line.make_due()
    assert line.call(line.function("dispatch")).status_code < 300
    ((ci_run_id,),) = line.rows("select ci_run_id from runs where id = %s", run_id)
    assert ci_run_id, "dispatch bound nothing"
    return int(ci_run_id)


@pytest.fixture
def desk(line: Any) -> Iterator[Desk]:
    owner, name = REPO.split("/")
    repository = line.world.github.post("repos", owner=owner, name=name)
    pin(line, repository["id"], repository["owner_id"])
    run_id = line.ingest()["run_id"]
    ci_run = dispatch(line, run_id)
    client = line.function(
        "runner_token",
        AICD_SIGNING_JWK=json.dumps(line.world.jwk),
        AICD_RUNNER_TOKEN_AUDIENCE=AUDIENCE,
        GITHUB_OIDC_ISSUER=line.world.github.url,
    )
    yield Desk(line, client, run_id, ci_run, repository)


def pin(line: Any, repository_id: Any, owner_id: Any, **project: Any) -> None:
    ids = {"repository_id": repository_id, "repository_owner_id": owner_id}
    with Administration(line.world.db_url) as operator:
        operator.create_project({"repo": REPO, **ids, **project})


@pytest.mark.parametrize(
    ("environment", "scope"), [("aicd-build", "build"), ("aicd-publish", "publish"), (None, "both")]
)
def test_job_of_the_run_gets_fifteen_minutes_of_it(desk: Desk, environment: str | None, scope: str) -> None:
    status, document = desk.ask(desk.identity(environment))
    assert status == 200, document
    assert set(document["data"]) == {"token", "expires_at", "run_id", "scope"}
    assert (document["data"]["run_id"], document["data"]["scope"]) == (desk.run_id, scope)
    claims = jwt.decode(document["data"]["token"], options={"verify_signature": False})
    ((project_id, spec_id),) = desk.line.rows(
        "select project_id::text, spec_id::text from runs where id = %s", desk.run_id
    )
    assert claims["exp"] - claims["iat"] == 900
    named = {name: claims.get(name) for name in ("role", "run_id", "project_id", "spec_id", "scope")}
    expected_scope = None if scope == "both" else scope
    assert named == {"role": "aicd_runner", "run_id": desk.run_id, "project_id": project_id, "spec_id": spec_id,
                     "scope": expected_scope}  # fmt: skip
    ((audited,),) = desk.line.rows(
        "select details from audit_log where action = 'exchange_identity' and subject_id = %s", desk.run_id
    )
    assert audited["token_jti"] == claims["jti"] and audited["scope"] == scope


def attacks(desk: Desk) -> dict[str, Callable[[], str]]:
    """Row 10 of the threats. Each gives a token that must not be accepted."""
    forge, now = desk.forge, int(time.time())

    def own(header: dict[str, Any], **changes: Any) -> str:
        real = jwt.decode(desk.identity(), options={"verify_signature": False})
        return jwt.encode({**real, **changes}, STRANGER, algorithm="RS256", headers=header)

    real_kid = jwt.get_unverified_header(desk.identity())["kid"]
    jwk = RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
    other_owner = str(int(desk.repository["owner_id"]) + 1)
    file = f"{REPO}/.github/workflows"
    found: dict[str, Callable[[], str]] = {
        "aud wrong": lambda: desk.identity(audience="https://other.example"),
        "aud list": lambda: forge(claims={"aud": [AUDIENCE]}),
        "aud list of two": lambda: forge(claims={"aud": [AUDIENCE, "x"]}),
        "aud missing": lambda: forge(claims={"aud": None}),
        "aud with slash": lambda: forge(claims={"aud": AUDIENCE + "/"}),
        "iss wrong": lambda: forge(claims={"iss": "https://token.actions.githubusercontent.com"}),
        "iss missing": lambda: forge(claims={"iss": None}),
        "alg none": lambda: forge(signing="none"),
        "alg none in capitals": lambda: forge(signing="none", header={"alg": "None"}),
        "HS256 with the public key": lambda: forge(signing="hs256-public"),
        "RS256 of a stranger": lambda: forge(signing="stranger"),
        "signature broken": lambda: forge(signing="broken"),
        "expired": lambda: forge(claims={"exp": now - 31, "iat": now - 400}),
        "exp missing": lambda: forge(claims={"exp": None}),
        "exp as text": lambda: forge(claims={"exp": str(now + 300)}),
        "nbf ahead": lambda: forge(claims={"nbf": now + 90}),
        "iat ahead": lambda: forge(claims={"iat": now + 90}),
        "iat missing": lambda: forge(claims={"iat": None}),
        "other repository": lambda: forge(claims={"repository": "acme/other", "repository_id": "1"}),
        "other repository's name only": lambda: forge(claims={"repository": "acme/other"}),
        "other repository's id only": lambda: forge(claims={"repository_id": "1"}),
        "same name, other owner id": lambda: forge(claims={"repository_owner_id": other_owner}),
        "same name, other repository and owner id": lambda: forge(
            claims={"repository_id": "1", "repository_owner_id": other_owner}
        ),
        "id as a number": lambda: forge(claims={"repository_id": desk.repository["id"]}),
        "other owner": lambda: forge(claims={"repository_owner": "evil"}),
        "other workflow": lambda: forge(claims={"workflow_ref": f"{file}/evil.yml@refs/heads/main"}),
        "other job workflow": lambda: forge(
            claims={"job_workflow_ref": "evil/x/.github/workflows/aicd.yml@refs/heads/main"}
        ),
        "workflow of another branch": lambda: forge(claims={"workflow_ref": f"{file}/aicd.yml@refs/heads/evil"}),
        "other ref": lambda: forge(claims={"ref": "refs/heads/evil"}),
        "other ref, consistently": lambda: forge(claims={
            "ref": "refs/heads/evil", "workflow_ref": f"{file}/aicd.yml@refs/heads/evil",
            "job_workflow_ref": f"{file}/aicd.yml@refs/heads/evil"}),
        "tag named as the branch": lambda: forge(claims={"ref": "refs/tags/main"}),
        "other run": lambda: forge(claims={"run_id": "1"}),
        "other environment": lambda: desk.identity("production"),
        "unknown kid": lambda: forge(header={"kid": "0" * 40}),
        "no kid": lambda: forge(header={"kid": None}),
        "jku of a stranger": lambda: own({"kid": "x", "jku": "http://127.0.0.1:9/keys"}),
        "jku, kid of GitHub": lambda: own({"kid": real_kid, "jku": "http://127.0.0.1:9/keys"}),
        "jwk of a stranger": lambda: own({"kid": real_kid, "jwk": jwk}),
        "jku, truly signed": lambda: forge(header={"jku": "http://127.0.0.1:9/keys"}),
        "jwk, truly signed": lambda: forge(header={"jwk": jwk}),
        "x5u, truly signed": lambda: forge(header={"x5u": "http://127.0.0.1:9/cert"}),
        "crit, truly signed": lambda: forge(header={"crit": ["exp"]}),
        "no claims": lambda: forge(run_id=None),
    }  # fmt: skip
    for event in ("pull_request_target", "pull_request", "push", "schedule", "workflow_run", "issue_comment"):
        found[f"event {event}"] = lambda event=event: forge(claims={"event_name": event})  # type: ignore[misc]
    for name in ("jti", "repository", "repository_id", "repository_owner", "repository_owner_id", "ref", "sha",
                 "workflow_ref", "job_workflow_ref", "run_id", "run_attempt", "event_name",
                 "runner_environment"):  # fmt: skip
        found[f"{name} missing"] = lambda name=name: forge(claims={name: None})  # type: ignore[misc]
    return found


def test_no_forged_token_is_accepted_and_each_valid_one_is(desk: Desk) -> None:
    accepted, answers = [], Counter[str]()
    forged = attacks(desk)
    for name, make in forged.items():
        status, document = desk.ask(make())
        (error,) = document["errors"]
        assert status in (401, 403), (name, document)
        assert document["data"] is None and error["code"] and "Fix: " in error["message"]
        answers[f"{status} {error['code']}"] += 1
        if desk.minted():
            accepted.append(name)
    assert accepted == []
    valid = [
        desk.ask(desk.identity(environment))[0]
        for environment in (None, "aicd-build", "aicd-publish")
        for _ in range(5)
    ]
    valid += [desk.ask(desk.forge(claims=changes))[0] for changes in (
        {"event_name": "repository_dispatch"}, {"nbf": int(time.time()) + 20}, {"nbf": None},
        {"exp": int(time.time()) - 10}, {"runner_environment": "github-hosted"}, {"repository": REPO.upper(),
         "workflow_ref": f"{REPO.upper()}/.github/workflows/aicd.yml@refs/heads/main",
         "job_workflow_ref": f"{REPO.upper()}/.github/workflows/aicd.yml@refs/heads/main"},
    )]  # fmt: skip
    assert set(valid) == {200}
    print(f"\n{len(forged)} forged: {len(accepted)} accepted; {len(valid)} valid: {valid.count(200)} accepted")
    print("; ".join(f"{count}x {answer}" for answer, count in sorted(answers.items())))


def test_refusal_of_a_forgery_does_not_say_why(desk: Desk) -> None:
    said = {
        desk.ask(token)[1]["errors"][0]["message"]
        for token in (
            desk.forge(signing="stranger"),
            desk.forge(claims={"aud": "x"}),
            desk.forge(signing="none"),
            "x",
            None,
        )
    }
    assert len(said) == 1


def test_stranger_cannot_tell_a_run_of_others_from_none(desk: Desk) -> None:
    token = desk.forge(claims={"repository": "evil/x", "repository_owner": "evil", "repository_id": "1"})
    answers = [desk.ask(token, run_id) for run_id in (desk.run_id, str(uuid.uuid4()))]
    assert [(status, document["errors"]) for status, document in answers] == [
        (403, answers[0][1]["errors"]), (403, answers[0][1]["errors"])
    ]  # fmt: skip


def test_identity_serves_once(desk: Desk) -> None:
    token = desk.identity()
    assert desk.ask(token)[0] == 200
    replays = [desk.ask(token) for _ in range(3)]
    assert [(status, document["errors"][0]["code"]) for status, document in replays] == [(403, "identity-replayed")] * 3
    assert desk.minted() == 1


def test_of_twenty_exchanges_at_once_one_is_accepted(desk: Desk) -> None:
    desk.ask(desk.forge(signing="none"))  # wire the function before the race
    token, start = desk.identity(), threading.Barrier(20)

    def race(_: int) -> int:
        start.wait()
        return desk.ask(token)[0]

    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(race, range(20)))
    print(f"\n20 at once: {dict(answers)}")
    assert answers == {200: 1, 403: 19}
    assert desk.minted() == 1


def test_identity_is_claimed_before_anything_is_minted(desk: Desk) -> None:
    """A database that cannot be reached after the identity was proven gives no token."""
    broken = desk.line.function("runner_token", SUPABASE_URL="http://127.0.0.1:9")
    answer = broken.post("/", json={"run_id": desk.run_id}, headers={"Authorization": f"Bearer {desk.identity()}"})
    assert answer.status_code == 503 and answer.get_json()["data"] is None


def test_repository_that_nobody_pinned_gets_nothing_until_the_operator_does(desk: Desk) -> None:
    pin(desk.line, None, None)
    status, document = desk.ask(desk.identity())
    assert (status, document["errors"][0]["code"]) == (403, "project-not-pinned")
    assert "create_project_v1" in document["errors"][0]["message"]
    pin(desk.line, desk.repository["id"], desk.repository["owner_id"])
    assert desk.ask(desk.identity())[0] == 200


def test_other_run_of_the_same_project_is_not_the_jobs(desk: Desk) -> None:
    other = desk.line.ingest()["run_id"]
    assert desk.ask(desk.identity(), other)[1]["errors"][0]["code"] == "run-not-bound"
    dispatch(desk.line, other)
    assert desk.ask(desk.identity(), other)[1]["errors"][0]["code"] == "other-ci-run"
    assert desk.ask(desk.identity())[0] == 200


def test_token_touches_exactly_its_run(desk: Desk) -> None:
    """Every verb, every table and both buckets, with another run of the same project beside it."""
    other = desk.line.ingest()
    dispatch(desk.line, other["run_id"])
    token = desk.token()
    store = desk.store(token)
    started = store.start_run(desk.run_id, str(desk.ci_run), 1)
    assert started["outcome"] == "started"
    foreign: list[Callable[[], Any]] = [
        lambda: store.start_run(other["run_id"], "1", 1),
        lambda: store.record_event(other["run_id"], "BUILD", "", {}),
        lambda: store.record_execution(other["run_id"], {"agent": "x"}),
        lambda: store.finish_run(other["run_id"], "FAILED", {}),
        lambda: store.get_spec(other["spec_id"]),
        lambda: store.put_artifact(other["run_id"], str(uuid.uuid4()), b"x", "text/plain"),
    ]
    for attempt in foreign:
        with pytest.raises((NotFound, NotAllowed)):
            attempt()
    assert store.get_spec(started["spec_id"])
    world = desk.line.world
    headers = {"apikey": world.publishable_key, "Authorization": f"Bearer {token}"}
    seen = {}
    for table in ("runs", "specs", "sprints", "artifacts", "status_events", "agent_executions"):
        rows = httpx.get(f"{world.api_url}/rest/v1/{table}", headers=headers, trust_env=False).json()
        seen[table] = len(rows)
        assert not [row for row in rows if row.get("run_id", desk.run_id) != desk.run_id]
    assert (seen["runs"], seen["specs"], seen["sprints"]) == (1, 1, 1)
    assert desk.line.rows("select count(*) from runs") == [(2,)]


@pytest.mark.parametrize(
    ("environment", "allowed"), [("aicd-build", {"build"}), ("aicd-publish", {"publish"}), (None, {"build", "publish"})]
)
def test_token_does_only_its_half(desk: Desk, environment: str | None, allowed: set[str]) -> None:
    desk.store(desk.token()).start_run(desk.run_id, str(desk.ci_run), 1)
    store = desk.store(desk.token(environment))
    halves: dict[str, Callable[[], Any]] = {
        "build": lambda: store.record_execution(desk.run_id, {"agent": "x"}),
        "publish": lambda: store.put_artifact(desk.run_id, str(uuid.uuid4()), b"x", "text/plain"),
    }
    done = set()
    for half, act in halves.items():
        try:
            act()
            done.add(half)
        except AicdError as error:
            assert isinstance(error, NotAllowed), error
    assert done == allowed


def test_operator_ends_a_runs_tokens_at_once(desk: Desk) -> None:
    store = desk.store(desk.token())
    store.start_run(desk.run_id, str(desk.ci_run), 1)
    with Administration(desk.line.world.db_url) as operator:
        assert operator.revoke_run_tokens(desk.run_id, "test") == 1
    with pytest.raises(AicdError) as caught:
        store.record_event(desk.run_id, "BUILD", "", {})
    assert caught.value.code == "token-not-live"


def test_request_that_names_no_run_is_a_callers_mistake(desk: Desk) -> None:
    for body in (b"", b"{}", b"[]", b"null", b'{"run_id": 7}', b'{"run_id": "x"}', b"[" * 4000, b"\xff"):
        answer = desk.client.post("/", data=body, headers={"Authorization": f"Bearer {desk.identity()}"})
        assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (400, "run-id-missing"), body
    assert desk.minted() == 0


def test_large_body_and_other_methods_are_refused(desk: Desk) -> None:
    assert desk.client.post("/", data=b"x" * 5000).status_code == 413
    assert desk.client.get("/").status_code == 405


def test_missing_setting_is_named_and_no_secret_is(desk: Desk) -> None:
    for name, value in (
        ("AICD_SIGNING_JWK", "{}"),
        ("AICD_SIGNING_JWK", ""),
        ("AICD_RUNNER_TOKEN_AUDIENCE", ""),
        ("GITHUB_OIDC_ISSUER", "x"),
    ):
        before = os.environ[name]
        answer = desk.line.function("runner_token", **{name: value}).post("/", json={})
        os.environ[name] = before
        error = answer.get_json()["errors"][0]
        assert (answer.status_code, error["code"]) == (500, "misconfigured")
        assert name in error["message"]
        assert desk.line.world.jwk["d"] not in answer.get_data(as_text=True)


def test_every_refusal_is_counted_by_its_reason(desk: Desk, said: Callable[[], str]) -> None:
    for number in range(3):
        assert desk.ask(desk.forge(header={"kid": f"made-up-{number}"}))[0] == 401
    token = desk.identity()
    assert [desk.ask(token)[0] for _ in range(3)] == [200, 403, 403]
    lines = [json.loads(line) for line in said().splitlines() if line.startswith("{")]
    counted = [(line["reason"], line["refusals"]) for line in lines if line["event"] == "exchange refused"]
    assert counted == [
        ("unknown-key", 1), ("unknown-key", 2), ("unknown-key", 3), ("identity-replayed", 1), ("identity-replayed", 2)
    ]  # fmt: skip


def test_no_secret_is_logged(desk: Desk, said: Callable[[], str]) -> None:
    identity = desk.identity()
    _, document = desk.ask(identity)
    desk.ask(identity)
    lines = said()
    assert "run token minted" in lines and "exchange refused" in lines
    for secret in (identity, document["data"]["token"], desk.line.world.jwk["d"], os.environ["AICD_FUNCTIONS_TOKEN"]):
        assert secret not in lines


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    """The function listening; its audience is its origin, as the action takes it to be."""
    server = make_server("127.0.0.1", 0, desk.client.application, threaded=True)
    os.environ["AICD_RUNNER_TOKEN_AUDIENCE"] = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_action_works_on_past_the_end_of_its_first_token(desk: Desk, address: str) -> None:
    """Both halves of the exchange, the action's and ours, over HTTP; only the clock of the runner is moved."""
    access = desk.line.world.github.post(f"runs/{desk.ci_run}/oidc", environment="aicd-build")
    secrets: list[str] = []
    passed = 0.0
    service = IdentityService(access["url"], SecretStr(access["token"]))
    exchange = Exchange(address, desk.run_id, service, secrets.append)
    token = RunToken(exchange, clock=lambda: time.monotonic() + passed)
    world = desk.line.world
    store = RunnerStore(connect(Connection(url=world.api_url, publishable_key=world.publishable_key), token))
    assert store.start_run(desk.run_id, str(desk.ci_run), 1)["outcome"] == "started"
    first = token().get_secret_value()
    with Administration(world.db_url) as operator:  # as if its time were over
        operator.revoke_run_tokens(desk.run_id, "fifteen minutes have passed")
    passed = 700.0
    store.record_event(desk.run_id, "BUILD", "still at it", {})
    assert token().get_secret_value() != first and token.scope == "build"
    assert desk.minted() == 2 and len(set(secrets)) == 4


def test_action_waits_until_dispatch_has_bound_the_run(desk: Desk, address: str) -> None:
    """The job may be faster than dispatch's note of which workflow run it started."""
    run_id = desk.line.ingest()["run_id"]
    access = desk.line.world.github.post(f"runs/{desk.ci_run}/oidc")
    exchange = Exchange(address, run_id, IdentityService(access["url"], SecretStr(access["token"])), lambda _: None)
    with pytest.raises(OutsideError) as caught:
        exchange()
    assert caught.value.code == "run-not-bound"
    desk.line.store.bind_run(run_id, str(desk.ci_run), "https://x.example")
    assert exchange().run_id == run_id
