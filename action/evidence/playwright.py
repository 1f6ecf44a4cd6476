"""Playwright's JSON report (`--reporter=json`): suites within suites, specs, one test per project, one result per try.

`spec.ok`, `test.status` and `stats` are headers: the last try of each test, held against what was expected of it,
decides (Playwright: packages/playwright/src/reporters/json.ts).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from action.evidence.figures import plain_int, plain_number
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.linecount import source_path
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile, Outcome, TestCase, TestTotals

_SUITE_DEPTH = 60


def is_playwright(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and isinstance(document.get("suites"), list)
        and ("config" in document or "stats" in document or "errors" in document)
    )


def read_playwright(document: Any, path: str, allowance: Allowance) -> EvidenceFile:
    problems = Problems()
    cases = tuple(_cases_of(document["suites"], (), 0, problems, allowance))
    errors = tuple(_run_errors(document.get("errors"), problems))
    if not cases and not errors:
        problems.add("there is no test in it")
    totals = TestTotals.count(cases + errors)
    _check_stats(document.get("stats"), totals, len(errors), problems)
    return EvidenceFile(
        path=path, kind="playwright", tests=totals, problems=problems.told(), tool="playwright", cases=cases + errors
    )


def _list(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = holder.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UnreadableReport(f"`{key}` is no list of objects")
    return entries


def _cases_of(
    suites: list[dict[str, Any]], titles: tuple[str, ...], depth: int, problems: Problems, allowance: Allowance
) -> Iterator[TestCase]:
    if depth > _SUITE_DEPTH:
        raise UnreadableReport(f"its suites are nested deeper than {_SUITE_DEPTH}")
    for suite in suites:
        if not isinstance(suite, dict):
            raise UnreadableReport("a suite is no object")
        above = (*titles, one_line(str(suite.get("title", "")), 200))
        for spec in _list(suite, "specs"):
            for test in _list(spec, "tests"):
                allowance.take_case()
                yield _case(spec, test, above, problems)
        yield from _cases_of(_list(suite, "suites"), above, depth + 1, problems, allowance)


def _case(spec: dict[str, Any], test: dict[str, Any], titles: tuple[str, ...], problems: Problems) -> TestCase:
    results = _list(test, "results")
    outcome = _outcome(test, results)
    project = one_line(str(test.get("projectName") or ""), 80)
    name = "::".join(title for title in (*titles, one_line(str(spec.get("title", "")), 300)) if title)
    if outcome == "passed" and len(results) > 1:
        problems.add(f"{name} passed only when tried again (flaky)")
    duration = plain_number(results[-1].get("duration")) if results else None
    return TestCase(
        node_id=f"{name} [{project}]" if project else name,
        outcome=outcome,
        duration_seconds=duration / 1000 if duration is not None and duration >= 0 else None,
        message=_message(results[-1]) if results and outcome == "failed" else "",
        file=source_path(str(spec.get("file", ""))),
        line=plain_int(spec.get("line")),
    )


def _outcome(test: dict[str, Any], results: list[dict[str, Any]]) -> Outcome:
    """Never greener than the last try: a test without one was not run."""
    expected = test.get("expectedStatus")
    last = results[-1].get("status") if results else "skipped"
    if last == "skipped":
        return "skipped" if expected == "skipped" or not results or expected == "passed" else "failed"
    if last == "passed":
        return "passed" if expected == "passed" else "failed"
    # `test.fail()`: it was meant to fail and did. It proves nothing, as with pytest's xfail.
    return "xfailed" if last == expected == "failed" else "failed"


def _message(result: dict[str, Any]) -> str:
    error = result.get("error")
    return one_line(str(error.get("message", "")), 500) if isinstance(error, dict) else ""


def _run_errors(errors: Any, problems: Problems) -> Iterator[TestCase]:
    """Errors outside any test: a file that does not load, a global set-up that broke."""
    for number, error in enumerate(errors if isinstance(errors, list) else [], start=1):
        text = one_line(str(error.get("message", "")), 500) if isinstance(error, dict) else ""
        problems.add(f"the run itself broke: {text or 'no reason given'}")
        yield TestCase(node_id=f"run error {number}", outcome="error", message=text)


def _check_stats(stats: Any, totals: TestTotals, errors: int, problems: Problems) -> None:
    if not isinstance(stats, dict):
        return
    figures = [plain_int(stats.get(key)) for key in ("expected", "unexpected", "flaky", "skipped")]
    known = [figure for figure in figures if figure is not None]
    if sum(known) != totals.total - errors:
        problems.add(f"the stats speak of {sum(known)} tests, there are {totals.total - errors}")
    if figures[1] is not None and figures[1] != totals.failed:
        problems.add(f"the stats say unexpected={figures[1]}, the results say {totals.failed}")
