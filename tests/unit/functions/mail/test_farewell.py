"""The end of a letter: what is surely a signature goes, what may be a wish stays, and each cut is told."""

from __future__ import annotations

import pytest

from controlplane.message import Message
from functions._shared.mail import read_message
from functions._shared.mail.reply import read_reply

WISH = "Please add a price list to the shop."


def read(text: str, headers: str = "Subject: Price list\r\n") -> Message:
    raw = f"From: ann@good.org\r\n{headers}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    return read_message(raw.encode())


WISHES = {
    "a path": f"{WISH}\n\n/prices\nshows every product.\n\n/basket\nshows the sum.",
    "a path at the end": f"{WISH} It is found at\n\n/prices",
    "a path and its name": f"{WISH}\n\n/prices\nAll products",
    "greetings to visitors": f"{WISH}\n\nGrüße an alle Besucher\nsollen oben stehen, mit dem Namen.",
    "a line between wishes": f"{WISH}\n\n--\n\nA search box, which filters while one types.\n\nIt ignores case.",
    "a line between short wishes": f"{WISH}\n--\nPlease add a search box",
    "a list below a line": f"{WISH}\n--\n- a search box\n- a basket",
    "thanks and another wish": f"{WISH}\n\nThanks, please make it blue\nand round",
    "thanks and a wish below": f"{WISH}\n\nThanks,\nplease also make it blue",
    "a letter in the letter": f"The shop writes to each customer. It ends with\n\nBest regards,\nthe shop\n\n{WISH}",
    "firms": "Sort these firms by name.\nSony\nLG\nSamsung",
    "what the shop sent": "The page says who wrote.\n\nSent from the warehouse",
    "a postscript": f"{WISH}\n\nBest regards\nAnn\n\nPS: The sum must be shown, too",
    "thanks alone": f"{WISH}\n\nThank you!",
    "a disclaimer that is wished for": "Each page ends with this.\n\nThis mail is intended solely for you.",
}


@pytest.mark.parametrize("text", WISHES.values(), ids=WISHES.keys())
def test_words_that_may_be_a_wish_stay(text: str) -> None:
    message = read(text)
    assert (message.body_text, message.left_out) == (text, ())


ENDS = {
    "delimiter": "-- \nAnn Example\nHead of Sales",
    "delimiter without its space": "--\nAnn Example\nacme GmbH\n+49 30 1234",
    "farewell": "Best regards,\nAnn Example",
    "farewell and name": "Thanks, Ann",
    "German": "Mit freundlichen Grüßen\n\nAnn Beispiel\nVertrieb",
    "two languages": "Mit freundlichen Grüßen / Best regards\nAnn",
    "Swedish": "Vänliga hälsningar\nAnn",
    "iPhone": "Sent from my iPhone",
    "German iPhone": "Von meinem iPhone gesendet",
    "French telephone": "Envoyé de mon téléphone",
    "Outlook": "Get Outlook for iOS<https://aka.ms/x>",
    "Proton": "Sent with Proton Mail secure email.",
    "farewell and iPhone": "Best regards\nAnn\n\nVon meinem iPad gesendet",
    "disclaimer": "Kind regards,\n\nAnn Example\nT: +49 30 1234\n\n__________\nThis e-mail is "
    "confidential and intended solely for the addressee. If you are not the intended recipient, please delete it.",
    "picture": "Best regards\nAnn\n[cid:image001.png@01DA]",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_end_of_a_letter_is_cut(end: str) -> None:
    assert read(f"{WISH}\n\n{end}").body_text == WISH


def test_last_delimiter_is_the_one_that_counts() -> None:
    text = f"{WISH}\n--\nA search box, which filters.\n-- \nAnn"
    assert read(text).body_text == f"{WISH}\n--\nA search box, which filters."


def test_cut_is_told_with_its_first_line() -> None:
    assert read(f"{WISH}\n\nBest regards\nAnn\nacme").left_out == (
        "3 lines from 'Best regards' on were taken for a signature and not read.",
    )


def test_thanks_with_a_name_is_a_courtesy_that_is_not_told() -> None:
    reply = read_reply(f"{WISH}\n\nThanks,\nAda", is_reply=False)
    assert (reply.text, reply.left_out) == (WISH, ())


def test_signature_below_its_own_delimiter_is_told_only_when_it_is_long() -> None:
    assert read(f"{WISH}\n\n-- \nAnn Example\nacme GmbH\n+49 30 1234").left_out == ()
    assert len(read(f"{WISH}\n\n-- \n" + "Ann\n" * 8).left_out) == 1


def test_name_of_a_telephone_is_not_worth_telling() -> None:
    assert read(f"{WISH}\n\nSent from my iPhone").left_out == ()


def test_signed_text_is_read_without_its_armour() -> None:
    signature = "-----BEGIN PGP SIGNATURE-----\n\niQIzBAEB\n=abcd\n-----END PGP SIGNATURE-----"
    text = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{WISH}\n- -- two\n{signature}\n"
    assert read(text).body_text == f"{WISH}\n-- two"


def test_secret_text_is_told() -> None:
    message = read("-----BEGIN PGP MESSAGE-----\n\nhQEMA\n=abcd\n-----END PGP MESSAGE-----\n")
    assert (message.specs, message.body_text) == ((), "")
    assert "encrypted" in message.problems[0]


QUOTES = {
    "two lines of a form": "An export with these fields:\n\nFrom: date picker\nTo: date picker\n\nIt is a CSV file.",
    "a heading in Polish": "The page shows\n\nData: the day of the order\n\nand the sum.",
    "what Bob wrote": "The log shows lines like\n\nOn Mon, Nov 30, 2026 at 9:10 Bob <bob@x.org> wrote:\n\nand words.",
    "a mail as an example": "It sends\n\nFrom: shop\nTo: customer\nSubject: your order\n\nwith the sum.",
}


@pytest.mark.parametrize("text", QUOTES.values(), ids=QUOTES.keys())
def test_sentences_that_look_like_a_quotation_stay_in_a_mail_that_answers_nothing(text: str) -> None:
    assert read(text).body_text == text


def test_two_lines_of_a_form_stay_in_an_answer_too() -> None:
    text = QUOTES["two lines of a form"]
    assert read(text, "In-Reply-To: <1@x>\r\nSubject: Re: x\r\n").body_text == text


@pytest.mark.parametrize("headers", ["In-Reply-To: <1@x>\r\n", "References: <1@x>\r\n", "Subject: AW: x\r\n"])
def test_quotation_without_marks_is_cut_from_an_answer_and_told(headers: str) -> None:
    message = read("In euros.\n\nVon: aicd\nGesendet: Montag\nAn: Ann\nBetreff: x\n\nWhich currency?", headers)
    assert message.body_text == "In euros."
    assert message.left_out == ("5 lines from 'Von: aicd' on were taken for quoted mail and not read.",)


def test_answers_between_quoted_lines_are_kept_below_a_greeting() -> None:
    text = "Hello, see below.\n\nOn Mon, 30 Nov 2026 aicd <a@x.org> wrote:\n> 1. Currency?\nEuros.\n> 2. Digits?\nTwo."
    assert read(text, "In-Reply-To: <1@x>\r\n").body_text.split() == ["Hello,", "see", "below.", "Euros.", "Two."]


def test_lines_marked_as_quoted_in_a_new_mail_are_told() -> None:
    message = read("The price is shown as\n> 3 euros\nand not as a number.")
    assert "> 3" not in message.body_text
    assert message.left_out == ("1 line(s) that begin with '>' were taken for quoted mail and not read.",)
