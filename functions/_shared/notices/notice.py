"""What a mail has to say, read from the database's description and bounded: nothing in it is trusted to be short."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from controlplane.noun import Noun
from functions._shared.notices.bounds import items, line, mapping, number, text, texts, whole
from functions._shared.notices.mending import say_why
from functions._shared.notices.planning import UNPLANNED, PlanFacts, QuestionLine, read_plan, read_questions

Template = Literal["spec_received", "spec_invalid", "spec_cancelled", "needs_input", "needs_approval", "report"]

MOST_ARTIFACTS = 2_000
MOST_PROBLEMS = 50
MOST_NOTES = 15
# With each unmet criterion; report.html has them all.
MOST_EVIDENCE = 5
# How the database begins what it says of a cancelled specification (cancel_spec_v1); the mail says so itself.
CANCELLED = "The specification was cancelled."
# Notes on how safely a run was set up (action/publish/compose.py), which are for whoever operates it.
OPERATORS = ("Runner: ", "Control plane: ")
_ADDRESS = re.compile(r"[^@\s<>(),;:\"\\\[\]]{1,64}@[A-Za-z0-9.-]{1,255}", re.ASCII)


class ProblemLine(Noun):
    """One reason why a specification cannot be built; line and column count from 1."""

    attachment: str = ""
    path: str = ""
    line: int | None = None
    column: int | None = None
    message: str


class NoteLine(Noun):
    """How a mail was read, on one line; nothing has to be put right for it. `attachment` is the specification's."""

    attachment: str = ""
    message: str


class CriterionLine(Noun):
    """One row of the verdict table, as texts."""

    id: str
    required: str
    actual: str
    status: str
    reason: str
    evidence: tuple[str, ...] = ()


class ArtifactLine(Noun):
    """One file that the run left: in Storage, or in the bucket `store`. `size` is its content's, packed or not."""

    name: str
    path: str
    kind: str = ""
    size: int | None = None
    store: str = ""
    encoding: str = ""


class RunFacts(Noun):
    """What is known about a finished run; empty texts and None where nothing was measured."""

    run_id: str = ""
    result: str = ""
    reason: str = ""
    iterations: int | None = None
    isolation: tuple[str, ...] = ()
    criteria: tuple[CriterionLine, ...] = ()
    pull_request_url: str = ""
    ci_url: str = ""
    branch: str = ""
    commit: str = ""
    cost_usd: float | None = None
    duration_seconds: float | None = None
    artifacts: tuple[ArtifactLine, ...] = ()


class Notice(Noun):
    """One mail to one person, or, where both addresses are empty, one message in a channel."""

    outbox_id: str
    template: Template
    mailbox: str
    recipient: str
    subject: str = ""
    thread_id: str = ""
    rfc_message_id: str = ""
    references: str = ""
    title: str = ""
    repo: str = ""
    spec_id: str = ""
    sprint: str = ""
    sprints: tuple[str, ...] = ()
    reason: str = ""
    problems: tuple[ProblemLine, ...] = ()
    notes: tuple[NoteLine, ...] = ()
    questions: tuple[QuestionLine, ...] = ()
    approval_follows: bool = False
    plan: PlanFacts = Field(default_factory=PlanFacts)
    run: RunFacts = Field(default_factory=RunFacts)

    @property
    def is_unplanned(self) -> bool:
        """A letter that nobody has planned yet."""
        return self.sprints == (UNPLANNED,)

    @property
    def why_cancelled(self) -> str:
        """The maintainer's own words; empty where he gave none."""
        return self.reason.removeprefix(CANCELLED).strip()

    @property
    def leaves_out(self) -> bool:
        """Whether text or files of the mail were not read: such notes are of no specification."""
        return any(not note.attachment for note in self.notes)

    @property
    def doubts_a_line(self) -> bool:
        """Whether a specification that was read holds what its writer may have meant otherwise."""
        return any(note.attachment for note in self.notes)


def read_notice(outbox_id: str, description: Mapping[str, Any]) -> Notice | None:
    """The notice, or None when there is no address it may go to."""
    recipient = text(description.get("recipient"), 320).strip()
    mailbox = text(description.get("mailbox_email"), 320).strip()
    if not _ADDRESS.fullmatch(recipient) or not _ADDRESS.fullmatch(mailbox) or recipient.lower() == mailbox.lower():
        return None
    return _read(outbox_id, description, mailbox, recipient)


def read_announcement(outbox_id: str, description: Mapping[str, Any]) -> Notice:
    """The same for a channel: whether anybody can have it by mail makes no difference."""
    return _read(outbox_id, description, "", "")


