"""The GitHub double notices what breaks GitHub's published description, whoever breaks it."""

from __future__ import annotations

import json
import secrets
import signal
from pathlib import Path
from typing import Any

import jwt
import pytest

from local.doubles.exchange import Answer, Call, Exchange
from local.doubles.faults import ApiFaults
from local.doubles.github.access import authorise
from local.doubles.github.app import build_github
from local.doubles.github.contract import SUBSET, OpenApiContract
from local.doubles.github.cut_openapi import OPERATIONS
from local.doubles.validation import Problems
from tests.contract.doubles.conftest import Double

WORKFLOW = "name: W\non: {workflow_dispatch: {}}\njobs: {}\n"


@pytest.fixture
def repo(github: Double) -> str:
    name = f"strict-{secrets.token_hex(4)}"
    github.control("repos", owner="acme", name=name, files={".github/workflows/w.yml": WORKFLOW})
    return f"/repos/acme/{name}"


@pytest.fixture
def headers(github: Double) -> dict[str, str]:
    return {"authorization": f"Bearer {github.control('tokens')['token']}"}


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("POST", "/pulls", {"titel": "t", "head": "a", "base": "main"}, "titel"),
        ("POST", "/pulls", {"title": "t", "head": "a"}, "'base' is a required property"),
        ("POST", "/issues/1/comments", {"body": 7}, "7 is not of type 'string'"),
        ("GET", "/pulls?stat=open", None, "query stat"),
        ("GET", "/pulls?state=opened", None, "'opened' is not one of"),
        ("GET", "/pulls/first", None, "path pull_number"),
        ("POST", "/check-runs", {"name": "n", "head_sha": "x", "status": "done"}, "status"),
        ("PATCH", "/git/refs/heads/main", {"sha": "x", "force": "yes"}, "force"),
        ("POST", "/actions/workflows/w.yml/dispatches", {"ref": "main", "input": {}}, "input"),
        ("POST", "/dispatches", {"event_type": "x" * 101}, "event_type"),
    ],
)
def test_wrong_request_is_400_and_recorded(
    github: Double, repo: str, headers: dict[str, str], method: str, path: str, body: Any, complaint: str
) -> None:
    answer = github.client.request(method, repo + path, json=body, headers=headers)
    recorded = github.clear()
    assert answer.status_code == 400
    assert complaint in answer.json()["message"]
    assert [problem["side"] for problem in recorded] == ["request"]
    assert complaint in recorded[0]["details"][0]


