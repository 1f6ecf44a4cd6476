"""Row 11: nothing that is not signed, or was delivered before, has an effect. Both doors, with real secrets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from functions.github_webhook.signature import sign
from tests.contract.functions.conftest import REPO, SPEC, Line

pytestmark = pytest.mark.database

SECRET = SecretStr("a-webhook-secret-for-tests")


@dataclass
class GitHub:
    """github-webhook, and GitHub that calls it."""

    line: Any
    client: Any

    def deliver(self, event: str, payload: dict[str, Any], **changes: Any) -> Any:
        body = json.dumps(payload).encode()
        headers = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-Hub-Signature-256": sign(SECRET, body),
            "Content-Type": "application/json",
            **changes.pop("headers", {}),
        }
        return self.client.post("/", data=changes.pop("data", body), headers={k: v for k, v in headers.items() if v})

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return self.line.rows(
            "select phase, metadata from status_events where phase in ('MERGED', 'DEPLOYED') order by created_at"
        )


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Says a row's figure, on the screen with -s and in the report."""

    def say(line: str) -> None:
        record_property("figure", line)
        print(line)

    return say


@pytest.fixture
def github(line: Line) -> Iterator[GitHub]:
    line.database.execute("truncate private.webhook_deliveries")
    run_id = line.ingest()["run_id"]
    line.database.execute(
        "update runs set pull_request = %s, commit_sha = 'abcdef1' where id = %s",
        (json.dumps({"url": f"https://github.com/{REPO}/pull/7", "number": 7}), run_id),
    )
    yield GitHub(line, line.function("github_webhook", AICD_GITHUB_WEBHOOK_SECRET=SECRET.get_secret_value()))


def pull_request(action: str = "closed", *, merged: bool = True, number: int = 7, repo: str = REPO) -> dict[str, Any]:
    return {
        "action": action,
        "number": number,
        "pull_request": {
            "number": number, "html_url": f"https://github.com/{repo}/pull/{number}", "merged": merged,
            "merge_commit_sha": "fedcba9876543210fedcba9876543210fedcba98", "merged_at": "2026-11-21T09:00:00Z",
            "merged_by": {"login": "ada", "id": 1}, "title": "a\u202e<script>",
        },
        "repository": {"id": 74, "full_name": repo, "private": True},
        "sender": {"login": "ada"},
    }  # fmt: skip


def deployment(state: str = "success", sha: str = "abcdef1", environment: str = "production") -> dict[str, Any]:
    return {
        "action": "created",
        "deployment_status": {"state": state, "environment": environment, "creator": {"login": "bot"}},
        "deployment": {"sha": sha, "environment": environment, "id": 5},
        "repository": {"id": 74, "full_name": REPO},
    }


def signed(key: bytes, algorithm: str) -> Callable[[bytes], str]:
    return lambda body: f"{algorithm}=" + hmac.new(key, body, algorithm).hexdigest()


KEY = SECRET.get_secret_value().encode()
FORGED: dict[str, Callable[[bytes], dict[str, str]]] = {
    "none": lambda body: {"X-Hub-Signature-256": ""},
    "empty digest": lambda body: {"X-Hub-Signature-256": "sha256="},
    "short": lambda body: {"X-Hub-Signature-256": sign(SECRET, body)[:-1]},
    "long": lambda body: {"X-Hub-Signature-256": sign(SECRET, body) + "0"},
    "upper case": lambda body: {"X-Hub-Signature-256": sign(SECRET, body).upper()},
    "sha1 in its own header": lambda body: {"X-Hub-Signature-256": "", "X-Hub-Signature": signed(KEY, "sha1")(body)},
    "sha1 in ours": lambda body: {"X-Hub-Signature-256": signed(KEY, "sha1")(body)},
    "sha512": lambda body: {"X-Hub-Signature-256": signed(KEY, "sha512")(body)},
    "other secret": lambda body: {"X-Hub-Signature-256": sign(SecretStr("another"), body)},
    "empty secret": lambda body: {"X-Hub-Signature-256": signed(b"", "sha256")(body)},
    "flipped digit": lambda body: {"X-Hub-Signature-256": flip(sign(SECRET, body))},
    "not ascii": lambda body: {"X-Hub-Signature-256": "sha256=" + "é" * 64},
}  # fmt: skip


def flip(signature: str) -> str:
    return signature[:-1] + ("0" if signature[-1] != "0" else "1")


