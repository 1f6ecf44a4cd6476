"""The proxy: what passes, what is refused, and that the budget holds whatever is asked at once."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from action.build.agents.claude.allowance import allow
from action.build.agents.claude.bill import Bill
from action.build.agents.claude.contents import count_hidden_tokens, find_foreign_work
from action.build.agents.claude.key import ClaudeKey
from action.build.agents.claude.proxy import Proxy
from action.money import Ledger, Usage, load_prices
from action.money.meter import Meter
from local.doubles.anthropic import AnthropicDouble, Fault, Scenario, Step
from tests.unit.action.build.claude.conftest import REAL_KEY, RUN_ID
from tests.unreliable import KINDS, Unreliable
from tests.unreliable import Fault as Spoiled

ASKED: dict[str, Any] = {
    "model": "claude-opus-5-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "Hi"}],
}
VERSION = {"anthropic-version": "2023-06-01"}


@pytest.fixture
def open_proxy(running: tuple[AnthropicDouble, str]) -> Iterator[Callable[..., Any]]:
    double, url = running
    double.set_script(Scenario())
    double.received.clear()

    @contextmanager
    def opened(budget: float | None = 1.0, kind: Any = "api-key", upstream: str = url) -> Iterator[tuple[Proxy, Any]]:
        ledger = Ledger(RUN_ID, budget)
        proxied = Proxy(ClaudeKey(kind, SecretStr(REAL_KEY)), ledger, upstream)
        with proxied as proxy, httpx.Client(base_url=proxy.address, trust_env=False, timeout=30) as client:
            client.headers.update({"x-api-key": proxy.token, **VERSION})
            client.ledger = ledger  # type: ignore[attr-defined]
            yield proxy, client

    yield opened
    double.problems.clear()


def test_throw_away_token_becomes_the_key_and_no_other_header_passes(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str]
) -> None:
    with open_proxy() as (_, client):
        answer = client.post("/v1/messages", json=ASKED, headers={"x-agent-says": "canary", "cookie": "c=1"})
    assert answer.json()["content"][0]["text"] == "Done."
    seen = running[0].received[0]
    assert (seen.key, seen.style) == (REAL_KEY, "x-api-key")
    assert {"x-agent-says", "cookie"}.isdisjoint(seen.headers)
    assert client.ledger.spent() == Decimal("0.008")


def test_subscriptions_token_goes_as_a_bearer(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str]
) -> None:
    with open_proxy(kind="oauth") as (proxy, client):
        del client.headers["x-api-key"]
        client.post("/v1/messages", json=ASKED, headers={"authorization": f"Bearer {proxy.token}"})
    assert (running[0].received[0].key, running[0].received[0].style) == (REAL_KEY, "bearer")


@pytest.mark.parametrize("headers", [{"x-api-key": "guessed"}, {"x-api-key": REAL_KEY}, {"x-api-key": ""}])
def test_any_other_token_is_refused(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str], headers: dict[str, str]
) -> None:
    with open_proxy() as (_, client):
        assert client.post("/v1/messages", json=ASKED, headers=headers).status_code == 401
    assert running[0].received == []


@pytest.mark.parametrize("path", ["/v1/files", "/v1/messages/batches", "/v1/messages/../files", "/v1/organizations/me"])
def test_only_messages_pass(open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str], path: str) -> None:
    with open_proxy() as (_, client):
        assert client.post(path, json=ASKED).status_code == 404
        assert client.get(path).status_code == 404
    assert running[0].received == []


def test_body_that_is_no_object_never_reaches_the_api(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str]
) -> None:
    with open_proxy() as (_, client):
        for body in (b"[]", b"{", b"[" * 100_000):
            assert client.post("/v1/messages", content=body).status_code == 400
    assert running[0].received == []


def test_answer_is_shortened_to_what_the_money_pays_for_and_then_refused(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str]
) -> None:
    double = running[0]
    double.set_script(lambda talk: Step(say="x", input_tokens=20, output_tokens=talk.document["max_tokens"]))
    with open_proxy(budget=0.5) as (proxy, client):
        first = client.post("/v1/messages", json={**ASKED, "max_tokens": 20_000})
        second = client.post("/v1/messages", json={**ASKED, "max_tokens": 20_000})
        third = client.post("/v1/messages", json={**ASKED, "max_tokens": 20_000})
        facts = proxy.take_facts()
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 400)
    assert "budget" in third.json()["error"]["message"]
    assert double.received[0].document["max_tokens"] == 20_000
    assert double.received[1].document["max_tokens"] < 5_100
    assert facts.refused_for_money
    assert Decimal("0.49") < client.ledger.spent() <= Decimal("0.5")


def test_calls_at_once_never_spend_more_than_there_is(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str]
) -> None:
    running[0].set_script(lambda talk: Step(say="x", input_tokens=20, output_tokens=talk.document["max_tokens"]))
    with open_proxy(budget=0.3) as (_, client), ThreadPoolExecutor(10) as pool:
        ask = {**ASKED, "max_tokens": 4_000}
        statuses = [one.status_code for one in pool.map(lambda _: client.post("/v1/messages", json=ask), range(10))]
    assert 200 in statuses
    assert 400 in statuses
    assert client.ledger.spent() <= Decimal("0.3")


def test_counting_tokens_costs_nothing_and_is_always_allowed(open_proxy: Callable[..., Any]) -> None:
    with open_proxy(budget=0.0) as (_, client):
        ask = {name: ASKED[name] for name in ("model", "messages")}
        assert client.post("/v1/messages/count_tokens", json=ask).status_code == 200
        assert client.post("/v1/messages", json=ASKED).status_code == 400
    assert client.ledger.spent() == 0


def test_refused_counting_of_tokens_says_nothing_of_the_attempt(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str]
) -> None:
    """Where a gateway knows no counting, it answers 404; that is no word about the model."""
    ask = {name: ASKED[name] for name in ("model", "messages")}
    with open_proxy() as (proxy, client):
        assert client.post("/v1/messages", json=ASKED).status_code == 200
        running[0].set_script(Scenario(keys=("another key",)))
        assert client.post("/v1/messages/count_tokens", json=ask).status_code == 401
        facts = proxy.take_facts()
    assert (facts.calls, facts.statuses, facts.limit) == (1, [200], None)
    with open_proxy(upstream="http://127.0.0.1:9") as (proxy, client):
        assert client.post("/v1/messages/count_tokens", json=ask).status_code == 502
        assert not proxy.take_facts().unreachable


def test_long_limit_is_told_not_to_be_waited_for(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str]
) -> None:
    running[0].set_script(Scenario(steps=(Step(fault=Fault(status=429, retry_after=3600)),)))
    with open_proxy() as (proxy, client):
        answer = client.post("/v1/messages", json=ASKED)
        limit = proxy.take_facts().limit
    assert (answer.status_code, answer.headers["x-should-retry"]) == (429, "false")
    assert limit is not None
    assert limit.is_told


def test_api_that_cannot_be_reached_is_an_answer_too(open_proxy: Callable[..., Any]) -> None:
    with open_proxy(upstream="http://127.0.0.1:9") as (proxy, client):
        assert client.post("/v1/messages", json=ASKED).status_code == 502
        assert proxy.take_facts().unreachable
    assert client.ledger.spent() == 0


def test_stream_that_breaks_off_is_paid_for_by_what_came() -> None:
    meter = Meter(streamed=True)
    start = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 7}}}
    piece = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x" * 300}}
    data = b"".join(f"event: e\ndata: {json.dumps(event)}\n\n".encode() for event in (start, piece))
    for at in range(0, len(data), 7):
        meter.feed(data[at : at + 7])
    meter.close()
    assert meter.usage is not None
    assert not meter.complete
    assert (meter.usage.input_tokens, meter.usage.output_tokens) == (7, 100)


@pytest.mark.parametrize("data", [b"", b"<html>", b"data: {\n\ndata: []\n\n", b"data: null\n\n"])
def test_stream_that_is_none_costs_nothing(data: bytes) -> None:
    meter = Meter(streamed=True)
    meter.feed(data)
    meter.close()
    assert meter.usage is None


def test_thinking_is_shortened_with_the_answer() -> None:
    thinking = {"type": "enabled", "budget_tokens": 30_000}
    asked = {"model": "claude-opus-5-5", "max_tokens": 40_000, "thinking": thinking}
    allowed = allow(asked, 300, Decimal("0.2"), load_prices())
    assert allowed is not None
    assert allowed.document["thinking"]["budget_tokens"] < allowed.document["max_tokens"] < 10_001
    tight = allow(asked, 300, Decimal("0.03"), load_prices())
    assert tight is not None
    assert tight.document["thinking"] == {"type": "disabled"}
    assert allow(asked, 300, Decimal("0.01"), load_prices()) is None


@pytest.mark.parametrize("waits", [0.0, 0.3])
def test_answer_that_nobody_waits_for_is_paid_for(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str], waits: float
) -> None:
    said = "x" * 3_000_000
    running[0].set_script(lambda talk: Step(say=said, input_tokens=20, output_tokens=1000))
    body = json.dumps(ASKED).encode()
    with open_proxy() as (proxy, client):
        with socket.create_connection(("127.0.0.1", urlsplit(proxy.address).port or 0)) as caller:
            sent = {"x-api-key": proxy.token, "content-length": str(len(body)), **VERSION}
            head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
            caller.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode() + body)
            time.sleep(waits)
        until = time.monotonic() + 10
        while not client.ledger.spent() and time.monotonic() < until:
            time.sleep(0.02)
        assert client.ledger.spent() > Decimal("0.02")
        assert client.ledger.left() == 1 - client.ledger.spent()


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ({}, Usage(cache_write_1h_tokens=10_000, output_tokens=1000)),
        ({"speed": "fast"}, Usage(input_tokens=10_000, output_tokens=1000, fast=True)),
        ({"inference_geo": "us"}, Usage(cache_write_1h_tokens=10_000, output_tokens=1000, us_only=True)),
    ],
    ids=["hour-long-cache", "fast", "us-only"],
)
def test_call_is_never_dearer_than_what_is_kept_back_for_it(asked: dict[str, Any], used: Usage) -> None:
    table = load_prices()
    allowed = allow({**ASKED, **asked}, 30_000, Decimal(10), table)
    assert allowed is not None
    assert table.cost(ASKED["model"], used) <= allowed.most_usd


def test_call_under_way_is_counted_before_the_proxy_has_ended(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str]
) -> None:
    running[0].set_script(Scenario(steps=(Step(say="Done.", fault=Fault(kind="hang", seconds=1.0)),)))
    with ThreadPoolExecutor(1) as pool:
        with open_proxy() as (proxy, client):
            headers = {"x-api-key": proxy.token, **VERSION}
            pool.submit(httpx.post, f"{proxy.address}/v1/messages", json=ASKED, headers=headers, trust_env=False)
            while not proxy._under_way:
                time.sleep(0.01)
        assert client.ledger.spent() == Decimal("0.008")


@pytest.fixture
def unreliable(running: tuple[AnthropicDouble, str]) -> Iterator[Unreliable]:
    between = Unreliable(running[1])
    yield between
    between.close()


# What the API itself refused and what never got there is free; so is a redirection, for nobody was asked.
FREE = ("refused", "429", "302")


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "document"])
@pytest.mark.parametrize("kind", KINDS)
def test_call_that_was_sent_and_brought_nothing_is_counted_at_the_most_it_may_have_cost(
    open_proxy: Callable[..., Any], unreliable: Unreliable, monkeypatch: pytest.MonkeyPatch, kind: str, streams: bool
) -> None:
    monkeypatch.setattr("action.build.agents.claude.proxy.TIMEOUT", httpx.Timeout(0.4))
    ask = {**ASKED, "stream": streams}
    with open_proxy(upstream=unreliable.url) as (_, client), unreliable.failing(Spoiled(kind)):
        client.post("/v1/messages", json=ask)
    most = client.ledger.table.most(ASKED["model"], len(httpx.Request("POST", "http://x", json=ask).content), 1000)
    begun = streams and kind in ("hang-in-body", "truncated")
    spent = client.ledger.spent()
    assert spent == 0 if kind in FREE else 0 < spent < most if begun else spent == most
    assert client.ledger.left() == 1 - spent
    assert len(client.ledger.entries()) == (0 if kind in FREE else 1)


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=529), Fault(kind="limit-text")])
def test_call_that_the_api_refused_costs_nothing(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str], fault: Fault
) -> None:
    running[0].set_script(Scenario(steps=(Step(fault=fault),)))
    with open_proxy() as (_, client):
        assert client.post("/v1/messages", json=ASKED).status_code >= 400
    assert client.ledger.entries() == ()


def test_error_of_the_api_at_the_begin_of_a_stream_costs_nothing() -> None:
    meter = Meter(streamed=True)
    meter.feed(b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n')
    bill = Bill(Ledger(RUN_ID, 1.0), "m", 300, 1000)
    bill.send()
    bill.answer(200, "", meter)
    bill.settle()
    assert (meter.refusal, bill.is_lost, bill.ledger.entries()) == ("overloaded_error", False, ())


def test_calls_that_are_lost_are_not_made_for_ever(open_proxy: Callable[..., Any], unreliable: Unreliable) -> None:
    with open_proxy(upstream=unreliable.url) as (proxy, client):
        with unreliable.failing(Spoiled("503")):
            answers = [client.post("/v1/messages", json=ASKED) for _ in range(5)]
        assert len(unreliable.spoiled) == 3
        assert proxy.take_facts().unreachable
    assert [one.status_code for one in answers] == [503, 503, 503, 502, 502]
    assert answers[-1].headers["x-should-retry"] == "false"
    assert len(client.ledger.entries()) == 3


def test_call_that_is_not_waited_for_any_more_is_counted_before_the_proxy_has_ended(
    open_proxy: Callable[..., Any], unreliable: Unreliable
) -> None:
    with ThreadPoolExecutor(1) as pool, unreliable.failing(Spoiled("hang-before-headers")):
        with open_proxy(upstream=unreliable.url) as (proxy, client):
            proxy.patience_seconds = 0.1
            headers = {"x-api-key": proxy.token, **VERSION}
            pool.submit(httpx.post, f"{proxy.address}/v1/messages", json=ASKED, headers=headers, trust_env=False)
            while not unreliable.spoiled:
                time.sleep(0.01)
        told = client.ledger.entries()
        unreliable._over.set()
        while proxy._under_way:
            time.sleep(0.01)
    assert len(told) == 1
    assert client.ledger.entries() == told


PAGE = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}


@pytest.mark.parametrize(
    "wish",
    [
        {"mcp_servers": [{"type": "url", "url": "https://evil.example", "name": "x"}]},
        {"container": "container_1"},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"messages": [{"role": "user", "content": [PAGE]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [PAGE]}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
    ],
    ids=["mcp", "container", "search", "address", "address-in-a-result", "file"],
)
def test_work_that_the_api_would_do_at_our_cost_is_not_passed_on(
    open_proxy: Callable[..., Any], running: tuple[AnthropicDouble, str], wish: dict[str, Any]
) -> None:
    with open_proxy() as (_, client):
        answer = client.post("/v1/messages", json={**ASKED, **wish})
    assert answer.status_code == 400 and "not passed on" in answer.json()["error"]["message"]
    assert running[0].received == []


def test_words_about_addresses_are_no_addresses() -> None:
    said = {"type": "tool_use", "id": "t", "name": "Write", "input": {"source": {"type": "url"}, "content": [PAGE]}}
    asked = {"tools": [{"name": "Write", "input_schema": {}}], "messages": [{"role": "assistant", "content": [said]}]}
    assert find_foreign_work(asked) == ""


def test_small_pdf_is_held_for_the_pages_it_may_have() -> None:
    packed = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    content = [{"type": "document", "source": packed}, {"type": "image", "source": {**packed, "data": "iVBO"}}]
    assert count_hidden_tokens({"messages": [{"role": "user", "content": content}]}) == 305_000


def test_lone_surrogate_in_a_shortened_request_is_an_answer_and_no_silence(open_proxy: Callable[..., Any]) -> None:
    body = json.dumps({**ASKED, "max_tokens": 900_000}).replace('"Hi"', '"\\ud800"').encode()
    with open_proxy(budget=0.2) as (_, client):
        answer = client.post("/v1/messages", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400) and answer.json()
