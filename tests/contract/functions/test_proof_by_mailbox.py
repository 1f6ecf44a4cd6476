"""Mail whose proof is away for now, and mailboxes that say themselves how their senders are proven."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.message import KEY_UNAVAILABLE
from functions._shared.gmail.client import GmailClient
from functions._shared.gmail.port import RawMail
from functions._shared.intake.reading import MailHeldBack, Reader
from functions._shared.intake.sync import Intake, sync_mailbox
from functions._shared.settings import Environment, GoogleSettings
from functions._shared.wiring import open_intake
from local.administration import Administration
from tests.contract.functions.test_letters import messages, watched

__all__ = ["watched"]


class Dns:
    """A reader of mail for which the key of mails that say `signed` can be asked for, or not."""

    def __init__(self, line: Any) -> None:
        self.is_away = True
        self.google = GoogleSettings.read(Environment(line.environment))
        self.honest = open_intake(line.store, self.google, "mx.google.com").reader(line.mailbox)

    def read(self, raw: bytes) -> Any:
        message = self.honest.read_mail(raw)
        if b"signed" not in raw or not self.is_away:
            return message
        return message.model_copy(update={"accepted": False, "reason": KEY_UNAVAILABLE})


class Aged(GmailClient):
    """The mailbox, with its mail as old as a test wants it."""

    age = timedelta(0)

    def fetch_raw(self, gmail_id: str) -> RawMail:
        found = super().fetch_raw(gmail_id)
        assert found.received_at is not None
        return replace(found, received_at=datetime.now(UTC) - self.age)


def opened(line: Any, dns: Dns) -> tuple[Intake, Aged]:
    gmail = Aged(dns.google, line.mailbox)
    return Intake(line.store, lambda _: gmail, lambda _: Reader(dns.read, dns.honest.check_spec)), gmail


def cursor(line: Any) -> int:
    [(history_id,)] = line.rows("select history_id from public.mailboxes")
    return int(history_id)


def test_mail_whose_key_is_away_is_held_back_and_later_mail_goes_on(watched: Any, letter: Any) -> None:
    dns = Dns(watched)
    intake, _ = opened(watched, dns)
    before = cursor(watched)
    for number in range(4):
        watched.deliver(letter(subject=f"signed {number}"))
    watched.deliver(letter(subject="plain"))
    with pytest.raises(MailHeldBack):
        sync_mailbox(watched.mailbox, intake)
    assert messages(watched) == [("ACCEPTED", "accepted")]
    assert cursor(watched) == before
    dns.is_away = False
    sync_mailbox(watched.mailbox, intake)
    assert messages(watched) == [("ACCEPTED", "accepted")] * 5
    assert cursor(watched) > before


def test_mail_whose_key_stays_away_for_a_day_is_refused_and_recorded(watched: Any, letter: Any) -> None:
    intake, gmail = opened(watched, Dns(watched))
    gmail.age = timedelta(hours=25)
    watched.deliver(letter(subject="signed"))
    sync_mailbox(watched.mailbox, intake)
    assert messages(watched) == [("REFUSED", "dkim-key-unavailable")]


def test_mail_of_a_stranger_whose_key_is_away_holds_nobody_up(watched: Any, letter: Any) -> None:
    intake, _ = opened(watched, Dns(watched))
    watched.deliver(letter(subject="signed", sender="eve@evil.example"))
    sync_mailbox(watched.mailbox, intake)
    assert messages(watched) == [("REFUSED", "dkim-key-unavailable")]


def test_mail_of_a_stranger_holds_nobody_up_where_the_list_of_senders_is_too_long_to_be_handed_over(
    watched: Any, letter: Any
) -> None:
    intake, _ = opened(watched, Dns(watched))
    watched.database.execute(
        "insert into public.senders (pattern) select 'p' || n || '@example.com' from generate_series(1, 501) as n"
    )
    watched.deliver(letter(subject="signed", sender="eve@evil.example"))
    watched.deliver(letter(subject="plain"))
    sync_mailbox(watched.mailbox, intake)
    assert messages(watched) == [("REFUSED", "dkim-key-unavailable"), ("ACCEPTED", "accepted")]
    watched.deliver(letter(subject="signed"))
    with pytest.raises(MailHeldBack):
        sync_mailbox(watched.mailbox, intake)


def test_flood_of_mail_that_is_held_back_keeps_no_other_from_its_turn(watched: Any, letter: Any) -> None:
    """A hundred forged mails were as many as a pass fetches: what came after them waited for a day."""
    dns = Dns(watched)
    intake, _ = opened(watched, dns)
    before = cursor(watched)
    for number in range(25):
        watched.deliver(letter(subject=f"signed {number}"))
    watched.deliver(letter(subject="plain"))
    read: list[int] = []
    honest = dns.read

    def count(raw: bytes) -> Any:
        read.append(len(read))
        return honest(raw)

    dns.read = count  # type: ignore[method-assign]
    for held in (10, 20):
        with pytest.raises(MailHeldBack):
            sync_mailbox(watched.mailbox, intake)
        assert watched.rows("select count(*) from private.fetch_failures where failures = 0") == [(held,)]
    with pytest.raises(MailHeldBack):
        sync_mailbox(watched.mailbox, intake)
    assert messages(watched) == [("ACCEPTED", "accepted")]
    assert len(read) == 10 + 10 + 5 + 1 + 5, "new mail first, then those that waited longest"
    assert cursor(watched) == before
    dns.is_away = False
    sync_mailbox(watched.mailbox, intake)
    assert messages(watched) == [("ACCEPTED", "accepted")] * 26
    assert cursor(watched) > before


def test_mailbox_that_believes_another_server_does_not_believe_googles(watched: Any, letter: Any) -> None:
    client = watched.function("gmail_push")
    with Administration(watched.world.db_url) as operator:
        operator.configure_mailbox(watched.mailbox, {"authserv_id": "mx.example.org"})
        watched.deliver(letter())
        assert watched.push(client).status_code == 204
        operator.configure_mailbox(watched.mailbox, {"verify_dkim": True})
        watched.deliver(letter())
        assert watched.push(client).status_code == 204
        operator.configure_mailbox(watched.mailbox, {"authserv_id": None, "verify_dkim": None})
        watched.deliver(letter())
        assert watched.push(client).status_code == 204
    assert messages(watched) == [
        ("REFUSED", "no-authentication-results"),
        ("REFUSED", "dkim-no-signature"),
        ("ACCEPTED", "accepted"),
    ]


def test_own_mail_is_known_by_the_domain_of_our_notices(watched: Any, letter: Any) -> None:
    own = letter()
    del own["Message-ID"]
    own["Message-ID"] = "<5d0c7d1e-0000-4000-8000-000000000001@notices.acme.example>"
    watched.deliver(own)
    watched.push(watched.function("gmail_push", AICD_NOTICE_DOMAIN="notices.acme.example"))
    assert messages(watched) == [("REFUSED", "own-mail")]