def test_github_delivery_that_is_not_signed_has_no_effect(github: GitHub, tell: Callable[[str], None]) -> None:
    body = json.dumps(pull_request()).encode()
    statuses = {}
    for name, forge in FORGED.items():
        answer = github.deliver("pull_request", pull_request(), headers=forge(body))
        statuses[name] = (answer.status_code, answer.json["errors"][0]["code"])
    assert set(statuses.values()) == {(401, "delivery-not-proven")}, statuses
    for place in range(0, len(body), 31):
        flipped = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        assert github.deliver("pull_request", pull_request(), data=flipped).status_code == 401
    assert github.events() == []
    tell(
        f"row 11, github-webhook: {len(FORGED)} forgeries and {len(range(0, len(body), 31))} flipped bytes, 0 accepted"
    )


def test_merged_pull_request_is_told_once_whatever_is_delivered_again(github: GitHub) -> None:
    delivery = {"X-GitHub-Delivery": str(uuid.uuid4())}
    first = github.deliver("pull_request", pull_request(), headers=delivery)
    assert (first.status_code, first.json["data"]["outcome"]) == (200, "recorded")
    replayed = github.deliver("pull_request", pull_request(), headers=delivery)
    assert (replayed.status_code, replayed.json["errors"][0]["code"]) == (409, "delivery-replayed")
    assert github.deliver("pull_request", pull_request()).json["data"]["outcome"] == "known"
    [(phase, facts)] = github.events()
    assert phase == "MERGED"
    assert (facts["by"], facts["url"]) == ("ada", f"https://github.com/{REPO}/pull/7")
    assert github.line.rows("select pull_request ->> 'state' from runs") == [("merged",)]


def test_deployment_of_the_commit_or_of_the_merge_is_told_once_for_each_environment(github: GitHub) -> None:
    github.deliver("pull_request", pull_request())
    merge = pull_request()["pull_request"]["merge_commit_sha"]
    outcomes = [
        github.deliver("deployment_status", payload).json["data"]["outcome"]
        for payload in (deployment("pending"), deployment(), deployment(), deployment(sha=merge, environment="staging"),
                        deployment(sha="0" * 40))
    ]  # fmt: skip
    assert outcomes == ["ignored", "recorded", "known", "recorded", "unknown-run"]
    assert [phase for phase, _ in github.events()] == ["MERGED", "DEPLOYED", "DEPLOYED"]


def test_closed_pull_request_is_no_merged_one(github: GitHub) -> None:
    assert github.deliver("pull_request", pull_request(merged=False)).json["data"]["outcome"] == "recorded"
    assert github.events() == []
    assert github.line.rows("select pull_request ->> 'state' from runs") == [("closed",)]


def test_what_is_not_ours_is_told_so_and_changes_nothing(github: GitHub) -> None:
    outcomes = {
        name: github.deliver(event, payload).json["data"]["outcome"]
        for name, event, payload in (
            ("ping", "ping", {"zen": "x"}),
            ("opened", "pull_request", pull_request("opened")),
            ("other number", "pull_request", pull_request(number=8)),
            ("other repository", "pull_request", pull_request(repo="rival/other")),
        )
    }
    assert list(outcomes.values()) == ["ignored", "ignored", "unknown-run", "unknown-repository"]
    github.line.database.execute("update projects set repository_id = '75', repository_owner_id = '1'")
    assert github.deliver("pull_request", pull_request()).json["data"]["outcome"] == "unknown-repository"
    assert github.events() == []


def test_signed_nonsense_is_refused_without_a_crash(github: GitHub) -> None:
    payloads: tuple[Any, ...] = (
        [],
        {},
        None,
        "x",
        {"action": "closed"},
        pull_request() | {"pull_request": {"number": "7"}},
    )
    for payload in payloads:
        answer = github.deliver("pull_request", payload)
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, "payload-not-understood"), payload


# The generic door


