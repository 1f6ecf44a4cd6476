"""When keys are fetched, with a clock of our own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from controlplane.errors import OutsideError
from functions._shared.callers.keyset import COOLDOWN_SECONDS, FIRST_COOLDOWN_SECONDS, STALE_SECONDS, KeySet

KEY: Any = object()


@dataclass
class Issuer:
    """Publishes `keys`, or fails when there are none to publish; counts how often it was asked."""

    keys: Any = field(default_factory=lambda: {"k1": KEY})
    asked: int = 0
    now: float = 1000.0

    def fetch(self) -> Any:
        self.asked += 1
        if self.keys is None:
            raise OutsideError("away")
        return self.keys

    def keyset(self) -> KeySet[Any]:
        return KeySet(self.fetch, whose="The issuer's", fix="Wait.", clock=lambda: self.now)


def test_known_key_is_fetched_once() -> None:
    issuer = Issuer()
    keys = issuer.keyset()
    assert [keys.find("k1") for _ in range(50)] == [KEY] * 50
    assert issuer.asked == 1


def test_made_up_keys_cost_one_fetch_a_minute() -> None:
    issuer = Issuer()
    keys = issuer.keyset()
    for number in range(240):
        assert keys.find(f"made-up-{number}") is None
        issuer.now += 1
    assert issuer.asked == 4


def test_new_key_is_found_as_soon_as_the_minute_is_over() -> None:
    issuer = Issuer()
    keys = issuer.keyset()
    assert keys.find("k2") is None
    issuer.keys = {"k1": KEY, "k2": KEY}
    issuer.now += COOLDOWN_SECONDS - 0.1
    assert keys.find("k2") is None
    issuer.now += 0.1
    assert keys.find("k2") is KEY
    assert issuer.asked == 2


@pytest.mark.parametrize("nothing", [None, {}], ids=["failed", "empty"])
def test_failed_or_empty_fetch_never_replaces_known_keys(nothing: Any) -> None:
    issuer = Issuer()
    keys = issuer.keyset()
    assert keys.find("k1") is KEY
    issuer.keys = nothing
    issuer.now += STALE_SECONDS
    assert keys.find("made-up") is None
    issuer.now += STALE_SECONDS
    assert keys.find("k1") is KEY
    assert issuer.asked == 3


@pytest.mark.parametrize("nothing", [None, {}], ids=["failed", "empty"])
def test_no_key_at_all_is_an_outage_that_says_when_to_come_back(nothing: Any) -> None:
    issuer = Issuer(keys=nothing)
    keys = issuer.keyset()
    for _ in range(5):
        with pytest.raises(OutsideError) as caught:
            keys.find("k1")
        assert caught.value.code == "keys-unavailable"
        assert 0 < (caught.value.retry_after_seconds or 0) <= FIRST_COOLDOWN_SECONDS
    assert issuer.asked == 1
    issuer.keys = {"k1": KEY}
    issuer.now += FIRST_COOLDOWN_SECONDS
    assert keys.find("k1") is KEY


def test_withdrawn_key_is_forgotten_within_the_hour() -> None:
    issuer = Issuer()
    keys = issuer.keyset()
    assert keys.find("k1") is KEY
    issuer.keys = {"k2": KEY}
    issuer.now += STALE_SECONDS - 1
    assert keys.find("k1") is KEY
    issuer.now += 1
    assert keys.find("k1") is None
    assert keys.find("k2") is KEY


def test_callers_at_once_share_one_fetch() -> None:
    issuer = Issuer()
    keys, start = issuer.keyset(), threading.Barrier(16)

    def ask(number: int) -> Any:
        start.wait()
        return keys.find("k1" if number % 2 else "made-up")

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(16)))
    assert found == [None, KEY] * 8
    assert issuer.asked == 1


def test_those_who_wait_for_a_fetch_that_times_out_do_not_try_in_turn() -> None:
    """With five seconds for each, the twentieth waited for more than a minute."""
    issuer = Issuer(keys=None)
    slow = issuer.fetch
    begun = threading.Barrier(20)

    def fetch() -> Any:
        issuer.now += 5.0
        return slow()

    keys: KeySet[Any] = KeySet(fetch, whose="The issuer's", fix="Wait.", clock=lambda: issuer.now)

    def find(_: int) -> None:
        begun.wait(10)
        with pytest.raises(OutsideError) as caught:
            keys.find("k1")
        assert 0 < float(caught.value.retry_after_seconds or 0) <= FIRST_COOLDOWN_SECONDS

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(find, range(20)))
    assert issuer.asked == 1
