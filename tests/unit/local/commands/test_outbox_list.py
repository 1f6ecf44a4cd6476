"""`aicd outbox list` promises nothing of a dead row that is true only while it is tried."""

from __future__ import annotations

import pytest

from local.commands.outbox import describe_error

AGAIN = "Nobody tries it again: mend the cause, then `aicd outbox requeue r-1`."


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("No answer. Fix: Wait; the work is kept and tried again.", f"No answer. {AGAIN}"),
        ("No.\nFix: Wait; the work is kept and tried again. Check 'x'.", f"No. Fix: Check 'x'. {AGAIN}"),
        ("No. Fix: Set X; the work is kept and tried again. Or Y.", f"No. Fix: Set X. Or Y. {AGAIN}"),
        (None, AGAIN),
    ],
)
def test_dead_row_says_that_nobody_tries_it_again(stored: str | None, told: str) -> None:
    assert describe_error({"id": "r-1", "state": "DEAD", "last_error": stored}) == told


def test_row_that_is_tried_again_keeps_what_it_says() -> None:
    stored = "No answer. Fix: Wait; the work is kept and tried again."
    assert describe_error({"id": "r-1", "state": "PENDING", "last_error": stored}) == stored
    assert describe_error({"id": "r-1", "state": "PENDING", "last_error": None}) == "-"
