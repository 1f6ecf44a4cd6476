"""Letters that only say where to look, in the words of several languages, and letters that ask for something."""

from __future__ import annotations

import time

import pytest

from functions._shared.mail.pointing import is_mere_pointer


@pytest.mark.parametrize(
    "text",
    [
        "Hello,\n\nplease find the specification attached.",
        "Hi, please build what is in the attached document for acme/shop. Thanks!",
        "see attached",
        "spec is attached",
        "Spec below.",
        "fwd",
        "Hallo,\n\nanbei die Spezifikation. Bitte umsetzen.\n\nViele Grüße\nAnn",
        "Bonjour, veuillez trouver ci-joint le document.",
        "repository: acme/shop\n\nSee Wishes.docx.",
    ],
)
def test_letter_that_only_points_at_a_file_is_known(text: str) -> None:
    assert is_mere_pointer(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Please add a price list.",
        "Please build a shop.",
        "Please add a price list to the shop, as in the attached document.",
        "Bitte eine Preisliste einbauen, siehe Anhang.",
        "See attached. The basket must show the sum, and an empty one says so.",
        "The attached picture shows which button does nothing: it should send the form.",
        "attached " * 50,
    ],
)
def test_letter_that_asks_for_something_is_a_wish(text: str) -> None:
    assert not is_mere_pointer(text)


def test_one_endless_word_is_looked_at_in_time() -> None:
    started = time.process_time()
    assert not is_mere_pointer("w" * 1_000_000)
    assert time.process_time() - started < 1
