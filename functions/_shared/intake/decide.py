"""What becomes of a mail, as a value: refused, answered with its problems, or taken in. Nothing here touches the world.

The order is the rule: who wrote, before what was written. A stranger's attachments are never parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.message import LETTER_NAME, Message, SpecAttachment
from controlplane.spec import Problem, Spec, SpecCheck
from controlplane.states import MessageState

MOST_PROBLEMS = 25
MOST_NOTES = 15
ATTACHMENT_UNREAD = "attachment-unread"
NO_SPECIFICATION = "no-specification"
UNKNOWN_SENDER = "unknown-sender"
MOST_SPECS = 10
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class CheckedSpec:
    """A candidate and what reading it gave."""

    attachment: SpecAttachment
    check: SpecCheck


@dataclass(frozen=True)
class Decision:
    """`specs` is filled only for ACCEPTED, `problems` only for INVALID; `reason` is a stable kebab-case word.

    `notes` say how the mail was read, in the form of problems, and stop nothing.
    """

    state: MessageState
    reason: str
    problems: tuple[dict[str, Any], ...] = ()
    specs: tuple[CheckedSpec, ...] = ()
    notes: tuple[dict[str, Any], ...] = ()


def refuse_sender(message: Message, senders: Sequence[str] | None) -> Decision | None:
    """The refusal of a mail whose sender is not proven or not on the allow-list; None lets it through.

    `senders` is None when the list is too long to be handed over: then the database alone decides, at the end.
    """
    if not message.accepted:
        return Decision(MessageState.REFUSED, clean(message.reason, 200) or "refused")
    if senders is not None and not is_listed(message.sender, senders):
        return Decision(MessageState.REFUSED, UNKNOWN_SENDER)
    return None


def is_listed(sender: str, patterns: Iterable[str]) -> bool:
    """Whether an address matches an entry: itself, or everybody of its domain (`*@example.com`), case apart."""
    address = sender.lower()
    _, at, domain = address.rpartition("@")
    return bool(at) and any(pattern.lower() in (address, f"*@{domain}") for pattern in patterns)


def choose_candidates(message: Message) -> tuple[SpecAttachment, ...]:
    """The attachments that are to be read as specifications, the same content once.

    A note in plain text beside a written specification is a note; alone it is a letter.
    """
    written = [spec for spec in message.specs if spec.format != "text"] or list(message.specs)
    once: dict[bytes, SpecAttachment] = {}
    for spec in written:
        once.setdefault(spec.content, spec)
    return tuple(once.values())


def decide(message: Message, checks: Sequence[CheckedSpec], senders: Sequence[str] | None) -> Decision:
    """The whole decision. All specifications of a mail are taken in, or none is."""
    refusal = refuse_sender(message, senders)
    if refusal:
        return refusal
    if not checks:
        told: tuple[dict[str, Any], ...] = (no_specification(message),)
        return Decision(MessageState.INVALID, NO_SPECIFICATION, told, notes=tell(message.left_out))
    if len(checks) > MOST_SPECS:
        return Decision(MessageState.INVALID, "too-many-specifications", (too_many_specifications(len(checks)),))
    problems = tuple(problem for checked in checks for problem in find_problems(checked))
    if problems:
        told = (*problems, *unread(message))[:MOST_PROBLEMS]
        return Decision(MessageState.INVALID, "specification-invalid", told, notes=_left_out_and_noted(message, checks))
    if message.unread and _only_points(message, checks):
        told = (only_points(message), *unread(message))[:MOST_PROBLEMS]
        return Decision(MessageState.INVALID, ATTACHMENT_UNREAD, told, notes=tell(message.left_out))
    return Decision(MessageState.ACCEPTED, "ok", specs=tuple(checks), notes=_how_read(message, checks))


def _only_points(message: Message, checks: Sequence[CheckedSpec]) -> bool:
    """Whether all there is to build is a letter that says where to look."""
    from functions._shared.mail.pointing import is_mere_pointer  # with the reader of mail, which is opened late

    letters = all(checked.attachment.name == LETTER_NAME and checked.check.format == "text" for checked in checks)
    return letters and is_mere_pointer(message.body_text)


def _how_read(message: Message, checks: Sequence[CheckedSpec]) -> tuple[dict[str, Any], ...]:
    """What a requester should know of a mail that is built: files and lines that were not read, keys that nobody knows.
    That a letter will be planned is told elsewhere."""
    return (*tell(message.problems), *_left_out_and_noted(message, checks))[:MOST_NOTES]


def _left_out_and_noted(message: Message, checks: Sequence[CheckedSpec]) -> tuple[dict[str, Any], ...]:
    written = [
        note
        for checked in checks
        if checked.check.format != "text"
        for note in tell(checked.check.notes, checked.attachment.name)
    ]
    return (*tell(message.left_out), *written)[:MOST_NOTES]


def tell(notes: Iterable[str], attachment: str = "") -> tuple[dict[str, Any], ...]:
    """Notes as they are stored: marked, so that no answer asks for them to be put right."""
    found = [describe_problem(attachment, Problem(path="", message=note)) | {"note": True} for note in notes]
    return tuple(found[:MOST_NOTES])


def unread(message: Message) -> tuple[dict[str, Any], ...]:
    """What could not be read of the mail itself, to be told beside what is wrong with its content."""
    return tuple(describe_problem("", Problem(path="", message=note)) for note in message.problems)


def find_problems(checked: CheckedSpec) -> list[dict[str, Any]]:
    """Why one candidate cannot be built; empty when it can."""
    name = checked.attachment.name
    if checked.check.problems:
        return [describe_problem(name, problem) for problem in checked.check.problems]
    if checked.check.spec is None:
        return [describe_problem(name, Problem(path="", message="This is not a specification that we can read."))]
    return []


def needs_planner(spec: Spec) -> bool:
    """Whether a model has to plan it. Files that come along can be judged as they are."""
    return spec.needs_planning and not spec.files


def planning_off(name: str, repo: str) -> dict[str, Any]:
    """The problem of a letter for a project in which nobody plans."""
    sentence = (
        "This says what you want, but not in which steps (sprints) and what shows that each is done, and nobody plans "
        "that for you here. Please ask whoever runs this service to switch the planning of letters on, or write a "
        f"specification with at least one sprint and with 'repo: {repo}', and attach it."
    )
    return describe_problem(name, Problem(path="planning", message=sentence))


def repository_missing(name: str, repositories: Sequence[str], total: int) -> dict[str, Any]:
    """The problem of a letter that may be for any of its sender's repositories, or for none. Names only his own."""
    if not repositories:
        sentence = (
            "Your letter does not say which repository it is for, and none is set up for you yet. Please ask whoever "
            "runs this service to let you have something built."
        )
        return describe_problem(name, Problem(path="repository", message=sentence))
    shown = ", ".join(repositories) + (f" and {total - len(repositories)} more" if total > len(repositories) else "")
    sentence = (
        "Your letter does not say which repository it is for. Please send it once more with a line of its own such as "
        f"'repository: {repositories[0]}'. You may have something built in: {shown}."
    )
    return describe_problem(name, Problem(path="repository", message=sentence))