def test_body_that_is_no_json_is_recorded(github: Double, repo: str, headers: dict[str, str]) -> None:
    answer = github.client.post(f"{repo}/pulls", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (400, "Problems parsing JSON")
    assert len(github.clear()) == 1


def test_undocumented_route_is_404_and_recorded(github: Double, headers: dict[str, str]) -> None:
    assert github.client.get("/repos/acme/x/pull-requests", headers=headers).status_code == 404
    assert "not a published operation" in github.clear()[0]["details"][0]


def test_removed_parameter_and_unknown_version_are_recorded(github: Double, repo: str, headers: dict[str, str]) -> None:
    body = {"ref": "main", "return_run_details": True}
    address = f"{repo}/actions/workflows/w.yml/dispatches"
    for version in ("2026-03-10", "1999-01-01"):
        sent = headers | {"x-github-api-version": version}
        assert github.client.post(address, json=body, headers=sent).status_code == 400
    assert len(github.clear()) == 2


def test_own_malformed_answer_is_500_and_recorded(tmp_path: Path) -> None:
    """A handler that forgets a field, and one that fails, are both the double's fault."""
    double = build_github(tmp_path, "http://127.0.0.1:1")
    token = double.state.create_token(None, None, None).token
    problems = Problems()

    def fail(_: object) -> Answer:
        raise ZeroDivisionError

    exchange = Exchange(
        OpenApiContract(),
        lambda call, match: authorise(double.state, call, match),
        {"users/get-authenticated": lambda _: Answer(document={"login": "octo"}), "rate-limit/get": fail},
        problems,
        ApiFaults(),
    )
    for path in ("/user", "/rate_limit"):
        call = Call("GET", path, (), {"authorization": f"Bearer {token}"}, b"", "http://127.0.0.1:1")
        assert exchange.answer(call).status == 500
    assert [problem["side"] for problem in problems.as_documents()] == ["answer", "answer"]


def test_every_handled_operation_is_published(tmp_path: Path) -> None:
    double = build_github(tmp_path, "http://127.0.0.1:1")
    assert double.exchange.handlers.keys() == OpenApiContract().operations.keys()


def test_published_subset_is_small_licensed_and_what_the_script_cuts() -> None:
    subset = json.loads(SUBSET.read_text())
    assert SUBSET.stat().st_size < 400 * 1024
    assert "MIT License" in SUBSET.with_suffix(".LICENSE").read_text()
    assert {path: tuple(methods) for path, methods in subset["paths"].items()} == OPERATIONS


def test_planned_faults_are_played_and_leave_the_effect(github: Double, repo: str, headers: dict[str, str]) -> None:
    fault = {"operation": "git/create-ref", "status": 502, "after_effect": True, "retry_after": 3}
    github.control("faults", api=[fault, {"operation": "repos/get", "kind": "garbage"}])
    main = github.client.get(f"{repo}/git/ref/heads/main", headers=headers).json()["object"]["sha"]
    lost = github.client.post(f"{repo}/git/refs", json={"ref": "refs/heads/x", "sha": main}, headers=headers)
    assert (lost.status_code, lost.headers["retry-after"]) == (502, "3")
    assert github.client.get(f"{repo}/git/ref/heads/x", headers=headers).status_code == 200
    assert github.client.get(repo, headers=headers).text.startswith("<html>")
    assert github.client.get(repo, headers=headers).status_code == 200


def test_state_survives_being_killed(tmp_path: Path) -> None:
    double = Double("github", tmp_path)
    try:
        double.control("repos", owner="acme", name="kept", files={".github/workflows/w.yml": WORKFLOW})
        token = double.control("tokens")["token"]
        headers = {"authorization": f"Bearer {token}"}
        dispatch = "/repos/acme/kept/actions/workflows/w.yml/dispatches"
        assert double.client.post(dispatch, json={"ref": "main"}, headers=headers).status_code == 204
        double.stop(signal.SIGKILL)
        double.start()
        assert len(double.client.get("/_double/runs?status=queued").json()) == 1
        assert double.client.get("/repos/acme/kept", headers=headers).status_code == 200
        assert double.problems() == []
    finally:
        double.stop()


def test_second_process_on_the_same_folder_says_so(github: Double) -> None:
    with pytest.raises(ValueError):  # no ready line
        Double("github", github.state)


def job_token(github: Double, repo: str, headers: dict[str, str]) -> tuple[int, str]:
    body = {"ref": "main", "return_run_details": True}
    made = github.client.post(f"{repo}/actions/workflows/w.yml/dispatches", json=body, headers=headers)
    run_id = made.json()["workflow_run_id"]
    access = github.control(f"runs/{run_id}/oidc", environment="aicd-build")
    proof = {"authorization": f"bearer {access['token']}"}
    answer = github.client.get(f"{access['url']}&audience=aicd", headers=proof)
    assert github.client.get(access["url"].replace("aicd-build", "aicd-publish"), headers=proof).status_code == 401
    return run_id, answer.json()["value"]


def test_job_token_verifies_with_the_published_keys(github: Double, repo: str, headers: dict[str, str]) -> None:
    run_id, token = job_token(github, repo, headers)
    discovery = github.client.get("/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(github.client.get(discovery["jwks_uri"]).json())
    claims = jwt.decode(token, keys.keys[0].key, algorithms=["RS256"], audience="aicd", issuer=discovery["issuer"])
    assert (claims["run_id"], claims["environment"], claims["ref"]) == (str(run_id), "aicd-build", "refs/heads/main")
    assert claims["sub"].endswith(":environment:aicd-build")
    assert all(isinstance(claims[name], str) for name in claims.keys() - {"iat", "nbf", "exp"})


@pytest.mark.parametrize("signing", ["stranger", "none", "hs256-public", "broken"])
def test_forged_job_token_does_not_verify(github: Double, repo: str, headers: dict[str, str], signing: str) -> None:
    run_id, _ = job_token(github, repo, headers)
    token = github.control("oidc/forge", run_id=run_id, audience="aicd", signing=signing)["token"]
    keys = jwt.PyJWKSet.from_dict(github.client.get("/.well-known/jwks").json())
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(token, keys.keys[0].key, algorithms=["RS256"], audience="aicd")
