"""One mail, from its raw bytes to rows: read, judged, stored.

What fails because of the mail itself is recorded as refused, so that one poisoned mail never blocks its mailbox. What
fails because of the world outside is raised, and the mail is taken again later; every id and key is computed from the
mail, so a second time changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import structlog

from controlplane import ids
from controlplane.errors import AicdError, BrokenPromise, Conflict, NotAllowed, NotAuthenticated, NotFound, OutsideError
from controlplane.message import KEY_UNAVAILABLE, Message
from controlplane.states import MessageState
from functions._shared.intake.arrivals import why_not_for_us
from functions._shared.intake.decide import (
    UNKNOWN_SENDER,
    CheckedSpec,
    Decision,
    choose_candidates,
    decide,
    is_listed,
    refuse_sender,
)
from functions._shared.intake.envelope import Envelope
from functions._shared.intake.letters import answer_question, is_mere_thanks, place_letters
from functions._shared.intake.reading import MailHeldBack, Reader
from functions._shared.intake.records import CONTENT_TYPES, message_row, spec_row
from functions._shared.ports import IntakeStore

log = structlog.get_logger(__name__)

# As long as a mail is held back for what may pass.
LONGEST_HOLD = timedelta(days=1)


def take_in(
    envelope: Envelope,
    senders: tuple[str, ...] | None,
    reader: Reader,
    store: IntakeStore,
    reread_senders: Callable[[], tuple[str, ...] | None] | None = None,
    *,
    plans_letters: bool = True,
) -> str:
    """Deal with one mail; the answer is the outcome's word. Raises only `OutsideError`.

    `senders` was read before the mail was seen. Nobody is refused by a list that may be older than his place on it:
    `reread_senders` gives the one of now. `plans_letters` says whether a letter is taken in for a project whose policy
    does not say.
    """
    try:
        message, decision = judge(envelope, senders, reader)
        with _store_faults_hold_mail():
            if decision.reason == UNKNOWN_SENDER and reread_senders is not None:
                message, decision = judge(envelope, reread_senders(), reader)
            if decision.reason == KEY_UNAVAILABLE and _is_known(
                envelope, message, reread_senders() if reread_senders else senders, store
            ):
                _hold_back(
                    envelope,
                    f"The key that proves {message.sender} could not be asked for in the DNS.",
                    "Wait; the mail is kept and judged again for a day. If it lasts, look at the DNS of its sender.",
                    KEY_UNAVAILABLE,
                )
            outcome = _settle(envelope, message, decision, store, plans_letters=plans_letters)
    except OutsideError:
        raise
    except Exception:
        log.exception("mail cannot be taken in", gmail_id=envelope.mail.gmail_id)
        outcome = _record_unreadable(envelope, store)
    log.info("mail taken in", gmail_id=envelope.mail.gmail_id, outcome=outcome, size=len(envelope.mail.raw))
    return outcome


def judge(envelope: Envelope, senders: tuple[str, ...] | None, reader: Reader) -> tuple[Message, Decision]:
    """Read the mail and decide. Specifications are parsed only for a sender who may send them."""
    reason = why_not_for_us(envelope.mail.labels)
    if reason:
        return Message(sender="", accepted=False, reason=reason), Decision(MessageState.IGNORED, reason)
    message = reader.read_mail(envelope.mail.raw)
    refusal = refuse_sender(message, senders)
    if refusal:
        return message, refusal
    candidates = choose_candidates(message)
    checks = [CheckedSpec(spec, reader.check_spec(spec.content, spec.name)) for spec in candidates]
    return message, decide(message, checks, senders)


def _is_known(envelope: Envelope, message: Message, senders: tuple[str, ...] | None, store: IntakeStore) -> bool:
    """Whether this sender may have anything built. A stranger's mail holds nobody's up."""
    if senders is not None:
        return is_listed(message.sender, senders)
    found = store.find_repository(message.sender, "", envelope.mailbox_id, envelope.mail.thread_id)
    return bool(found["total"])


def _hold_back(envelope: Envelope, message: str, fix: str, code: str) -> None:
    """Raises `MailHeldBack` for a day, since what is away comes back."""
    received_at = envelope.mail.received_at
    if received_at is not None and datetime.now(UTC) - received_at < LONGEST_HOLD:
        raise MailHeldBack(message, fix=fix, code=code)


def _settle(
    envelope: Envelope, message: Message, decision: Decision, store: IntakeStore, *, plans_letters: bool
) -> str:
    """Where the words of a mail may be more than a specification, what they are comes first."""
    if decision.state not in (MessageState.ACCEPTED, MessageState.INVALID):
        return _keep(envelope, message, decision, store)
    answered = answer_question(envelope, message, decision, store)
    if answered is not None:
        return answered
    if is_mere_thanks(envelope, message, decision):
        return _keep(envelope, message, Decision(MessageState.IGNORED, "thanks"), store)
    placed = place_letters(envelope, message, decision, store, plans_letters=plans_letters)
    return _keep(envelope, message, placed, store)


def _keep(envelope: Envelope, message: Message, decision: Decision, store: IntakeStore) -> str:
    row = message_row(envelope, message, decision)
    if decision.state is not MessageState.ACCEPTED:
        return f"{decision.state.value.lower()}:{decision.reason}:{store.record_message(row)['outcome']}"
    origin = envelope.spec_origin(message)
    specs = [_put_spec(envelope, origin, checked, store) for checked in decision.specs]
    return str(store.ingest_message(row, specs)["outcome"])


def _put_spec(envelope: Envelope, origin: str, checked: CheckedSpec, store: IntakeStore) -> dict[str, object]:
    """The object first, then the row: a row never names an object that is not there."""
    spec_id = ids.spec_id(origin, checked.attachment.content)
    try:
        path = store.put_spec(spec_id, checked.attachment.content, CONTENT_TYPES[checked.attachment.format])
    except (Conflict, NotFound) as error:
        # Its path is made of its bytes: that others lie there is a wrong answer, and none of the mail's faults.
        _hold_back(
            envelope,
            f"Storage did not take the specification {checked.attachment.name}: {error.message}",
            "Wait; the mail is kept and taken in again for a day. If it lasts, look at the bucket `specs`.",
            "spec-not-stored",
        )
        raise
    return spec_row(spec_id, path, checked)


def _record_unreadable(envelope: Envelope, store: IntakeStore) -> str:
    """The last resort: the mail's ids and size, nothing of its content. Only a broken store can refuse that."""
    decision = Decision(MessageState.REFUSED, "unreadable")
    nobody = Message(sender="", accepted=False, reason="unreadable")
    try:
        store.record_message(message_row(envelope, nobody, decision))
    except AicdError as error:
        raise _store_at_fault(error) from error
    return "refused:unreadable"


@contextmanager
def _store_faults_hold_mail() -> Iterator[None]:
    """Where the store is at fault and not the mail, the mail is kept for later instead of being given up."""
    try:
        yield
    except (NotAuthenticated, NotAllowed, BrokenPromise) as error:
        raise _store_at_fault(error) from error


def _store_at_fault(error: AicdError) -> OutsideError:
    if isinstance(error, OutsideError):
        return error
    return OutsideError(
        f"The database does not do what this function asks: {error.message}",
        fix=error.fix or "Check that the migrations are applied and that AICD_FUNCTIONS_TOKEN is live.",
        code="store-at-fault",
    )
