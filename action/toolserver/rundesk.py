"""The desk of one run: what the agent is told of it, and what it says is kept for the loop, the report and the people.

The agent reads a stranger's mail, so nothing here has an effect outside this run: it can tell, ask and measure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from action.journal import Journal
from action.pace import Pace
from action.run import Run
from action.toolserver.desk import Answer, Decision, Question
from controlplane.errors import Conflict, NotFound
from controlplane.noun import Noun
from controlplane.plan import Sprint
from controlplane.spec import Spec
from controlplane.states import Phase
from controlplane.verdict import Verdict

MOST_LETTER_CHARACTERS = 40_000
MOST_QUESTIONS = 10
Said = TypeVar("Said", Question, Decision)


class Checked(Noun):
    """A measurement on the way. `feedback` is what the loop would hand back, in Markdown; empty when all is met."""

    verdict: Verdict
    feedback: str = ""


class DodCheck(Protocol):
    """Verify and gate of the work as it lies in the agent's folder now, in at most so many seconds.

    The same two calls as in the loop. Raises an AicdError where the work cannot be measured, OutsideError when the time
    did not suffice. It ends early, in whatever way, once `is_over`: nobody waits for its answer then.
    """

    def __call__(self, seconds: float, is_over: Callable[[], bool]) -> Checked: ...


class FindRuns(Protocol):
    """Earlier runs of the run's own specification, newest first."""

    def __call__(self, query: str, limit: int) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True)
class DeskLimits:
    """`checks` is for one attempt, `check_seconds` for one check."""

    checks: int = 4
    check_seconds: float = 900.0


@dataclass
class RunDesk:
    """A ToolDesk. `check` is None where nothing can be measured (planning), `find_runs` without a control plane.

    `pace` is that of all progress of the agent, by its own word or by what is seen of it.
    `questions` and `decisions` are what came in, without secrets: they go on to mails, reports and the database. The
    loop ends an attempt that left a blocking question.
    """

    run: Run
    spec: Spec
    sprint: Sprint
    journal: Journal
    check: DodCheck | None = None
    find_runs: FindRuns | None = None
    limits: DeskLimits = DeskLimits()
    pace: Pace = field(default_factory=Pace)
    questions: list[Question] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    _checks: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _one: threading.Lock = field(default_factory=threading.Lock)
    _measuring: threading.Lock = field(default_factory=threading.Lock)

    def next_attempt(self) -> None:
        """The agent works again: it may measure anew."""
        with self._one:
            self._checks = 0
            self._over = threading.Event()

    def end_attempt(self) -> None:
        """The agent does not work any more; a measurement that it asked for is not needed."""
        self._over.set()

    @property
    def waits_for_answer(self) -> bool:
        """Whether a question was asked without whose answer the work cannot go on."""
        return any(question.blocking for question in self.questions)

    def get_spec(self) -> Answer:
        spec, letter = self.spec, self.spec.letter
        return {
            "title": spec.title,
            "project": spec.project,
            "repository": self.run.repository,
            "branch": self.run.branch,
            "base": self.run.base,
            "format": spec.format,
            "runtime": spec.runtime,
            "tests": spec.tests.model_dump(mode="json"),
            "files": [{"path": one.path, "characters": len(one.content)} for one in spec.files],
            "letter": letter[:MOST_LETTER_CHARACTERS],
            **({"letter_is_cut": True} if len(letter) > MOST_LETTER_CHARACTERS else {}),
        }

    def get_plan(self) -> Answer:
        dod = self.sprint.dod.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return {
            "sprint": self.sprint.label,
            "goals": list(self.sprint.goals),
            "stories": [story.model_dump(mode="json") for story in self.sprint.stories],
            "definition_of_done": {"unit_pass": True, "integrity": True, **dod},
        }

    def report_progress(self, message: str, percent: int | None) -> Answer:
        if not self.pace.take():
            return {"passed_on": False, "reason": "at most one report a second is passed on"}
        self.journal.event(Phase.BUILD, f"Agent: {_one_line(message)}", source="agent", percent=percent)
        return {"passed_on": True}

    def ask_requester(self, questions: Sequence[Question]) -> Answer:
        cleaned = [_without_secrets(question, self.journal) for question in questions]
        with self._one:
            new = [question for question in cleaned if question not in self.questions]
            if len(self.questions) + len(new) > MOST_QUESTIONS:
                raise Conflict(f"A run may ask {MOST_QUESTIONS} questions.", "Decide the rest yourself.", "too-many")
            self.questions += new
            waits = self.waits_for_answer
        for question in new:
            self.journal.event(
                Phase.BUILD, f"Question: {_one_line(question.text)}", source="agent", blocking=question.blocking
            )
        if waits:
            return {
                "noted": len(new),
                "next": "Stop working now and end your turn. The run is set aside, the question goes out by mail, and "
                "another run continues from here with the answer.",
            }
        return {"noted": len(new), "next": "Go on; state in your work what you assumed."}

    def check_dod(self) -> Answer:
        if self.check is None:
            raise NotFound("Nothing can be measured here.", "Go on without it.", "no-check")
        if not self._measuring.acquire(blocking=False):
            raise Conflict("A measurement is running already.", "Wait for its answer.", "check-running")
        try:
            left = self._take_check()
            checked = self.check(self.limits.check_seconds, self._over.is_set)
        finally:
            self._measuring.release()
        verdict = checked.verdict
        self.journal.event(
            Phase.BUILD,
            f"The agent measured its work: {verdict.result.value}",
            source="agent",
            failing=[criterion.id for criterion in verdict.failing()],
        )
        return {
            "result": verdict.result.value,
            "criteria": [_brief(criterion.model_dump(mode="json")) for criterion in verdict.criteria],
            "tests": verdict.tests.model_dump(mode="json"),
            "coverage": verdict.coverage,
            "feedback": checked.feedback[:40_000],
            "checks_left": left,
        }

    def _take_check(self) -> int:
        with self._one:
            if self._checks >= self.limits.checks:
                raise Conflict(
                    f"The work was measured {self._checks} times in this attempt; that is the limit.",
                    "End your turn: the work is judged then, and what fails comes back to you.",
                    "no-checks-left",
                )
            self._checks += 1
            return self.limits.checks - self._checks

    def search_runs(self, query: str, limit: int) -> Answer:
        if self.find_runs is None:
            return {"runs": [], "note": "This run has no control plane, so no earlier run is known."}
        return {"runs": [dict(run) for run in self.find_runs(query, limit)]}

    def record_decision(self, decision: Decision) -> Answer:
        decision = _without_secrets(decision, self.journal)
        with self._one:
            if decision in self.decisions:
                return {"recorded": True}
            self.decisions.append(decision)
        self.journal.event(
            Phase.BUILD,
            f"Decision: {_one_line(decision.title)}",
            source="agent",
            decision=decision.model_dump(mode="json"),
        )
        return {"recorded": True}


def _without_secrets(said: Said, journal: Journal) -> Said:
    return said.model_copy(update=journal.redact(dict(said)))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _brief(criterion: dict[str, Any]) -> dict[str, Any]:
    return {**criterion, "evidence": [str(line)[:500] for line in criterion["evidence"][:20]]}
