"""What a verification leaves behind: reports and logs as files, and the same as nouns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from action.verify.area import Area
from action.verify.checkout import Snapshot
from action.verify.checks import Check
from action.verify.junit import write_junit
from action.verify.linecoverage import LineCoverage, write_coverage_json
from action.verify.ownwork import own_cases
from action.verify.pytestrun import PytestRun
from action.verify.sandbox import Outcome
from controlplane.evidence import Evidence, EvidenceFile, IntegrityFinding, Mutation, TestCase, TestTotals, ToolRun


@dataclass
class Keeper:
    """Collects the parts of an Evidence while the runs come in, and writes each report once."""

    area: Area
    base: Snapshot
    head: Snapshot
    files: list[EvidenceFile] = field(default_factory=list)
    runs: list[ToolRun] = field(default_factory=list)
    findings: list[IntegrityFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mutation: Mutation | None = None
    tools: dict[str, str] = field(default_factory=dict)

    def keep_pytest(self, runs: Mapping[str, PytestRun]) -> None:
        for name, run in runs.items():
            log = self._log(name, run.outcome)
            report = ""
            if run.purpose in ("base-tests", "change-tests"):
                cases = self._cases(run)
                if not cases and run.recorded.cases and run.outcome.exit_code == 0:
                    # Everything in it was told by the base's run; an empty report would tell of nothing collected.
                    told = len(run.recorded.cases)
                    self.notes.append(f"{told} tests of the base pass with the change's settings too")
                    continue
                report = self._keep_junit(name, run, cases)
            self.runs.append(_tool_run(run.purpose, "pytest", run.command, run.outcome, report, log))

    def keep_coverage(self, coverage: LineCoverage) -> None:
        path = self.area.reports / "coverage.json"
        write_coverage_json(coverage, path)
        self.files.append(
            EvidenceFile(
                path=str(path),
                kind="coverage",
                coverage=coverage.totals,
                lines=coverage.files,
                problems=coverage.problems,
                tool="coverage.py",
            )
        )

    def keep_check(self, check: Check, outcome: Outcome, report: Path | None) -> None:
        from action.evidence import read_reports

        log = self._log(f"{check.purpose}-{check.id}", outcome)
        self.runs.append(_tool_run(check.purpose, check.id, check.command, outcome, str(report or ""), log))
        if report is not None:
            self.files += read_reports([report]).files

    def keep_unrun(self, purpose: str, name: str, reason: str) -> None:
        """A run that did not come about, and what would let it."""
        self.runs.append(ToolRun.model_validate({"purpose": purpose, "id": name, "reason": reason}))

    def keep_e2e(self, name: str, run: PytestRun) -> None:
        """End-to-end cases belong to no group: unit tests are counted by theirs."""
        log = self._log(name, run.outcome)
        told = own_cases(run, self.base, self.head) if name == "e2e-change" else run.recorded.cases
        if not told and run.recorded.cases and run.outcome.exit_code == 0:
            return
        cases = tuple(case.model_copy(update={"group": ""}) for case in told)
        path = self.area.reports / f"{name}.junit.xml"
        write_junit(cases, path, suite=name, end_to_end=True)
        self.files.append(
            EvidenceFile(
                path=str(path),
                kind="junit",
                tests=TestTotals.count(cases),
                cases=cases,
                tool="e2e",
                problems=run.recorded.mismatches,
            )
        )
        self.runs.append(_tool_run("e2e", name, run.command, run.outcome, str(path), log))

    def keep_told(
        self, purpose: str, name: str, command: tuple[str, ...], outcome: Outcome, *reports: Path | None
    ) -> None:
        """A run of the project's own runner, with the reports that it wrote, if any."""
        from action.evidence import read_reports

        written = [report for report in reports if report is not None]
        log = self._log(name, outcome)
        self.runs.append(_tool_run(purpose, name, command, outcome, str(written[0]) if written else "", log))
        if written:
            self.files += read_reports(written).files

    def keep_lighthouse(self, command: tuple[str, ...], outcome: Outcome) -> None:
        from action.evidence import read_reports

        path = self.area.reports / "lighthouse.json"
        path.write_bytes(outcome.output)
        log = self.area.logs / "lighthouse.log"
        log.write_bytes(outcome.errors)
        self.runs.append(_tool_run("lighthouse", "lighthouse", command, outcome, str(path), str(log)))
        self.files += read_reports([path]).files

    def keep_failed_environment(self, reason: str, details: str, seconds: float) -> None:
        log = self.area.logs / "environment.log"
        log.write_text(f"{reason}\n{details}")
        self.runs.append(
            ToolRun(purpose="environment", id="pip", duration_seconds=round(seconds, 3), log=str(log), reason=reason)
        )

    def evidence(self, isolation: str, lines: dict[str, frozenset[int]]) -> Evidence:
        """Sorted, and each finding once, so that the same runs make the same evidence."""
        unique = {(one.kind, one.file, one.node_ids, one.fails): one for one in self.findings}
        return Evidence(
            files=tuple(sorted(self.files, key=lambda file: file.path)),
            runs=tuple(self.runs),
            integrity=tuple(sorted(unique.values(), key=lambda one: (not one.fails, one.kind, one.file, one.node_ids))),
            changed_lines=lines,
            mutation=self.mutation,
            isolation=isolation,
            tools=self.tools,
            looked_in=(str(self.area.reports),),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _cases(self, run: PytestRun) -> tuple[TestCase, ...]:
        return own_cases(run, self.base, self.head) if run.purpose == "change-tests" else run.recorded.cases

    def _keep_junit(self, name: str, run: PytestRun, cases: tuple[TestCase, ...]) -> str:
        path = self.area.reports / f"{name}.junit.xml"
        write_junit(cases, path, suite=name)
        self.files.append(
            EvidenceFile(
                path=str(path),
                kind="junit",
                tests=TestTotals.count(cases),
                cases=cases,
                tool="pytest",
                problems=run.recorded.mismatches,
            )
        )
        return str(path)

    def _log(self, name: str, outcome: Outcome) -> str:
        path = self.area.logs / f"{name}.log"
        path.write_bytes(outcome.output + (b"\n--- stderr ---\n" + outcome.errors if outcome.errors else b""))
        return str(path)


def _tool_run(purpose: str, name: str, command: tuple[str, ...], outcome: Outcome, report: str, log: str) -> ToolRun:
    return ToolRun.model_validate(
        {
            "purpose": purpose,
            "id": name,
            "command": tuple(command),
            "exit_code": outcome.exit_code,
            "timed_out": outcome.timed_out,
            "duration_seconds": outcome.duration_seconds,
            "report": report,
            "log": log,
            "reason": outcome.reason,
        }
    )
