"""From the recorder's stream to what really happened, and everything that does not agree with itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from controlplane.evidence import Outcome, TestCase

Group = Literal["base", "change"]
PYTEST_OK, PYTEST_FAILED, PYTEST_INTERRUPTED, PYTEST_NOTHING = 0, 1, 2, 5


@dataclass(frozen=True)
class RecordedRun:
    """One pytest run. `mismatches` are the places where report, exit code and what happened differ.

    `collected` are the node ids pytest was about to run; a case of outcome `error` and a file's node id is a module
    that could not be collected. `executed` is absolute path → lines; `probes` are the tests in which
    a compared value equalled what it must not. `tampered` names parts of what judges that were replaced; `tripped` are
    pairs of what was reached for and the product's file that did it.
    """

    cases: tuple[TestCase, ...] = ()
    collected: tuple[str, ...] = ()
    deselected: tuple[str, ...] = ()
    mismatches: tuple[str, ...] = ()
    executed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    probes: frozenset[str] = frozenset()
    tampered: frozenset[str] = frozenset()
    tripped: frozenset[tuple[str, str]] = frozenset()

    def ids(self, *outcomes: Outcome) -> frozenset[str]:
        """Node ids with one of these outcomes."""
        return frozenset(case.node_id for case in self.cases if case.outcome in outcomes)


def read_stream(data: bytes, nonce: str, group: Group, exit_code: int | None) -> RecordedRun:
    """Judge a stream. Lines without the nonce, out of order, or said twice are mismatches."""
    reader = _Reader(group)
    for number, event in enumerate(_events(data, reader.mismatches), start=1):
        if event.get("nonce") != nonce or event.get("number") != number:
            reader.mismatches.append("somebody else than the recorder wrote into its stream")
            break
        reader.take(event)
    return reader.finish(exit_code)


def _events(data: bytes, mismatches: list[str]) -> Iterable[dict[str, Any]]:
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            mismatches.append("the recorder's stream holds a line that is not an event")
            return
        yield event


class _Reader:
    def __init__(self, group: Group) -> None:
        self.group = group
        self.mismatches: list[str] = []
        self.collected: list[str] = []
        self.lines: dict[str, int] = {}
        self.deselected: list[str] = []
        self.phases: dict[str, list[dict[str, Any]]] = {}
        self.broken: list[TestCase] = []
        self.subtests: dict[str, str] = {}
        self.executed: dict[str, frozenset[int]] = {}
        self.statuses: dict[str, int] = {}
        self.probes: set[str] = set()
        self.tampered: set[str] = set()
        self.tripped: set[tuple[str, str]] = set()

    def take(self, event: dict[str, Any]) -> None:
        handle = getattr(self, "_on_" + str(event.get("event")).replace("-", "_"), None)
        if handle is not None:
            handle(event)

    def finish(self, exit_code: int | None) -> RecordedRun:
        cases = [self._case(node_id, phases) for node_id, phases in self.phases.items()]
        cases += [self._unfinished(node_id) for node_id in self.collected if node_id not in self.phases]
        cases += self.broken
        self._compare_exit(cases, exit_code)
        return RecordedRun(
            cases=tuple(sorted(cases, key=lambda case: case.node_id)),
            collected=tuple(self.collected),
            deselected=tuple(self.deselected),
            mismatches=tuple(dict.fromkeys(self.mismatches)),
            executed=self.executed,
            probes=frozenset(self.probes),
            tampered=frozenset(self.tampered),
            tripped=frozenset(self.tripped),
        )

    def _on_collected(self, event: dict[str, Any]) -> None:
        self.collected = list(event["ids"])
        self.lines = dict(zip(event["ids"], event["lines"], strict=True))

    def _on_deselected(self, event: dict[str, Any]) -> None:
        self.deselected += event["ids"]

    def _on_collect_error(self, event: dict[str, Any]) -> None:
        self.broken.append(_collector_case(event, "error", self.group))

    def _on_collect_skip(self, event: dict[str, Any]) -> None:
        self.broken.append(_collector_case(event, "skipped", self.group))

    def _on_phase(self, event: dict[str, Any]) -> None:
        if event["when"] == "setup":  # a plugin that runs a test again starts over; the last attempt counts
            self.phases[event["id"]] = []
        self.phases.setdefault(event["id"], []).append(event)

    def _on_subtest_failed(self, event: dict[str, Any]) -> None:
        self.subtests[event["id"]] = event["message"]

    def _on_probe(self, event: dict[str, Any]) -> None:
        self.probes.add(event["id"])

    def _on_tampered(self, event: dict[str, Any]) -> None:
        self.tampered.update(event["names"])

    def _on_tripped(self, event: dict[str, Any]) -> None:
        self.tripped.update((what, who) for what, who in event["what"])

    def _on_coverage(self, event: dict[str, Any]) -> None:
        self.executed = {path: frozenset(lines) for path, lines in event["files"].items()}

    def _on_session_finish(self, event: dict[str, Any]) -> None:
        self.statuses["finish"] = event["status"]

    def _on_session_finished(self, event: dict[str, Any]) -> None:
        self.statuses["finished"] = event["status"]

    def _on_end(self, event: dict[str, Any]) -> None:
        self.statuses["end"] = event["status"]

    def _case(self, node_id: str, phases: list[dict[str, Any]]) -> TestCase:
        outcome: Outcome = "passed"
        message = ""
        for phase in phases:
            seen = self._judge(node_id, phase)
            if _WORSE[seen] > _WORSE[outcome]:
                outcome, message = seen, phase["message"]
        if phases and phases[-1]["when"] != "teardown":
            outcome, message = "error", "the process ended before this test did"
        if node_id in self.subtests and outcome == "passed":
            outcome, message = "failed", self.subtests[node_id]
        return TestCase(
            node_id=node_id,
            outcome=outcome,
            duration_seconds=round(sum(phase["seconds"] for phase in phases), 6),
            message=message,
            file=node_id.partition("::")[0],
            line=self.lines.get(node_id),
            group=self.group,
        )

    def _judge(self, node_id: str, phase: dict[str, Any]) -> Outcome:
        raised, reported, expected = phase["raised"], phase["reported"], phase["expected_failure"] is not None
        if raised == "failure" and not (expected and reported == "skipped"):
            if reported != "failed":
                self.mismatches.append(f"{node_id}: it failed, and its report was changed to {reported}")
            return "failed" if phase["when"] == "call" else "error"
        if raised == "nothing" and reported == "skipped":
            self.mismatches.append(f"{node_id}: it ran, and its report was changed to skipped")
        if raised == "nothing" and reported == "passed" and phase["body"] in ("not entered", "not finished"):
            self.mismatches.append(f"{node_id}: it is said to have passed, but its body was {phase['body']}")
            return "failed"
        if reported == "failed":
            return "failed" if phase["when"] == "call" else "error"
        if reported == "skipped":
            return "xfailed" if expected else "skipped"
        if raised in ("skip", "xfail"):
            self.mismatches.append(f"{node_id}: it was skipped, and its report was changed to {reported}")
            return "skipped"
        return "passed"

    def _unfinished(self, node_id: str) -> TestCase:
        return TestCase(
            node_id=node_id,
            outcome="error",
            message="the process ended before this test was run",
            file=node_id.partition("::")[0],
            line=self.lines.get(node_id),
            group=self.group,
        )

    def _compare_exit(self, cases: list[TestCase], exit_code: int | None) -> None:
        if exit_code is None:
            return  # we stopped it ourselves, and the run says so
        bad = sum(case.outcome in ("failed", "error") for case in cases)
        if "end" not in self.statuses:
            self.mismatches.append(f"the process ended with exit code {exit_code} before pytest had finished")
        elif exit_code != self.statuses["end"]:
            self.mismatches.append(f"pytest returned {self.statuses['end']}, the process ended with {exit_code}")
        if self.statuses.get("finish") != self.statuses.get("finished"):
            self.mismatches.append(
                f"the exit status was changed from {self.statuses.get('finish')} to {self.statuses.get('finished')}"
            )
        if bad and exit_code == PYTEST_OK:
            self.mismatches.append(f"{bad} tests did not pass, and the exit code says that all is well")
        if not bad and cases and exit_code == PYTEST_FAILED:
            self.mismatches.append("no test failed, and the exit code says that some did")


_WORSE: dict[Outcome, int] = {"passed": 0, "skipped": 1, "xfailed": 1, "failed": 3, "error": 3}


def _collector_case(event: dict[str, Any], outcome: Outcome, group: Group) -> TestCase:
    return TestCase(
        node_id=event["id"],
        outcome=outcome,
        message=event["message"],
        file=event["id"].partition("::")[0],
        group=group,
    )