def no_specification(message: Message, *, plans_letters: bool = True) -> dict[str, Any]:
    """The problem of a mail in which nothing could be a specification, with what was seen on the way. Plain words are
    offered only where they would be planned."""
    seen = f" ({'; '.join(message.problems[:5])})" if message.problems else ""
    sentence = (
        f"No specification was found in your mail{seen}. Please "
        f"{'write what you want in plain words, or ' if plans_letters else ''}attach a file that ends in .yaml, .json "
        "or .md; the example below can be copied."
    )
    return describe_problem("", Problem(path="", message=sentence))


def only_points(message: Message, *, plans_letters: bool = True) -> dict[str, Any]:
    """The problem of a letter that says nothing but where to look."""
    files = ", ".join(f"'{name}'" for name in message.unread[:5])
    sentence = f"Your mail says that what you want stands in a file, and {files} cannot be read here. Please " + (
        "write what you want into the mail itself, in plain words, or attach it as .yaml, .json, .md or .txt."
        if plans_letters
        else "attach it as a specification in .yaml, .json or .md; the example below can be copied."
    )
    return describe_problem("", Problem(path="", message=sentence))


def too_many_specifications(count: int) -> dict[str, Any]:
    """The problem of a mail with more specifications than one mail may carry."""
    sentence = f"Your mail carries {count} specifications; please send at most {MOST_SPECS} in one mail."
    return describe_problem("", Problem(path="", message=sentence))


def describe_problem(attachment: str, problem: Problem) -> dict[str, Any]:
    """A problem as it is stored and mailed; texts from the sender are bounded and without control characters."""
    return {
        "attachment": clean(attachment, 100),
        "path": clean(problem.path, 200),
        "line": problem.line,
        "column": problem.column,
        "message": clean(problem.message, 900),
    }


def clean(text: str, limit: int) -> str:
    """Text that a database, a log and a mail can take: no control characters or lone surrogates, at most `limit`."""
    return _CONTROL.sub(" ", text)[:limit].strip()
