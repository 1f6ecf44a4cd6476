"""How settings become the real parts. Called by entry points only.

What a part needs is imported with it: a function's first answer waits for everything that is imported before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions._shared.callers.oidc import OidcProof
from functions._shared.callers.proof import CallerProof
from functions._shared.settings import CallerSettings, Environment, GoogleSettings, SupabaseSettings

if TYPE_CHECKING:
    from controlplane.store import FunctionsStore
    from functions._shared.gmail.client import GmailClient
    from functions._shared.gmail.port import Mailbox
    from functions._shared.intake.reading import MailboxProof, Reader
    from functions._shared.intake.sync import Intake
    from functions._shared.ports import IntakeStore

# The right side of our Message-IDs. It need not resolve, but two deployments that share a mailbox must differ in it.
NOTICE_DOMAIN = "notices.aicd.invalid"


def read_caller_proof(environment: Environment) -> CallerProof:
    """The two callers of dispatch, notify and tick. Call `environment.check()` before the proof is used."""
    scheduler = CallerSettings.read(environment, "AICD_SCHEDULER")
    return CallerProof(OidcProof(scheduler), environment.secret("AICD_OUTBOX_SECRET"))


def open_store(settings: SupabaseSettings) -> FunctionsStore:
    """The client that speaks to Supabase as `aicd_functions`. Nothing is sent until a verb is called."""
    from controlplane.store import Connection, FunctionsStore, connect

    connection = Connection(url=settings.url, publishable_key=settings.publishable_key, token=settings.token)
    return FunctionsStore(connect(connection))


def open_mailboxes(settings: GoogleSettings) -> Callable[[str], Mailbox]:
    """The client of each mailbox, made once and kept."""
    from functions._shared.gmail.client import GmailClient

    clients: dict[str, GmailClient] = {}
    return lambda email: clients.setdefault(email.lower(), GmailClient(settings, email))


def open_intake(
    store: IntakeStore,
    settings: GoogleSettings,
    authserv_id: str,
    *,
    plans_letters: bool = True,
    verifies_dkim: bool = False,
    notice_domain: str = NOTICE_DOMAIN,
) -> Intake:
    """Everything that taking mail in needs."""
    from functions._shared.intake.sync import Intake

    rules = MailRules(authserv_id, verifies_dkim, notice_domain)
    open_reader = functools.partial(_open_reader, rules)
    return Intake(store, open_mailboxes(settings), open_reader, plans_letters)


@dataclass(frozen=True)
class MailRules:
    """How mail is read here, as far as its mailbox says nothing else."""

    authserv_id: str
    verifies_dkim: bool
    notice_domain: str


def _open_reader(rules: MailRules, mailbox_email: str, proof: MailboxProof | None = None) -> Reader:
    from controlplane.specfile import check_spec
    from functions._shared.intake.reading import Reader
    from functions._shared.mail import read_message
    from functions._shared.mail.signature import SignatureProof

    says = proof.verifies_dkim if proof else None
    verifies_dkim = rules.verifies_dkim if says is None else says
    read_mail = functools.partial(
        read_message,
        trusted_authserv_id=(proof and proof.authserv_id) or rules.authserv_id,
        own_addresses=frozenset({mailbox_email}),
        prove_signature=SignatureProof().prove if verifies_dkim else None,
        notice_domain=rules.notice_domain,
    )
    return Reader(read_mail=read_mail, check_spec=check_spec)
