"""The comment: true, bounded, and harmless whatever is written in it."""

from __future__ import annotations

from action.publish.comment import MARKER, MAX_COMMENT, write_comment
from controlplane.verdict import Criterion, Verdict
from tests.unit.action.publish.conftest import MakeReport


def test_comment_begins_with_its_marker_and_the_verdict(make_report: MakeReport) -> None:
    assert write_comment(make_report(passed=True)).startswith(f"{MARKER}\n### ✅")
    assert write_comment(make_report(passed=False)).startswith(f"{MARKER}\n### ❌")


def test_comment_mentions_nobody_and_holds_no_html(make_report: MakeReport) -> None:
    nasty = "@acme/team <img src=x onerror=alert(1)> fixes #1 [x](http://evil.example) --> | `a`"
    criterion = Criterion(id="custom-1", required=True, actual=nasty, status="failed", reason=nasty, evidence=(nasty,))
    text = write_comment(make_report(verdict=Verdict(criteria=(criterion,))), (nasty,)).removeprefix(MARKER)
    for forbidden in ("@acme", "<img", "](http", "#1", "http://"):
        assert forbidden not in text


def test_comment_of_any_size_fits(make_report: MakeReport) -> None:
    many = tuple(
        Criterion(id=f"c{n}", required=True, status="failed", reason="é" * 5000, evidence=("ü" * 5000,) * 20)
        for n in range(500)
    )
    assert len(write_comment(make_report(verdict=Verdict(criteria=many)), ("n" * 900,) * 50)) <= MAX_COMMENT + 1
