"""Thanks are not planned, and no wish is taken for thanks."""

from __future__ import annotations

import pytest

from functions._shared.intake.courtesy import is_courtesy


@pytest.mark.parametrize(
    "text",
    [
        "Thank you!",
        "Thanks a lot, great work.\n\nBest regards\nAda",
        "Vielen Dank für die schnelle Arbeit!",
        "Merci beaucoup",
        "Perfect.",
        "ok",
        "Got it, thanks. We will look at it.",
        "👍",
        "Danke, sieht super aus!\n\nGrüße\nGrace Hopper",
        "Muchas gracias por el trabajo",
    ],
)
def test_thanks_ask_for_nothing(text: str) -> None:
    assert is_courtesy(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "Thanks! Please also add a logout button.",
        "Thank you. Could you change the colour?",
        "Thanks, but the basket is empty.",
        "Great, now the same for invoices and credit notes and delivery slips",
        "Danke. Bitte noch die Anmeldung ändern.",
        "Add a logout button",
        "1. yes\n2. no",
        "repository: acme/shop",
        "42",
        "Thanks " * 50,
        "Perfect is what I want the totals to be",
    ],
)
def test_what_may_be_a_wish_is_not_thanks(text: str) -> None:
    assert not is_courtesy(text)
