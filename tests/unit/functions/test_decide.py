"""What becomes of a mail, decided from values alone."""

from __future__ import annotations

import hashlib

import pytest

from controlplane.message import Message, SpecAttachment
from controlplane.plan import Plan, Sprint
from controlplane.spec import Problem, Spec, SpecCheck
from controlplane.specfile import check_spec
from controlplane.states import MessageState
from functions._shared.intake.decide import CheckedSpec, choose_candidates, clean, decide, is_listed

SENDERS = ("ada@example.org", "*@team.example")


def attachment(content: bytes = b"x", name: str = "spec.yaml", format: str = "yaml") -> SpecAttachment:  # noqa: A002
    return SpecAttachment.model_validate({"name": name, "format": format, "content": content})


def message(*specs: SpecAttachment, sender: str = "ada@example.org", accepted: bool = True) -> Message:
    return Message(sender=sender, accepted=accepted, reason="ok" if accepted else "dmarc-fail", specs=specs)


def valid(planned: bool = True, content: bytes = b"x") -> CheckedSpec:
    spec = Spec(
        project="p",
        repo="o/r",
        format="yaml",
        sha256=hashlib.sha256(content).hexdigest(),
        plan=Plan(sprints=(Sprint(label="S1"),)) if planned else None,
    )
    return CheckedSpec(attachment(content), SpecCheck(format="yaml", spec=spec))


def broken(text: str = "no sprint") -> CheckedSpec:
    problem = Problem(path="planning", line=3, column=7, message=text)
    return CheckedSpec(attachment(), SpecCheck(format="yaml", problems=(problem,)))


@pytest.mark.parametrize(
    ("sender", "listed"),
    [
        ("ada@example.org", True),
        ("ADA@Example.ORG", True),
        ("bob@example.org", False),
        ("anyone@team.example", True),
        ("anyone@sub.team.example", False),
        ("anyone@notteam.example", False),
        ("", False),
        ("team.example", False),
    ],
)
def test_sender_is_listed_by_address_or_whole_domain(sender: str, listed: bool) -> None:
    assert is_listed(sender, SENDERS) is listed


def test_unproven_sender_is_refused_whatever_he_sends() -> None:
    decision = decide(message(attachment(), accepted=False), [valid()], SENDERS)
    assert (decision.state, decision.reason, decision.specs) == (MessageState.REFUSED, "dmarc-fail", ())


def test_proven_stranger_is_refused_even_with_a_good_specification() -> None:
    decision = decide(message(attachment(), sender="eve@evil.example"), [valid()], SENDERS)
    assert (decision.state, decision.reason) == (MessageState.REFUSED, "unknown-sender")


def test_list_too_long_to_hand_over_leaves_the_sender_to_the_database() -> None:
    assert decide(message(sender="eve@evil.example"), [valid()], None).state is MessageState.ACCEPTED


def test_mail_without_specification_is_answered_with_how_to_write_one() -> None:
    decision = decide(message(), [], SENDERS)
    assert decision.state is MessageState.INVALID
    assert "No specification was found" in decision.problems[0]["message"]


def test_one_broken_specification_stops_the_whole_mail_and_names_its_place() -> None:
    decision = decide(message(), [valid(), broken("no sprint")], SENDERS)
    assert decision.state is MessageState.INVALID
    assert decision.problems == (
        {"attachment": "spec.yaml", "path": "planning", "line": 3, "column": 7, "message": "no sprint"},
    )


def test_letter_is_taken_in_like_any_specification() -> None:
    assert decide(message(), [valid(planned=False)], SENDERS).state is MessageState.ACCEPTED


def letter(text: str, **facts: object) -> tuple[Message, list[CheckedSpec]]:
    own = attachment(text.encode(), "mail text", "text")
    check = SpecCheck(
        format="text", spec=Spec(project="", repo="", format="text", sha256="0" * 64), notes=("A letter.",)
    )
    return message(own).model_copy(update={"body_text": text} | facts), [CheckedSpec(own, check)]


UNREAD = {"unread": ("Spec.docx",), "problems": ("'Spec.docx' was not read.",)}


