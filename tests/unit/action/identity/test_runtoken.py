"""When a run's token is renewed, with clocks of our own."""

from __future__ import annotations

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest
from pydantic import SecretStr

from action.identity.exchange import RunTokenAnswer, TokenRefused
from action.identity.runtoken import PAUSE_SECONDS, RENEW_BEFORE_SECONDS, RunToken
from controlplane.errors import OutsideError
from controlplane.store import Connection, RunnerStore, connect


@dataclass
class Clocks:
    """One time for all; `skew` is how far this machine's clock is ahead of the server's."""

    now: float = 1_000_000.0
    skew: float = 0.0
    exchanges: int = 0
    failure: Exception | None = None
    made: list[float] = field(default_factory=list)

    def exchange(self) -> RunTokenAnswer:
        self.exchanges += 1
        if self.failure:
            raise self.failure
        self.made.append(self.now)
        expires_at = datetime.datetime.fromtimestamp(self.now - self.skew + 900, datetime.UTC)
        token = SecretStr(f"token-{len(self.made)}")
        return RunTokenAnswer(token=token, expires_at=expires_at, run_id="r", scope="build")

    def token(self) -> RunToken:
        return RunToken(self.exchange, lambda: self.now, lambda: self.now)


def test_nothing_is_exchanged_before_it_is_needed() -> None:
    clocks = Clocks()
    token = clocks.token()
    assert (token.scope, clocks.exchanges) == ("", 0)
    assert [token().get_secret_value() for _ in range(50)] == ["token-1"] * 50
    assert (token.scope, clocks.exchanges) == ("build", 1)


def test_token_is_renewed_when_five_minutes_are_left() -> None:
    clocks = Clocks()
    token = clocks.token()
    token()
    clocks.now += 900 - RENEW_BEFORE_SECONDS - 1
    assert token().get_secret_value() == "token-1"
    clocks.now += 1
    assert token().get_secret_value() == "token-2"


@pytest.mark.parametrize("skew", [-86_400, -1_200, -60, 0, 60, 700, 1_200, 86_400])
def test_six_hours_of_work_always_hold_a_living_token(skew: float) -> None:
    """Also with a wrong clock, and then still with at most one exchange in half a minute."""
    clocks = Clocks(skew=skew)
    token = clocks.token()
    for _ in range(6 * 360):
        held = int(token().get_secret_value().removeprefix("token-"))
        assert clocks.now - clocks.made[held - 1] < 900
        clocks.now += 10
    assert clocks.exchanges <= 6 * 3600 / PAUSE_SECONDS
    if abs(skew) <= 60:
        assert clocks.exchanges <= 6 * 3600 / 500


def test_failed_renewal_is_no_failure_while_the_old_token_lives() -> None:
    clocks = Clocks()
    token = clocks.token()
    token()
    clocks.failure = OutsideError("away")
    clocks.now += 700
    for _ in range(19):
        assert token().get_secret_value() == "token-1"
        clocks.now += 10
    assert clocks.exchanges <= 1 + 200 / PAUSE_SECONDS + 1
    clocks.now += 10
    with pytest.raises(OutsideError):
        token()
    clocks.failure = None
    assert token().get_secret_value() == "token-2"


def test_refusal_is_told_at_once() -> None:
    clocks = Clocks(failure=TokenRefused("no"))
    with pytest.raises(TokenRefused):
        clocks.token()()


def test_threads_share_one_exchange() -> None:
    clocks, start = Clocks(), threading.Barrier(16)
    token = clocks.token()

    def ask(_: int) -> str:
        start.wait()
        return token().get_secret_value()

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(16))) == {"token-1"}
    assert clocks.exchanges == 1


def test_store_presents_the_newest_token_on_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs and objects alike; the headers that the official client was made with are replaced."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, content=b"{}" if "/rpc/" in str(request.url) else b"spec")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _, request: answer(request))
    clocks = Clocks()
    where = Connection(url="http://127.0.0.1:9", publishable_key="sb_publishable_x")
    store = RunnerStore(connect(where, clocks.token()))
    store.start_run("r", "1", 1)
    clocks.now += 800
    store.get_spec("s")
    store.start_run("r", "1", 1)
    assert seen == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_store_asks_for_another_token_after_an_outage_of_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.store.patience.FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("controlplane.store.patience.LONGEST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(200, content=b"{}"))
    clocks = Clocks(failure=OutsideError("away"))
    store = RunnerStore(connect(Connection(url="http://127.0.0.1:9", publishable_key="k"), clocks.token()))
    with pytest.raises(OutsideError):
        store.start_run("r", "1", 1)
    assert clocks.exchanges == 4
    clocks.failure = None
    assert store.start_run("r", "1", 1) == {}
