"""The HTTP boundary: everything that a handler may do becomes one envelope."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import flask
import pytest

from controlplane.errors import AicdError, Conflict, NotAuthenticated, OutsideError
from functions._shared.endpoint import Call, CallerNotProven, serve
from functions._shared.envelope import NO_CONTENT, Answer


def ask(handle: Callable[[Call], Answer], **request: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    with flask.Flask("test").test_request_context(**{"method": "POST", **request}):
        body, status, headers = serve(flask.request, handle, component="test", limit_bytes=10)
    return status, json.loads(body) if body else {}, headers


def raising(error: Exception) -> Callable[[Call], Answer]:
    def handle(_: Call) -> Answer:
        raise error

    return handle


def test_answer_is_an_envelope_with_the_correlation_id() -> None:
    status, body, headers = ask(lambda call: Answer(data={"size": len(call.body)}), data=b"0123456789")
    assert status == 200
    assert body == {"data": {"size": 10}, "meta": {"correlation_id": headers["X-Correlation-Id"]}, "errors": []}
    assert headers["Cache-Control"] == "no-store"


def test_no_content_has_no_body() -> None:
    assert ask(lambda _: Answer(status=NO_CONTENT, data="x"))[:2] == (204, {})


def test_body_over_the_limit_never_reaches_the_handler() -> None:
    status, body, _ = ask(raising(AssertionError("reached")), data=b"x" * 11)
    assert (status, body["errors"][0]["code"]) == (413, "body-too-large")


def test_other_methods_are_told_which_one_is_served() -> None:
    status, _, headers = ask(raising(AssertionError("reached")), method="PUT")
    assert (status, headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Conflict("Not now.", fix="Later."), 409, "conflict"),
        (CallerNotProven("Who?"), 401, "not-authenticated"),
        (NotAuthenticated("Our own token.", code="token-not-accepted"), 503, "token-not-accepted"),
        (OutsideError("Away."), 503, "unavailable"),
    ],
)
def test_designed_error_keeps_its_code_and_its_fix(error: AicdError, status: int, code: str) -> None:
    found, body, _ = ask(raising(error))
    assert (found, body["errors"][0]["code"]) == (status, code)
    assert error.message in body["errors"][0]["message"]


def test_position_of_a_mistake_is_told() -> None:
    error = Conflict("Wrong.", details={"line": 3, "column": 4, "field": "meta.repo", "secret": "canary"})
    assert ask(raising(error))[1]["errors"] == [
        {"code": "conflict", "message": "Wrong.", "line": 3, "column": 4, "field": "meta.repo"}
    ]


def test_retry_after_is_handed_on() -> None:
    assert ask(raising(OutsideError("Busy.", details={"retry_after_seconds": 7.4})))[2]["Retry-After"] == "7"


def test_bug_is_500_without_a_word_of_it() -> None:
    status, body, _ = ask(raising(ZeroDivisionError("canary")))
    assert (status, body["errors"][0]["code"]) == (500, "bug")
    assert "canary" not in json.dumps(body)


def test_header_names_do_not_depend_on_their_case() -> None:
    status, body, _ = ask(
        lambda call: Answer(data=call.header("X-ONE") + call.header("absent")), headers={"x-One": "1"}
    )
    assert (status, body["data"]) == (200, "1")