def test_letter_that_points_at_a_file_that_nobody_read_is_answered() -> None:
    decision = decide(*letter("Please find the specification attached.", **UNREAD), SENDERS)
    assert (decision.state, decision.reason) == (MessageState.INVALID, "attachment-unread")
    assert "'Spec.docx' cannot be read" in decision.problems[0]["message"]
    assert decision.problems[1]["message"] == "'Spec.docx' was not read."


def test_letter_that_points_at_a_file_is_taken_in_where_none_was_left_unread() -> None:
    assert decide(*letter("Please find the specification attached."), SENDERS).state is MessageState.ACCEPTED


def test_letter_that_is_a_wish_is_taken_in_and_its_receipt_tells_what_was_not_read() -> None:
    found = letter("Please add a price list to the shop.", left_out=("2 lines were not read.",), **UNREAD)
    decision = decide(*found, SENDERS)
    assert (decision.state, decision.problems) == (MessageState.ACCEPTED, ())
    assert [(note["message"], note["note"]) for note in decision.notes] == [
        ("'Spec.docx' was not read.", True),
        ("2 lines were not read.", True),
    ]


def test_keys_that_nobody_knows_are_told_with_the_name_of_the_file() -> None:
    known = valid()
    checked = CheckedSpec(known.attachment, known.check.model_copy(update={"notes": ("'sprnts' is not a key.",)}))
    [note] = decide(message(), [checked], SENDERS).notes
    assert (note["attachment"], note["message"]) == ("spec.yaml", "'sprnts' is not a key.")


def test_cut_lines_are_told_beside_what_is_wrong() -> None:
    mail = message().model_copy(update={"left_out": ("2 lines were not read.",)})
    for decision in (decide(mail, [broken()], SENDERS), decide(mail, [], SENDERS)):
        assert [note["message"] for note in decision.notes] == ["2 lines were not read."]
        assert len(decision.problems) == 1


def test_keys_that_nobody_knows_are_told_beside_what_is_wrong() -> None:
    file = attachment(b"meta: {project: p, repo: o/r, brnch: x, branch: a b}")
    decision = decide(message(file), [CheckedSpec(file, check_spec(file.content, file.name))], None)
    assert decision.reason == "specification-invalid"
    assert [(note["attachment"], "'branch'" in note["message"]) for note in decision.notes] == [("spec.yaml", True)]


def test_notes_of_a_hostile_number_are_bounded() -> None:
    found = letter("Please add a price list to the shop.", left_out=("n" * 9_999,) * 99)
    decision = decide(*found, SENDERS)
    assert len(decision.notes) == 15
    assert len(str(decision.notes)) < 20_000


def test_valid_specifications_are_all_taken_in() -> None:
    decision = decide(message(), [valid(), valid(content=b"y")], SENDERS)
    assert decision.state is MessageState.ACCEPTED
    assert len(decision.specs) == 2


def test_more_specifications_than_a_mail_may_carry_are_sent_back() -> None:
    decision = decide(message(), [valid()] * 11, SENDERS)
    assert (decision.state, decision.reason) == (MessageState.INVALID, "too-many-specifications")


def test_note_in_plain_text_beside_a_specification_is_not_read_as_one() -> None:
    found = choose_candidates(message(attachment(b"a"), attachment(b"note", "note.txt", "text")))
    assert [spec.content for spec in found] == [b"a"]


def test_same_content_attached_twice_is_one_specification() -> None:
    found = choose_candidates(message(attachment(b"a", "one.yaml"), attachment(b"b"), attachment(b"a", "two.yaml")))
    assert [(spec.name, spec.content) for spec in found] == [("one.yaml", b"a"), ("spec.yaml", b"b")]


def test_problems_of_a_hostile_size_are_bounded_and_clean() -> None:
    many = CheckedSpec(
        attachment(name="n" * 10_000 + ".yaml"),
        SpecCheck(
            format="yaml", problems=tuple(Problem(path="\x00" * 999, message="\ud800x" * 9_999) for _ in range(99))
        ),
    )
    decision = decide(message(), [many], SENDERS)
    assert len(decision.problems) == 25
    text = str(decision.problems)
    assert len(text) < 30_000
    assert "\\x00" not in text
    assert "\\ud800" not in text


def test_cleaned_text_keeps_words_and_drops_what_a_database_cannot_take() -> None:
    assert clean(" a\x00b\r\nc\ud83dd ", 100) == "a b \nc d"
