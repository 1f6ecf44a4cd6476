"""POST /specs/{id}/answers as callers meet it: what is asked is shown, and the answer has the work go on."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from pydantic import SecretStr

from controlplane.store import RunnerStore, connect
from controlplane.store.connection import Connection
from controlplane.tokens import mint_token
from local.administration import Administration
from tests.contract.functions.test_specs import Api, api, code  # noqa: F401 - a fixture

pytestmark = pytest.mark.database

QUESTION = {"id": "Q1", "text": "In which language?", "blocking": True}


def asked(api: Api) -> str:  # noqa: F811
    """A specification by API whose run has asked; its path."""
    made = api.post().json["data"]
    run_id = made["runs"][0]["id"]
    [(project_id,)] = api.line.rows("select id::text from projects")
    world = api.line.world
    token = SecretStr(mint_token(world.jwk, "aicd_runner", 600, project_id=project_id).token)
    runner = RunnerStore(connect(Connection(url=world.api_url, publishable_key=world.publishable_key, token=token)))
    runner.start_run(run_id, "1", 1)
    runner.ask_requester(run_id, [QUESTION])
    return str(made["links"]["self"])


def test_open_question_is_shown_and_the_answer_has_the_sprint_go_on(api: Api) -> None:  # noqa: F811
    path = asked(api)
    page = api.ask("GET", path).json["data"]
    assert page["state"] == "NEEDS_INPUT"
    [question] = page["sprints"][0]["open_questions"]
    assert (question["id"], question["text"], question["blocking"]) == ("Q1", "In which language?", True)
    answer = api.ask("POST", f"{path}/answers", json={"text": "In English.", "sprint": "S1"})
    assert answer.status_code == 200, answer.text
    [sprint] = answer.json["data"]["sprints"]
    assert (sprint["label"], sprint["state"], answer.json["data"]["links"]["self"]) == ("S1", "PLANNED", path)
    page = api.ask("GET", path).json["data"]
    assert sprint["run_id"] == page["runs"][0]["id"]
    assert page["sprints"][0]["open_questions"] == []
    late = api.ask("POST", f"{path}/answers", json={"text": "In French."})
    assert (late.status_code, code(late)) == (409, "sprint-not-waiting")


def test_same_key_is_one_answer_letter_for_letter(api: Api) -> None:  # noqa: F811
    path = asked(api)
    given: dict[str, Any] = {"json": {"text": "In English."}, "headers": {"Idempotency-Key": "k1"}}
    first, second = (api.ask("POST", f"{path}/answers", **given) for _ in range(2))
    assert (first.status_code, second.text) == (200, first.text)
    assert second.headers["Idempotency-Replayed"] == "true"
    other = api.ask("POST", f"{path}/answers", json={"text": "In French."}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, code(other)) == (422, "idempotency-key-reused")


def test_answer_that_was_cut_off_half_way_is_met_again(api: Api) -> None:  # noqa: F811
    path = asked(api)
    given: dict[str, Any] = {"json": {"text": "In English."}, "headers": {"Idempotency-Key": "k1"}}
    first = api.ask("POST", f"{path}/answers", **given)
    # As a function leaves it that died between the effect and the keeping of its answer.
    api.line.database.execute("truncate private.idempotent_requests")
    assert api.ask("POST", f"{path}/answers", **given).json["data"] == first.json["data"]
    assert api.line.rows("select jsonb_array_length(answers_json) from sprints") == [(1,)]


def test_only_who_may_have_it_built_answers_and_others_learn_nothing(api: Api) -> None:  # noqa: F811
    path = asked(api)
    with Administration(api.line.world.db_url) as operator:
        operator.create_project({"repo": "rival/other"})
    refusals = [
        (api.key(scopes=["specs:read"]), 403, "scope-missing"),
        (api.member("viewer"), 403, "not-developer"),
        (api.member(None), 404, "spec-not-found"),
        (api.key(repo="rival/other"), 404, "spec-not-found"),
    ]
    for bearer, status, error in refusals:
        answer = api.ask("POST", f"{path}/answers", bearer=bearer, json={"text": "x"})
        assert (answer.status_code, code(answer)) == (status, error), answer.text
    nowhere = api.ask("POST", f"/specs/{uuid.UUID(int=1)}/answers", json={"text": "x"})
    assert (nowhere.status_code, code(nowhere)) == (404, "spec-not-found")
    answer = api.ask("POST", f"{path}/answers", bearer=api.member("developer"), json={"text": "x"})
    assert answer.status_code == 200, answer.text


REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"json": {}}, 422, "field-invalid"),
    ({"json": {"text": " \n"}}, 422, "field-invalid"),
    ({"json": {"text": "x" * 20_001}}, 422, "field-invalid"),
    ({"json": {"text": "x", "sprint": ""}}, 422, "field-invalid"),
    ({"json": {"text": "x", "run": "1"}}, 422, "field-invalid"),
    ({"json": {"text": "x", "sprint": "S9"}}, 404, "sprint-not-found"),
    ({"data": b"{", "content_type": "application/json"}, 400, "body-not-json"),
    ({"data": b"text=x", "content_type": "application/x-www-form-urlencoded"}, 415, "media-type-unsupported"),
)


def test_what_is_no_answer_is_refused_with_its_code(api: Api) -> None:  # noqa: F811
    path = asked(api)
    for request, status, error in REFUSED:
        answer = api.ask("POST", f"{path}/answers", **request)
        assert (answer.status_code, code(answer)) == (status, error), answer.text
    assert api.ask("GET", f"{path}/answers").status_code == 405
    assert api.ask("GET", path).json["data"]["state"] == "NEEDS_INPUT"
