"""Plain words: answer, thanks or letter, and for which repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controlplane.message import Message, SpecAttachment
from controlplane.spec import SpecCheck
from controlplane.specfile import check_spec
from controlplane.states import MessageState
from functions._shared.gmail.port import RawMail
from functions._shared.intake.decide import CheckedSpec, Decision, decide
from functions._shared.intake.envelope import Envelope
from functions._shared.intake.letters import answer_question, is_mere_thanks, place_letters

YAML = b"meta: {project: p, repo: o/r}\nplanning: {epics: [{sprints: [{id: S1}]}]}\n"


class Desk:
    """Answers as the database would, and keeps what it was asked."""

    def __init__(self, outcome: str = "no-question", **found: Any) -> None:
        self.outcome = outcome
        self.found = {"repo": None, "planner": None, "repositories": [], "total": 0} | found
        self.asked: list[Any] = []

    def ingest_reply(self, message: Mapping[str, Any], text: str) -> dict[str, Any]:
        self.asked.append((message, text))
        return {"outcome": self.outcome}

    def find_repository(self, *question: str) -> dict[str, Any]:
        self.asked.append(question)
        return self.found


def envelope(thread: str = "g1", labels: frozenset[str] = frozenset()) -> Envelope:
    return Envelope("m-1", RawMail(gmail_id="g1", thread_id=thread, labels=labels, raw=b"raw"), None)


def mail(text: str, *, thread: str = "<root@x>", files: tuple[SpecAttachment, ...] = ()) -> Message:
    own = SpecAttachment(name="mail text", format="text", content=text.encode())
    specs = files or ((own,) if text else ())
    return Message(
        sender="ada@example.org",
        accepted=True,
        reason="ok",
        rfc_message_id="<m1@x>",
        thread=thread,
        body_text=text,
        specs=specs,
    )


def decision(message: Message) -> Decision:
    checks = tuple(CheckedSpec(spec, check_spec(spec.content, spec.name)) for spec in message.specs)
    return Decision(MessageState.ACCEPTED, "ok", specs=checks)


@pytest.mark.parametrize("outcome", ["answered", "duplicate", "unknown-sender"])
def test_reply_that_answers_a_question_is_dealt_with(outcome: str) -> None:
    message, desk = mail("1. yes, in euros"), Desk(outcome)
    assert answer_question(envelope(), message, decision(message), desk) == f"reply:{outcome}"  # type: ignore[arg-type]
    [(row, text)] = desk.asked
    assert (row["state"], row["reason"], text) == ("ACCEPTED", "answer", "1. yes, in euros")


def test_reply_that_answers_nothing_is_judged_on() -> None:
    message = mail("Another wish")
    assert answer_question(envelope(), message, decision(message), Desk()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "message",
    [
        mail("A wish of its own", thread="<m1@x>"),
        mail(""),
        mail("see file", files=(SpecAttachment(name="spec.yaml", format="yaml", content=YAML),)),
        mail("see file", files=(SpecAttachment(name="broken.yaml", format="yaml", content=b"meta: 5"),)),
        mail(YAML.decode()),
    ],
    ids=["new-thread", "no-words", "planned-file", "broken-file", "planned-text"],
)
def test_mail_that_cannot_be_an_answer_asks_the_database_nothing(message: Message) -> None:
    desk = Desk("answered")
    assert answer_question(envelope(), message, decision(message), desk) is None  # type: ignore[arg-type]
    assert desk.asked == []


def test_mail_that_gmail_put_into_a_thread_is_a_reply_also_without_the_headers() -> None:
    message = mail("yes", thread="<m1@x>")
    assert answer_question(envelope("t-0"), message, decision(message), Desk("answered"))  # type: ignore[arg-type]


def test_thanks_in_a_thread_are_mere_thanks_and_elsewhere_a_letter() -> None:
    for thread, thanks in (("<root@x>", True), ("<m1@x>", False)):
        message = mail("Thank you!", thread=thread)
        assert is_mere_thanks(envelope(), message, decision(message)) is thanks


def place(text: str, desk: Desk, *, plans_letters: bool = True) -> Decision:
    message = mail(text, thread="<m1@x>")
    return place_letters(envelope("t-7"), message, decision(message), desk, plans_letters=plans_letters)  # type: ignore[arg-type]


def test_letter_without_a_repository_gets_the_one_that_the_database_knows() -> None:
    desk = Desk(repo="acme/shop", repositories=["acme/shop"], total=1)
    placed = place("I wish for a basket.", desk)
    [checked] = placed.specs
    assert checked.check.spec is not None
    assert (checked.check.spec.repo, checked.check.spec.project) == ("acme/shop", "shop")
    assert desk.asked == [("ada@example.org", "", "m-1", "t-7")]


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ("A basket, please", "A basket, please"),
        ("Re: AW: Fwd: A basket", "A basket"),
        ("Re: ", "I wish for a basket."),
        ("", "I wish for a basket."),
    ],
)
def test_letter_is_called_what_its_mail_is_called(subject: str, title: str) -> None:
    message = mail("Hello,\n\nI wish for a basket.").model_copy(update={"subject": subject})
    desk = Desk(repo="acme/shop", total=1)
    placed = place_letters(envelope(), message, decision(message), desk, plans_letters=True)  # type: ignore[arg-type]
    assert placed.specs[0].check.spec is not None
    assert placed.specs[0].check.spec.title == title


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("Please add a list to acme/shop, sorted.", "acme/shop"),
        ("The shop is Acme/Shop.", "acme/shop"),
        ("A list for (acme/shop) and its prices", "acme/shop"),
        ("Please add a list to evil/shop.", ""),
        ("Please add a list to acme/shopping.", ""),
        ("See https://x.example/acme/shop/issues.", ""),
        ("As in acme/bakery, but in acme/shop.", ""),
    ],
)
def test_repository_that_prose_names_is_taken_where_it_is_the_senders_own(text: str, taken: str) -> None:
    class Several(Desk):
        def find_repository(self, *question: str) -> dict[str, Any]:
            super().find_repository(*question)
            return self.found | {"repo": question[1] or None}

    desk = Several(repositories=["acme/bakery", "acme/shop"], total=2)
    placed = place(text, desk)
    if not taken:
        assert placed.reason == "repository-missing"
        assert "evil" not in str(placed.problems)
        return
    assert placed.specs[0].check.spec is not None
    assert placed.specs[0].check.spec.repo == taken
    assert desk.asked[-1][1] == taken
    assert "acme/shop was taken from the words of your letter" in placed.notes[-1]["message"]


def test_reply_that_points_at_a_file_that_nobody_read_is_no_answer() -> None:
    message = mail("See attached.")
    unread = Decision(MessageState.INVALID, "attachment-unread")
    desk = Desk("answered")
    assert answer_question(envelope(), message, unread, desk) is None  # type: ignore[arg-type]
    assert desk.asked == []


def test_letter_that_may_be_for_several_repositories_is_asked_for_which() -> None:
    placed = place("I wish for a basket.", Desk(repositories=["acme/bakery", "acme/shop"], total=30))
    assert (placed.state, placed.reason) == (MessageState.INVALID, "repository-missing")
    told = placed.problems[0]["message"]
    assert "'repository: acme/bakery'" in told
    assert "acme/bakery, acme/shop and 28 more" in told


def test_sender_of_no_repository_is_told_whom_to_ask() -> None:
    placed = place("I wish for a basket.", Desk())
    assert placed.reason == "repository-missing"
    assert "none is set up for you" in placed.problems[0]["message"]


@pytest.mark.parametrize(
    ("policy", "default", "taken"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_project_decides_whether_letters_are_planned_and_where_it_is_silent_the_function(
    policy: bool | None, default: bool, taken: bool
) -> None:
    placed = place("I wish for a basket.", Desk(repo="acme/shop", planner=policy, total=1), plans_letters=default)
    assert placed.reason == ("ok" if taken else "planning-off")


def test_what_was_not_read_is_told_beside_why_the_letter_stays() -> None:
    message = mail("See the file.").model_copy(update={"problems": ("'wishes.pdf' was not read.",)})
    desk = Desk(repo="acme/shop", planner=False, total=1)
    placed = place_letters(envelope(), message, decision(message), desk, plans_letters=True)  # type: ignore[arg-type]
    assert placed.reason == "planning-off"
    assert placed.problems[1]["message"] == "'wishes.pdf' was not read."


def test_files_that_come_along_need_no_planner() -> None:
    text = b"meta: {project: p, repo: o/r}\nfiles: [{path: a.py, content: x}]\n"
    attached = SpecAttachment(name="spec.yaml", format="yaml", content=text)
    message = mail("", files=(attached,))
    placed = place_letters(
        envelope(), message, decision(message), Desk(repo="o/r", planner=False, total=1), plans_letters=True  # type: ignore[arg-type]
    )  # fmt: skip
    assert placed.state is MessageState.ACCEPTED


def test_planned_specification_asks_the_database_nothing() -> None:
    desk = Desk()
    check: SpecCheck = check_spec(YAML, "spec.yaml")
    planned = Decision(
        MessageState.ACCEPTED,
        "ok",
        specs=(CheckedSpec(SpecAttachment(name="spec.yaml", format="yaml", content=YAML), check),),
    )
    assert place_letters(envelope(), mail("x"), planned, desk, plans_letters=False) == planned  # type: ignore[arg-type]
    assert desk.asked == []


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize(("text", "unread"), [("", ()), ("See the file.", ("wishes.pdf",))])
def test_plain_words_are_offered_only_where_they_are_planned(text: str, unread: tuple[str, ...], planned: bool) -> None:
    message = mail(text).model_copy(update={"unread": unread})
    checks = [CheckedSpec(spec, check_spec(spec.content, spec.name)) for spec in message.specs]
    refused = decide(message, checks, None)
    desk = Desk(repo="acme/shop", planner=planned, total=1)
    placed = place_letters(envelope(), message, refused, desk, plans_letters=True)  # type: ignore[arg-type]
    assert placed.reason == refused.reason
    assert ("plain words" in placed.problems[0]["message"]) is planned


def test_letter_that_nobody_plans_is_answered_with_its_own_repository() -> None:
    placed = place("repository: acme/shop\n\nA basket.", Desk(repo="acme/shop", planner=False, total=1))
    assert "'repo: acme/shop'" in placed.problems[0]["message"]