def _read(outbox_id: str, description: Mapping[str, Any], mailbox: str, recipient: str) -> Notice:
    spec, sprint = mapping(description.get("spec")), mapping(description.get("sprint"))
    told = list(items(description.get("problems"), MOST_PROBLEMS))
    return Notice(
        outbox_id=outbox_id,
        template=description["template"],
        mailbox=mailbox,
        recipient=recipient,
        subject=text(description.get("subject"), 300),
        thread_id=text(description.get("gmail_thread_id"), 200),
        rfc_message_id=text(description.get("rfc_message_id"), 2_000),
        references=text(description.get("references"), 20_000),
        title=text(spec.get("title"), 200),
        repo=text(spec.get("repo"), 200),
        spec_id=text(spec.get("id") or spec.get("spec_id"), 64),
        sprint=text(sprint.get("label"), 100),
        sprints=tuple(text(item.get("label"), 100) for item in items(spec.get("sprints"), most=20)),
        reason=text(description.get("reason"), 2_000),
        problems=tuple(_problem(item) for item in told if item.get("note") is not True),
        notes=tuple(_notes(told, text(spec.get("name"), 200)))[:MOST_NOTES],
        questions=read_questions(description.get("questions")),
        approval_follows=any(one.get("was") == "NEEDS_APPROVAL" for one in items(description.get("questions"))),
        plan=read_plan(description.get("planning"), items(spec.get("sprints"), most=100)),
        run=_run(mapping(description.get("run")), description),
    )


def _run(run: Mapping[str, Any], description: Mapping[str, Any]) -> RunFacts:
    summary = mapping(run.get("summary_json"))
    pull_request = mapping(summary.get("pull_request")) or mapping(run.get("pull_request"))
    commit = text(summary.get("commit") or run.get("commit"), 64)
    return RunFacts(
        run_id=text(run.get("id") or run.get("run_id"), 64),
        result=text(run.get("result"), 20),
        reason=text(say_why(summary, text(mapping(description.get("spec")).get("repo"), 200)), 2_000),
        iterations=whole(summary.get("iterations")),
        isolation=tuple(text(said, 300) for said in texts(summary.get("isolation")) if not said.startswith(OPERATORS)),
        criteria=tuple(_criterion(item) for item in items(mapping(summary.get("verdict")).get("criteria"))),
        pull_request_url=_link(
            summary.get("pull_request_url") or pull_request.get("url") or run.get("pull_request_url")
        ),
        ci_url=_link(run.get("ci_url") or run.get("url")),
        # Without a commit there is no such branch to look at.
        branch=text(summary.get("branch") or run.get("branch"), 200) if commit else "",
        commit=commit,
        cost_usd=number(summary.get("cost_usd", summary.get("cost"))),
        duration_seconds=number(summary.get("duration_seconds")),
        artifacts=tuple(
            _artifact(item) for item in items(description.get("artifacts"), MOST_ARTIFACTS) if item.get("storage_path")
        ),
    )


def _problem(item: Mapping[str, Any]) -> ProblemLine:
    return ProblemLine(
        attachment=text(item.get("attachment"), 200),
        path=text(item.get("path"), 300),
        line=whole(item.get("line")),
        column=whole(item.get("column")),
        message=text(item.get("message"), 1_000),
    )


def _notes(told: Iterable[Mapping[str, Any]], name: str) -> Iterator[NoteLine]:
    """Those of the mail, and of the one specification that the notice is about; a mail may carry several."""
    for item in told:
        attachment = line(item.get("attachment"), 100)
        if item.get("note") is True and (not attachment or not name or attachment == name[: len(attachment)]):
            yield NoteLine(attachment=attachment, message=line(item.get("message"), 400))


def _criterion(item: Mapping[str, Any]) -> CriterionLine:
    return CriterionLine(
        id=text(item.get("id"), 64),
        required=_figure(item.get("required")),
        actual=_figure(item.get("actual")),
        status=text(item.get("status"), 20),
        reason=text(item.get("reason"), 500),
        evidence=tuple(_evidence(item)),
    )


def _evidence(item: Mapping[str, Any]) -> Iterator[str]:
    """The places that a criterion's sentence means by `below`; what the sentence says itself is not told twice."""
    said = str(item.get("reason"))
    return (line(found, 240) for found in texts(item.get("evidence"), MOST_EVIDENCE) if found not in said)


def _artifact(item: Mapping[str, Any]) -> ArtifactLine:
    name = text(item.get("name") or item.get("kind"), 100)
    return ArtifactLine(
        name=name,
        path=text(item.get("storage_path"), 300),
        kind=text(item.get("kind"), 100),
        size=whole(item.get("size")),
        store=text(item.get("store"), 300),
        encoding=text(item.get("encoding"), 20),
    )


def _figure(value: Any) -> str:
    """A figure as a person writes it: yes, no, 0.85, nothing for what is not there."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return text(value, 200)


def _link(value: Any) -> str:
    """An http(s) address without blanks; anything else is not linked."""
    address = text(value, 2_000)
    return address if re.fullmatch(r"https?://[^\s<>\"']+", address) else ""
