"""Plain words: an answer to a question of ours, mere thanks, or a letter, and then for which repository.

Everything here happens after the sender was proven and found on the allow-list, and the database decides again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from controlplane.message import LETTER_NAME, Message
from controlplane.spec import Spec
from controlplane.states import MessageState
from functions._shared.intake.courtesy import is_courtesy
from functions._shared.intake.decide import (
    ATTACHMENT_UNREAD,
    MOST_PROBLEMS,
    NO_SPECIFICATION,
    CheckedSpec,
    Decision,
    needs_planner,
    no_specification,
    only_points,
    planning_off,
    repository_missing,
    tell,
    unread,
)
from functions._shared.intake.envelope import Envelope
from functions._shared.intake.records import message_row
from functions._shared.ports import IntakeStore

ANSWER = Decision(MessageState.ACCEPTED, "answer")
NO_QUESTION = "no-question"
_REPOSITORY = re.compile(r"(?<![\w./-])[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}(?!/)")
_PREFIXES = re.compile(r"^(?:\s*(?:re|aw|sv|antw|fwd?|wg|tr|rv)\s*:)+", re.IGNORECASE)


def answer_question(envelope: Envelope, message: Message, decision: Decision, store: IntakeStore) -> str | None:
    """What became of a reply that answers a question of ours; None where it answers none, so that it is judged on."""
    if not may_be_answer(envelope, message, decision):
        return None
    told = store.ingest_reply(message_row(envelope, message, ANSWER), message.body_text)
    outcome = str(told["outcome"])
    return None if outcome == NO_QUESTION else f"reply:{outcome}"


def may_be_answer(envelope: Envelope, message: Message, decision: Decision) -> bool:
    """Words of its own in a reply. A specification with its plan, or a file, read or not, is no answer."""
    if decision.reason == ATTACHMENT_UNREAD:
        return False
    if not is_reply(envelope, message) or not message.body_text.strip():
        return False
    if any(checked.check.spec and checked.check.spec.plan for checked in decision.specs):
        return False
    return all(spec.name == LETTER_NAME for spec in message.specs)


def is_reply(envelope: Envelope, message: Message) -> bool:
    """Whether it names a mail before it, or Gmail put it to one."""
    return message.thread != message.rfc_message_id or envelope.mail.thread_id not in ("", envelope.mail.gmail_id)


def is_mere_thanks(envelope: Envelope, message: Message, decision: Decision) -> bool:
    """A reply that asks for nothing."""
    return may_be_answer(envelope, message, decision) and is_courtesy(message.body_text)


def place_letters(
    envelope: Envelope, message: Message, decision: Decision, store: IntakeStore, *, plans_letters: bool
) -> Decision:
    """Each letter with its repository, or the decision to answer why it has none, or cannot be planned.

    `plans_letters` holds for projects that say nothing about it.
    """
    if decision.reason in (NO_SPECIFICATION, ATTACHMENT_UNREAD):
        found = store.find_repository(message.sender, "", envelope.mailbox_id, envelope.mail.thread_id)
        plans = plans_letters if found["planner"] is None else found["planner"]
        return decision if plans else _without_plain_words(decision, message)
    placed: list[CheckedSpec] = []
    problems = []
    notes: list[str] = []
    for checked in decision.specs:
        spec = checked.check.spec
        if spec is None or not spec.needs_planning:
            placed.append(checked)
            continue
        found = store.find_repository(message.sender, spec.repo, envelope.mailbox_id, envelope.mail.thread_id)
        if not spec.repo and not found["repo"] and (named := named_in_prose(message, found["repositories"])):
            found = store.find_repository(message.sender, named, envelope.mailbox_id, envelope.mail.thread_id)
            notes.append(f"The repository {named} was taken from the words of your letter.")
        repo = spec.repo or str(found["repo"] or "")
        name = checked.attachment.name
        if not repo:
            problems.append(("repository-missing", repository_missing(name, found["repositories"], found["total"])))
        elif needs_planner(spec) and not (plans_letters if found["planner"] is None else found["planner"]):
            problems.append(("planning-off", planning_off(name, repo)))
        placed.append(_at(checked, spec, repo, message.subject))
    if problems:
        told = (*(problem for _, problem in problems), *unread(message))
        return Decision(MessageState.INVALID, problems[0][0], told[:MOST_PROBLEMS], notes=tell(message.left_out))
    return replace(decision, specs=tuple(placed), notes=(*decision.notes, *tell(notes)))


def _without_plain_words(decision: Decision, message: Message) -> Decision:
    """The same refusal for somebody whose plain words would be refused next."""
    advise = no_specification if decision.reason == NO_SPECIFICATION else only_points
    return replace(decision, problems=(advise(message, plans_letters=False), *decision.problems[1:]))


def named_in_prose(message: Message, repositories: Sequence[str]) -> str:
    """The one of the sender's own repositories that the letter or its subject names; nothing where it names several."""
    words = {
        word.rstrip(".").lower() for word in _REPOSITORY.findall(f"{message.subject}\n{message.body_text[:20_000]}")
    }
    named = [repo for repo in repositories if repo.lower() in words]
    return named[0] if len(named) == 1 else ""


def _at(checked: CheckedSpec, spec: Spec, repo: str, subject: str) -> CheckedSpec:
    """With its repository, and with the mail's subject as its title: a letter begins with a greeting."""
    title = _PREFIXES.sub("", subject).strip() if spec.format == "text" else ""
    facts = {"repo": repo, "project": spec.project or repo.partition("/")[2], "title": title or spec.title}
    return replace(checked, check=checked.check.model_copy(update={"spec": spec.model_copy(update=facts)}))
