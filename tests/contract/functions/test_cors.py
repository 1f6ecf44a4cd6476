"""The API as browsers meet it: pages of the named origins may call it, and nobody else's may read an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.functions.conftest import SPEC, Line
from tests.contract.functions.test_specs import Api

pytestmark = pytest.mark.database

PAGE, OTHER = "https://app.example", "https://evil.example"
ALLOW = "Access-Control-Allow-Origin"


@pytest.fixture
def open_api(line: Line) -> Callable[..., Api]:
    line.database.execute("truncate private.request_times, private.idempotent_requests, private.spec_uploads")

    def opened(origins: str = f"{PAGE}, http://localhost:3000") -> Api:
        made = Api(line, line.function("specs", AICD_CORS_ORIGINS=origins), "")
        made.bearer = made.key()
        return made

    return opened


def preflight(api: Api, origin: str = PAGE, path: str = "/specs", method: str = "POST") -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    headers["Access-Control-Request-Headers"] = "authorization,content-type,idempotency-key"
    return api.ask("OPTIONS", path, bearer="", headers=headers)


def leave(answer: Any) -> list[str]:
    return [name for name, _ in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("method", ["POST", "DELETE", "nonsense"])
@pytest.mark.parametrize("path", ["/specs", "/specs/uploads", "/openapi.json", "/nowhere"])
def test_preflight_is_answered_without_a_key_and_names_what_is_served(
    open_api: Callable[..., Api], path: str, method: str
) -> None:
    answer = preflight(open_api(), path=path, method=method)
    assert (answer.status_code, answer.data, answer.headers[ALLOW]) == (204, b"", PAGE)
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key", "apikey"} <= set(allowed)
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "", f"{PAGE}.evil.example", f"{PAGE}:8443", "http://app.example", "*"]
)
def test_page_of_no_named_origin_gets_no_leave(open_api: Callable[..., Api], origin: str) -> None:
    api = open_api()
    refused = preflight(api, origin)
    assert (refused.status_code, leave(refused), refused.headers["Vary"]) == (405, [], "Origin")
    answer = api.ask("GET", "/specs", headers={"Origin": origin})
    assert (answer.status_code, leave(answer), answer.headers["Vary"]) == (200, [], "Origin")


def test_page_reads_the_answer_and_the_headers_that_go_with_it(open_api: Callable[..., Api]) -> None:
    api = open_api()
    headers = {"Origin": PAGE, "Idempotency-Key": "one"}
    first, again = (api.post(headers=headers) for _ in range(2))
    assert (first.status_code, first.headers[ALLOW]) == (201, PAGE)
    for answer in (first, again):
        told = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
        safelisted = {"cache-control", "content-type", "content-length", "vary"}
        mine = {name.lower() for name, _ in answer.headers} - safelisted - {name.lower() for name in leave(answer)}
        assert mine <= told
    assert again.headers["Idempotency-Replayed"] == "true"


def test_refusals_can_be_read_too(open_api: Callable[..., Api]) -> None:
    api = open_api()
    page = {"Origin": PAGE}
    answers = {
        401: api.ask("GET", "/specs", bearer="", headers=page),
        404: api.ask("GET", "/nowhere", headers=page),
        405: api.ask("DELETE", "/specs", headers=page),
        413: api.ask("POST", "/specs", data=b"x" * 2_200_000, headers=page),
        422: api.post("x: [", headers=page),
    }
    api.line.database.execute("insert into private.settings values ('requests_per_caller_and_minute', '1')")
    try:
        answers[429] = api.ask("GET", "/specs", headers=page)
    finally:
        api.line.database.execute("delete from private.settings where name = 'requests_per_caller_and_minute'")
    for status, answer in answers.items():
        assert (answer.status_code, answer.headers.get(ALLOW)) == (status, PAGE)
    assert "Retry-After" in answers[429].headers["Access-Control-Expose-Headers"]
    assert "Retry-After" in answers[429].headers


def test_answer_kept_for_a_key_bears_the_leave_of_who_asks_now(open_api: Callable[..., Api]) -> None:
    api = open_api()
    api.post(headers={"Origin": PAGE, "Idempotency-Key": "one"})
    again = api.post(headers={"Origin": OTHER, "Idempotency-Key": "one"})
    assert (again.headers["Idempotency-Replayed"], leave(again)) == ("true", [])


def test_description_can_be_read_by_a_page(open_api: Callable[..., Api]) -> None:
    answer = open_api().ask("GET", "/openapi.json", bearer="", headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers[ALLOW], answer.headers["Vary"]) == (200, PAGE, "Origin")


def test_without_the_setting_nothing_of_it_is_there(open_api: Callable[..., Api]) -> None:
    api = open_api("")
    for answer in (preflight(api), api.post(SPEC, headers={"Origin": PAGE})):
        assert leave(answer) == []
        assert "Vary" not in answer.headers


def test_everybody_is_no_origin(open_api: Callable[..., Api]) -> None:
    api = open_api("*")
    for answer in (preflight(api), api.ask("GET", "/specs", headers={"Origin": PAGE})):
        assert (answer.status_code, answer.json["errors"][0]["code"], leave(answer)) == (500, "misconfigured", [])


def test_options_that_is_no_preflight_is_an_ordinary_call(open_api: Callable[..., Api]) -> None:
    answer = open_api().ask("OPTIONS", "/specs", headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers["Allow"], answer.headers[ALLOW]) == (405, "GET, POST", PAGE)
