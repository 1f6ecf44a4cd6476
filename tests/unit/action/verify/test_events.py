"""The recorder's stream: what is believed, and which disagreements are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from action.verify.events import RecordedRun, read_stream

NONCE = "n"


def phases(node: str = "t.py::a", **changed: Any) -> list[dict[str, Any]]:
    found = []
    for when in ("setup", "call", "teardown"):
        event = {
            "event": "phase",
            "id": node,
            "when": when,
            "raised": "nothing",
            "reported": "passed",
            "expected_failure": None,
            "body": "finished" if when == "call" else None,
            "seconds": 0.5,
            "message": "",
        }
        found.append({**event, **changed} if when == "call" else event)
    return found


def collected(*ids: str) -> dict[str, Any]:
    return {"event": "collected", "ids": list(ids), "lines": [1] * len(ids)}


def ended(status: int = 0) -> list[dict[str, Any]]:
    return [
        {"event": "session-finish", "status": status},
        {"event": "session-finished", "status": status},
        {"event": "end", "status": status},
    ]


def read(*events: dict[str, Any], exit_code: int | None = 0) -> RecordedRun:
    lines = [json.dumps({"nonce": NONCE, "number": number, **event}) for number, event in enumerate(events, start=1)]
    return read_stream("\n".join(lines).encode(), NONCE, "base", exit_code)


def test_clean_run_has_its_cases_and_no_mismatch() -> None:
    run = read(collected("t.py::a"), *phases(), *ended())
    assert [(case.node_id, case.outcome, case.duration_seconds) for case in run.cases] == [("t.py::a", "passed", 1.5)]
    assert run.mismatches == ()


FAILURE = {"raised": "failure", "reported": "failed"}


@pytest.mark.parametrize(
    ("events", "exit_code", "outcome", "told"),
    [
        pytest.param([*phases(raised="failure"), *ended()], 0, "failed", "changed to passed", id="rewritten"),
        pytest.param([*phases(body="not entered"), *ended()], 0, "failed", "body was not entered", id="never-called"),
        pytest.param([*phases(body="not finished"), *ended()], 0, "failed", "not finished", id="swallowed"),
        pytest.param([*phases(reported="skipped"), *ended()], 0, "skipped", "changed to skipped", id="hidden"),
        pytest.param([*phases(raised="skip"), *ended()], 0, "skipped", "changed to passed", id="skip-as-pass"),
        pytest.param([*phases(**FAILURE), *ended()], 0, "failed", "exit code says that all is well", id="exit-0"),
        pytest.param([*phases(), *ended(1)], 1, "passed", "no test failed", id="exit-1"),
        pytest.param([*phases(), *ended()], 3, "passed", "the process ended with 3", id="exit-other"),
        pytest.param(phases()[:2], 0, "error", "before pytest had finished", id="os-exit"),
        pytest.param([], 0, "error", "before pytest had finished", id="os-exit-before-any"),
        pytest.param(
            [*phases(**FAILURE), {"event": "session-finish", "status": 1}, *ended()[1:]],
            0,
            "failed",
            "changed from 1 to 0",
            id="status-rewritten",
        ),
    ],
)
def test_disagreement_is_named(events: list[dict[str, Any]], exit_code: int, outcome: str, told: str) -> None:
    run = read(collected("t.py::a"), *events, exit_code=exit_code)
    assert [case.outcome for case in run.cases] == [outcome]
    assert any(told in mismatch for mismatch in run.mismatches)


@pytest.mark.parametrize(
    "line",
    [b"garbage", b'{"event": "end", "status": 0}', b"[]", b'{"nonce": "n", "number": 9, "event": "end"}', b"[" * 9999],
)
def test_line_that_the_recorder_did_not_write_is_a_mismatch(line: bytes) -> None:
    assert read_stream(line, NONCE, "base", 0).mismatches


def test_expected_failure_is_no_pass_and_no_mismatch() -> None:
    event = phases(raised="failure", reported="skipped", expected_failure="later", body="not finished")
    run = read(collected("t.py::a"), *event, *ended())
    assert ([case.outcome for case in run.cases], run.mismatches) == (["xfailed"], ())


def test_module_that_cannot_be_collected_is_an_error() -> None:
    run = read(collected(), {"event": "collect-error", "id": "t.py", "message": "boom"}, *ended(2), exit_code=2)
    assert [(case.node_id, case.outcome) for case in run.cases] == [("t.py", "error")]


def test_rerun_counts_its_last_attempt() -> None:
    run = read(collected("t.py::a"), *phases(**FAILURE), *phases(), *ended())
    assert [case.outcome for case in run.cases] == ["passed"]
