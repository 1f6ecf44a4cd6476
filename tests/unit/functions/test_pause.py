"""Retry-After in both its forms, and bounded retries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import stamina

from controlplane.errors import NotFound, OutsideError
from functions._shared.pause import call_with_pauses, read_retry_after


@pytest.fixture(autouse=True)
def _no_waiting() -> object:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (" 12 ", 12.0), ("999999999999", 86_400.0), ("-3", None), ("soon", None), ("", None), ("1e9", None)],
)
def test_seconds_are_read_and_bounded(value: str, seconds: float | None) -> None:
    assert read_retry_after({"retry-after": value}) == seconds


def test_date_is_turned_into_seconds_from_now() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 85 < (read_retry_after({"Retry-After": moment}) or 0) <= 90


def test_date_in_the_past_means_now() -> None:
    assert read_retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


class Flaky:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "there"


def test_passing_trouble_is_waited_out() -> None:
    flaky = Flaky(OutsideError("away"), OutsideError("away"))
    assert call_with_pauses(flaky) == "there"
    assert flaky.calls == 3


def test_lasting_trouble_ends_after_three_attempts() -> None:
    flaky = Flaky(*[OutsideError("away")] * 9)
    with pytest.raises(OutsideError):
        call_with_pauses(flaky)
    assert flaky.calls == 3


def test_long_retry_after_is_left_to_the_scheduler() -> None:
    flaky = Flaky(OutsideError("busy", details={"retry_after_seconds": 60}))
    with pytest.raises(OutsideError):
        call_with_pauses(flaky)
    assert flaky.calls == 1


@pytest.mark.parametrize("error", [NotFound("gone"), ValueError("bug")])
def test_other_errors_are_not_repeated(error: Exception) -> None:
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        call_with_pauses(flaky)
    assert flaky.calls == 1
