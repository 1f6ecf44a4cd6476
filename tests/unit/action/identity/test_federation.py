"""A job's identity becomes access to Claude: GitHub's double says who it is, the API's double believes it or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from action.build.agents.claude.key import Credential, credential_of
from action.build.agents.claude.proxy import Proxy
from action.identity.federation import bearer_headers
from action.money import Ledger
from action.plan.claude import Claude
from action.plan.purse import RunPurse
from action.settings import read_settings
from controlplane.errors import AicdError, CallerError, NotAllowed, OutsideError, UsageError
from local.doubles.anthropic import AnthropicDouble, Scenario, Step, build_anthropic, serving
from tests.identity import ORGANIZATION, RULE, Job, job_on_github

MODEL = "claude-opus-5-5"
ASKED = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "Hi"}]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}
ANSWER = Step(data={"answer": 42})


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    with job_on_github(tmp_path_factory.mktemp("github")) as job:
        yield job


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[AnthropicDouble, str]]:
    double = build_anthropic(Scenario())
    with serving(double) as url:
        yield double, url


@pytest.fixture
def double(running: tuple[AnthropicDouble, str]) -> Iterator[AnthropicDouble]:
    double = running[0]
    double.received.clear()
    yield double
    assert double.problems.as_documents() == []


@pytest.fixture
def url(running: tuple[AnthropicDouble, str]) -> str:
    return running[1]


def trust(double: AnthropicDouble, job: Job, **changes: Any) -> None:
    double.set_script(Scenario(planning=(ANSWER,), federation=job.trusted(**changes)))


def ask(credential: Credential, url: str, times: int = 1) -> None:
    purse = RunPurse(Ledger(ORGANIZATION, 100.0), MODEL)
    claude = Claude(credential, MODEL, purse, sleep=lambda _: None, url=url)
    try:
        for _ in range(times):
            assert claude.ask([], [{"role": "user", "content": "Hi"}], SCHEMA).text == '{"answer": 42}'
    finally:
        claude.close()


def refused(credential: Credential) -> AicdError:
    with pytest.raises(AicdError) as caught:
        credential.headers()
    return caught.value


def tokens_seen(double: AnthropicDouble) -> list[str]:
    return [one.key for one in double.received]


def test_planner_asks_with_a_token_that_was_given_for_the_jobs_identity(
    job: Job, double: AnthropicDouble, url: str
) -> None:
    trust(double, job)
    secrets: list[str] = []
    ask(job.credential(url, secrets), url, times=2)
    identity, access = secrets
    assert identity.count(".") == 2
    assert tokens_seen(double) == [access, access]
    assert access.startswith("sk-ant-oat01-")
    assert all(bearer_headers("x")["anthropic-beta"] in one.headers["anthropic-beta"] for one in double.received)


def test_token_is_renewed_before_it_ends(job: Job, double: AnthropicDouble, url: str) -> None:
    """Half a minute before its end a token is not used any more."""
    trust(double, job, lifetime_seconds=29)
    secrets: list[str] = []
    ask(job.credential(url, secrets), url, times=2)
    first, second = tokens_seen(double)
    assert first != second
    assert {first, second} <= set(secrets)


def test_token_that_still_lives_is_used_while_the_exchange_is_down(job: Job, double: AnthropicDouble, url: str) -> None:
    """Between two minutes and half a minute before the end a renewal may fail; after that it is the end."""
    trust(double, job, lifetime_seconds=32, refuses_with=503, refuses_from=2)
    credential = job.credential(url, [])
    first = credential.headers()
    assert credential.headers() == first
    time.sleep(2.5)
    assert isinstance(refused(credential), OutsideError)


def test_proxy_goes_on_with_a_new_token_when_one_ends_before_its_time(
    job: Job, double: AnthropicDouble, url: str
) -> None:
    trust(double, job, ends_after_calls=2)
    secrets: list[str] = []
    ledger = Ledger(ORGANIZATION, 1.0)
    with Proxy(job.credential(url, secrets), ledger, url) as proxy:
        sent = {"x-api-key": proxy.token, "anthropic-version": "2023-06-01", "anthropic-beta": "files-api-2025-04-14"}
        statuses = [
            httpx.post(f"{proxy.address}/v1/messages", json=ASKED, headers=sent, trust_env=False).status_code
            for _ in range(5)
        ]
        facts = proxy.take_facts()
    assert statuses == [200] * 5
    assert facts.statuses == [200] * 5
    assert len(set(tokens_seen(double))) == 3
    assert double.received[0].headers["anthropic-beta"] == "files-api-2025-04-14,oauth-2025-04-20"
    assert all(proxy.token not in str(one.headers) for one in double.received)


@pytest.mark.parametrize(
    ("status", "answered", "unreachable", "statuses"),
    [(400, 401, False, [200, 200, 401]), (503, 502, True, [200, 200])],
)
def test_proxy_says_when_nothing_proves_it_any_more(
    job: Job,
    double: AnthropicDouble,
    url: str,
    status: int,
    answered: int,
    unreachable: bool,
    statuses: list[int],
) -> None:
    trust(double, job, ends_after_calls=2, refuses_with=status, refuses_from=2)
    with Proxy(job.credential(url, []), Ledger(ORGANIZATION, 1.0), url) as proxy:
        sent = {"x-api-key": proxy.token, "anthropic-version": "2023-06-01"}
        said = [httpx.post(f"{proxy.address}/v1/messages", json=ASKED, headers=sent, trust_env=False) for _ in range(3)]
        facts = proxy.take_facts()
    assert [one.status_code for one in said] == [200, 200, answered]
    assert said[-1].headers["x-should-retry"] == "false"
    assert (facts.unreachable, facts.statuses) == (unreachable, statuses)


@pytest.mark.parametrize(
    ("status", "code", "exchanges"), [(400, "claude-identity-refused", 2), (503, "claude-identity-unavailable", 4)]
)
def test_planner_says_what_its_exchange_said_and_pays_nothing_for_what_was_never_sent(
    job: Job, double: AnthropicDouble, url: str, status: int, code: str, exchanges: int
) -> None:
    trust(double, job, lifetime_seconds=29, refuses_with=status, refuses_from=2)
    ledger = Ledger(ORGANIZATION, 100.0)
    claude = Claude(job.credential(url, []), MODEL, RunPurse(ledger, MODEL), sleep=lambda _: None, url=url)
    with pytest.raises(AicdError) as caught:
        claude.ask([], [{"role": "user", "content": "Hi"}], SCHEMA)
    claude.close()
    assert caught.value.code == code
    assert (double.received, ledger.entries()) == ([], ())
    assert double.tokens is not None
    assert double.tokens._asked == exchanges


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"rule": "fdrl_01Other"}, "no such rule"),
        ({"organization": "00000000-0000-4000-8000-000000000000"}, "no such rule"),
        ({"service_account": "svac_01Other"}, "another service account"),
        ({"audience": "https://elsewhere.example"}, "InvalidAudienceError"),
        ({"issuer": "https://elsewhere.example"}, "InvalidIssuerError"),
        ({"subject": "repo:other@*"}, "another subject"),
        ({"keys": ()}, "no such key"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_rule_that_does_not_fit_is_told_with_everything_to_compare(
    job: Job, double: AnthropicDouble, url: str, rule: dict[str, Any], told: str
) -> None:
    trust(double, job, **rule)
    error = refused(job.credential(url, []))
    assert (type(error), error.code) == (NotAllowed, "claude-identity-refused")
    assert told in str(double.tokens and double.tokens.refused)
    for named in (RULE, "https://api.anthropic.com", "history"):
        assert named in error.fix


def test_audience_is_the_one_that_was_asked_for(job: Job, double: AnthropicDouble, url: str) -> None:
    trust(double, job, audience="https://claude.acme.example")
    job.credential(url, [], AICD_ANTHROPIC_IDENTITY_AUDIENCE="https://claude.acme.example").headers()


def test_rule_for_several_workspaces_wants_to_know_which(job: Job, double: AnthropicDouble, url: str) -> None:
    trust(double, job, workspaces=("wrkspc_one", "wrkspc_two"))
    assert "anthropic-workspace-id" in refused(job.credential(url, [])).fix
    job.credential(url, [], AICD_ANTHROPIC_WORKSPACE_ID="wrkspc_two").headers()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_exchange_that_does_not_answer_may_later(job: Job, double: AnthropicDouble, url: str, status: int) -> None:
    trust(double, job, refuses_with=status)
    error = refused(job.credential(url, []))
    assert (type(error), error.code) == (OutsideError, "claude-identity-unavailable")


def test_exchange_that_cannot_be_reached_may_later(job: Job) -> None:
    assert isinstance(refused(job.credential("http://127.0.0.1:9", [])), OutsideError)


def test_job_without_the_permission_is_told_of_the_key_instead(job: Job, double: AnthropicDouble, url: str) -> None:
    trust(double, job)
    error = refused(job.credential(url, [], ACTIONS_ID_TOKEN_REQUEST_TOKEN="stolen"))
    assert (error.code, "anthropic-api-key" in error.fix) == ("id-token-refused", True)


def test_identity_may_come_from_a_file_that_is_read_again_each_time(
    job: Job, double: AnthropicDouble, url: str, tmp_path: Path
) -> None:
    trust(double, job, lifetime_seconds=29)
    file = tmp_path / "identity"
    none = {"ACTIONS_ID_TOKEN_REQUEST_URL": "", "ANTHROPIC_IDENTITY_TOKEN_FILE": str(file)}
    credential = job.credential(url, [], **none)
    assert refused(credential).code == "identity-file-unreadable"
    secrets: list[str] = []
    job.credential(url, secrets).headers()
    file.write_text(secrets[0] + "\n")
    assert credential.headers()["authorization"].startswith("Bearer sk-ant-oat01-")
    file.write_text("")
    assert isinstance(refused(credential), CallerError)


def test_token_that_still_lives_is_used_while_there_is_no_identity(
    job: Job, double: AnthropicDouble, url: str, tmp_path: Path
) -> None:
    trust(double, job, lifetime_seconds=60)
    file = tmp_path / "identity"
    secrets: list[str] = []
    job.credential(url, secrets).headers()
    file.write_text(secrets[0])
    credential = job.credential(url, [], ANTHROPIC_IDENTITY_TOKEN_FILE=str(file))
    first = credential.headers()
    file.unlink()
    assert credential.headers() == first


def test_nothing_of_it_is_in_a_text(job: Job, double: AnthropicDouble, url: str) -> None:
    trust(double, job, rule="fdrl_01Other")
    secrets: list[str] = []
    credential = job.credential(url, secrets)
    error = refused(credential)
    shown = f"{error} {error.details} {credential!r} {job.settings(url)!r}"
    assert all(secret not in shown for secret in (*secrets, job.access["token"]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"AICD_ANTHROPIC_ORGANIZATION_ID": ""}, "anthropic-organization-id' is missing"),
        ({"AICD_ANTHROPIC_FEDERATION_RULE_ID": ""}, "anthropic-federation-rule-id' is missing"),
        ({"AICD_ANTHROPIC_FEDERATION_RULE_ID": "rule one"}, "anthropic-federation-rule-id"),
        ({"AICD_ANTHROPIC_API_KEY": "sk-ant-api03-x"}, "give one of them"),
        ({"ACTIONS_ID_TOKEN_REQUEST_URL": ""}, "id-token: write"),
        ({"ANTHROPIC_BASE_URL": "http://gateway.example"}, "https"),
        ({"AICD_ANTHROPIC_BASE_URL": "http://gateway.example"}, "https"),
    ],
)
def test_inputs_that_cannot_prove_anything_are_told_before_any_work(
    job: Job, changes: dict[str, str], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        job.settings("http://127.0.0.1:9", **changes)


def test_nothing_given_is_no_credential() -> None:
    assert credential_of(read_settings({}), lambda _: None) is None