@dataclass
class Source:
    """The webhook function, and a system that has a secret for it."""

    line: Any
    client: Any
    secret: bytes
    sent: int = field(default=0)

    def deliver(self, spec: Any = SPEC, **changes: Any) -> Any:
        """As Standard Webhooks has it; every part can be replaced."""
        body = changes.get("body", json.dumps({"spec": spec}).encode())
        signed_body = changes.get("signed_body", body)
        message_id = changes.get("id", f"msg_{uuid.uuid4().hex}")
        seconds = str(changes.get("at", int(time.time())))
        signature = self.sign(changes.get("signed_id", message_id), seconds, signed_body)
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": seconds,
            "webhook-signature": changes.get("signature", lambda given: given)(signature),
            "Content-Type": "application/json",
        }
        left = {name: value for name, value in headers.items() if value is not None and name != changes.get("without")}
        return self.client.post(changes.get("path", "/jira"), data=body, headers=left)

    def sign(self, message_id: str, seconds: str, body: bytes) -> str:
        digest = hmac.new(self.secret, f"{message_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
        return "v1," + base64.b64encode(digest).decode()

    def specs(self) -> int:
        return int(self.line.rows("select count(*) from specs")[0][0])


@pytest.fixture
def source(line: Line) -> Iterator[Source]:
    line.database.execute("truncate private.webhook_sources, private.request_times, private.idempotent_requests")
    [(made,)] = line.rows("select create_webhook_source_v1(%s)", json.dumps({"name": "jira", "repo": REPO}))
    secret = base64.b64decode(made["secret"].removeprefix("whsec_"))
    yield Source(line, line.function("webhook"), secret)


def test_signed_delivery_is_taken_in_as_by_the_api_and_only_once(source: Source) -> None:
    message_id = f"msg_{uuid.uuid4().hex}"
    first = source.deliver(id=message_id)
    assert first.status_code == 201, first.text
    assert first.json["data"]["created_by"] == "webhook:jira"
    replayed = source.deliver(id=message_id)
    assert (replayed.status_code, replayed.json["errors"][0]["code"]) == (409, "delivery-replayed")
    assert source.deliver().json["data"]["duplicate"]
    assert source.specs() == 1


def test_delivery_that_is_not_signed_or_not_of_now_has_no_effect(source: Source, tell: Callable[[str], None]) -> None:
    now = int(time.time())
    forgeries: dict[str, dict[str, Any]] = {
        "no signature": {"without": "webhook-signature"},
        "no id": {"without": "webhook-id"},
        "no time": {"without": "webhook-timestamp"},
        "old": {"at": now - 301},
        "from the future": {"at": now + 330},
        "time with a zero before": {"at": f"0{now}"},
        "other body": {"signed_body": b"{}"},
        "other id": {"signed_id": "msg_other"},
        "short": {"signature": lambda given: given[:-1]},
        "cut": {"signature": lambda given: given[:20]},
        "version 2": {"signature": lambda given: "v2" + given[2:]},
        "asymmetric": {"signature": lambda given: "v1a" + given[2:]},
        "hex": {"signature": lambda given: "v1," + base64.b64decode(given[3:]).hex()},
        "sha1": {"signature": lambda given: "v1," + base64.b64encode(b"x" * 20).decode()},
        "flipped": {"signature": lambda given: "v1," + ("A" if given[3] != "A" else "B") + given[4:]},
        "empty": {"signature": lambda given: ""},
        "unknown source": {"path": "/gerrit"},
        "no source": {"path": "/"},
        "hostile source": {"path": "/../jira"},
    }
    statuses = {name: source.deliver(**changes).status_code for name, changes in forgeries.items()}
    assert set(statuses.values()) == {401}, statuses
    assert source.specs() == 0
    tell(f"row 11, webhook: {len(forgeries)} forgeries, 0 accepted")


def test_one_right_signature_among_several_is_enough_while_a_secret_is_changed(source: Source) -> None:
    other = "v1," + base64.b64encode(b"x" * 32).decode()
    assert source.deliver(signature=lambda given: f"v1a,x {other} {given}").status_code == 201


def test_revoked_source_is_unknown_at_once(source: Source) -> None:
    source.line.rows("select revoke_webhook_source_v1('jira', 'lost')")
    assert source.deliver().status_code == 401


def test_source_has_built_only_what_it_is_for(source: Source) -> None:
    answer = source.deliver(SPEC.replace("acme/greeting", "rival/other"))
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (403, "repository-not-allowed")


def test_delivery_that_met_a_fault_of_ours_may_come_again(source: Source) -> None:
    message_id = f"msg_{uuid.uuid4().hex}"
    source.line.database.execute("alter function submit_spec_v1(jsonb, jsonb) rename to away")
    try:
        assert source.deliver(id=message_id).status_code == 500
    finally:
        source.line.database.execute("alter function away(jsonb, jsonb) rename to submit_spec_v1")
    assert source.deliver(id=message_id).status_code == 201
    assert source.specs() == 1


def test_comparison_takes_as_long_for_a_nearly_right_signature(source: Source) -> None:
    """In the database, where the secret is: by the hashes of both, so that the first wrong byte tells nothing."""
    right = source.sign("a", "1", b"x" * 1000)[3:]
    wrong_late, wrong_early = right[:-2] + "A=", "A" + right[1:]
    signed_bytes = b"a.1." + b"x" * 1000
    times: dict[str, list[float]] = {"late": [], "early": []}
    for _ in range(150):
        for name, given in (("late", wrong_late), ("early", wrong_early)):
            begin = time.perf_counter()
            [(fits,)] = source.line.rows("select private.signed_by(%s, %s, %s)", source.secret, signed_bytes, [given])
            times[name].append(time.perf_counter() - begin)
            assert fits is (given == right)
    late, early = (statistics.median(times[name]) for name in ("late", "early"))
    assert 0.5 < late / early < 2
