"""Which messages are fetched, and how far the cursor may move."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from controlplane.errors import NotFound, OutsideError
from functions._shared.gmail.port import Arrival, HistoryPage, HistoryRecord, RawMail, Watch
from functions._shared.intake.arrivals import fetch_arrivals, why_not_for_us
from functions._shared.intake.sync import Intake, sync_mailbox

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def arrival(gmail_id: str, *labels: str) -> Arrival:
    return Arrival(gmail_id, frozenset(labels or ("INBOX",)))


class Script:
    """A mailbox that reads from a script; whatever it was not told raises."""

    def __init__(
        self,
        history: Mapping[str | None, HistoryPage] | None = None,
        inbox: Mapping[str | None, tuple[tuple[Arrival, ...], str | None]] | None = None,
    ) -> None:
        self._history = history
        self._inbox = inbox or {}
        self.asked: list[tuple[str, str | None]] = []
        self.since: datetime | None = None

    def list_history(self, start_history_id: str, page_token: str | None = None) -> HistoryPage:
        self.asked.append((start_history_id, page_token))
        if self._history is None:
            raise NotFound("too old")
        return self._history[page_token]

    def list_inbox(self, since: datetime, page_token: str | None = None) -> tuple[tuple[Arrival, ...], str | None]:
        self.since = since
        return self._inbox[page_token]

    def fetch_history_id(self) -> str:
        return "900"

    def fetch_raw(self, gmail_id: str) -> RawMail:
        raise AssertionError(gmail_id)

    def find_sent(self, rfc_message_id: str) -> str | None:
        raise AssertionError(rfc_message_id)

    def send(self, mail: bytes, thread_id: str | None) -> str:
        raise AssertionError(thread_id)

    def watch(self, topic: str) -> Watch:
        raise AssertionError(topic)


def record(history_id: str, *added: Arrival) -> HistoryRecord:
    return HistoryRecord(history_id, added)


def test_all_pages_are_read_from_our_own_cursor_and_the_last_page_names_the_new_one() -> None:
    first = HistoryPage((record("11", arrival("a")), record("12", arrival("b"), arrival("c"))), "50", "next")
    gmail = Script(history={None: first, "next": HistoryPage((record("13", arrival("d")),), "51", None)})
    arrivals = fetch_arrivals(gmail, "10", LONG_AGO)
    assert gmail.asked == [("10", None), ("10", "next")]
    assert [(step.gmail_id, step.cursor) for step in arrivals.steps] == [
        ("a", "11"), ("b", None), ("c", "12"), ("d", "51"),
    ]  # fmt: skip
    assert (arrivals.cursor, arrivals.full_sync) == ("51", False)


def test_message_named_twice_in_the_history_is_handled_once() -> None:
    page = HistoryPage((record("11", arrival("a")), record("12", arrival("a"))), "50", None)
    assert [step.gmail_id for step in fetch_arrivals(Script(history={None: page}), "10", LONG_AGO).steps] == ["a"]


@pytest.mark.parametrize("label", ["SENT", "DRAFT", "SPAM", "TRASH"])
def test_what_nobody_wrote_to_us_is_left_out(label: str) -> None:
    page = HistoryPage((record("11", arrival("a", "INBOX", label), arrival("b")),), "50", None)
    steps = fetch_arrivals(Script(history={None: page}), "10", LONG_AGO).steps
    assert [(step.gmail_id, step.cursor) for step in steps] == [("b", "50")]
    assert why_not_for_us(frozenset({"INBOX", label}))


def test_cursor_that_gmail_forgot_means_the_whole_inbox_oldest_first() -> None:
    inbox = {None: ((arrival("new"), arrival("mid")), "p2"), "p2": ((arrival("old"),), None)}
    arrivals = fetch_arrivals(Script(history=None, inbox=inbox), "10", LONG_AGO)
    assert [(step.gmail_id, step.cursor) for step in arrivals.steps] == [("old", None), ("mid", None), ("new", "900")]
    assert (arrivals.cursor, arrivals.full_sync) == ("900", True)


@pytest.mark.parametrize(("age", "days"), [(timedelta(days=2), 2), (timedelta(days=400), 30)], ids=["new", "old"])
def test_inbox_is_read_for_a_month_and_not_from_before_the_mailbox_was_ours(age: timedelta, days: int) -> None:
    gmail = Script(inbox={None: ((), None)})
    fetch_arrivals(gmail, "10", datetime.now(UTC) - age)
    assert gmail.since is not None
    assert (datetime.now(UTC) - gmail.since) / timedelta(days=1) == pytest.approx(days, abs=0.01)


def test_mailbox_without_a_cursor_is_not_even_looked_into() -> None:
    store: Any = SimpleNamespace(open_mailbox=lambda _: {"mailbox_id": "1", "email": "a@b.c", "history_id": None})

    def untouched(email: str) -> NoReturn:
        raise AssertionError(email)

    report = sync_mailbox("a@b.c", Intake(store, untouched, untouched))
    assert report is not None
    assert report.outcomes == {}


def test_history_that_never_ends_is_given_up_and_tried_again_later() -> None:
    with pytest.raises(OutsideError):
        fetch_arrivals(
            Script(history={None: HistoryPage((), "1", "x"), "x": HistoryPage((), "1", "x")}), "10", LONG_AGO
        )
