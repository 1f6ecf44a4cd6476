"""`aicd gmail`: authorise a mailbox, check that its credentials work, and say how its senders are proven."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from controlplane.errors import AicdError, CallerError
from local.commands.operate import open_administration
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("authorize")
def authorize(
    client_secrets: Annotated[
        Path | None,
        typer.Option(help="The OAuth client's JSON (type Desktop app). Default: GMAIL_CLIENT_ID, GMAIL_CLIENT_SECRET."),
    ] = None,
    mailbox: Annotated[str, typer.Option(help="Whose consent it must be; anybody else's is refused.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The loopback port; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page, or only print it.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the consent.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Walk through Google's consent for one mailbox, with the two smallest scopes: read raw mail, and send.

    The refresh token is printed once and kept nowhere: put it into your secret store.
    """
    from functions._shared.gmail.credentials import SCOPES
    from functions._shared.settings import GMAIL_API
    from local.consent import ask_consent, fetch_address, read_client

    client = read_client(client_secrets, os.environ)

    def open_page(url: str) -> None:
        say(f"Open this page as the owner of the mailbox, and agree:\n\n{url}\n")
        if browser and sys.stderr.isatty():
            webbrowser.open(url)

    tokens = ask_consent(client, SCOPES, open_page, login_hint=mailbox, port=port, timeout_seconds=timeout)
    address = fetch_address(os.environ.get("GMAIL_API_ENDPOINT") or GMAIL_API, tokens)
    if mailbox and address != mailbox.lower():
        raise CallerError(
            f"The consent is of {address}, not of {mailbox}; its token was thrown away.",
            fix="Choose the right account on Google's page, or leave --mailbox out.",
            code="other-mailbox",
        )
    token = tokens.refresh_token.get_secret_value()
    if as_json:
        scopes = sorted(tokens.scopes)
        print_json({"mailbox": address, "client_id": client.client_id, "refresh_token": token, "scopes": scopes})
        return
    print(f"GMAIL_CLIENT_ID={client.client_id}\nGMAIL_REFRESH_TOKEN={token}")
    say(f"This opens {address}. With several mailboxes, put it into GMAIL_REFRESH_TOKENS instead; see docs/gmail.md.")


@app.command("check")
def check(
    mailboxes: Annotated[list[str], typer.Argument(metavar="MAILBOX...", help="The mailboxes to try.")],
    as_json: AsJson = False,
) -> None:
    """Try the credentials in the environment (GMAIL_…) on each mailbox; with GMAIL_TOPIC, its watch, too."""
    found = [_try(mailbox) for mailbox in mailboxes]
    if as_json:
        print_json({"mailboxes": found})
    else:
        for one in found:
            good = f"works, history {one['history_id']}{', watched' if one['watched'] else ''}"
            print(f"{one['mailbox']}: " + (f"{one['error']} Fix: {one['fix']}" if one["error"] else good))
    if any(one["error"] for one in found):
        raise typer.Exit(1)


@app.command("proof")
def proof(
    mailbox: Annotated[str, typer.Argument(help="A mailbox that is there already.")],
    verify_dkim: Annotated[
        bool | None,
        typer.Option(
            "--verify-dkim/--no-verify-dkim", help="Where its server says nothing of DMARC, prove mail by DKIM."
        ),
    ] = None,
    authserv_id: Annotated[str | None, typer.Option(help="Whose Authentication-Results are believed in it.")] = None,
    as_for_all: Annotated[
        bool, typer.Option("--as-for-all", help="What the functions' settings say, in both.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say how the senders of one mailbox are proven, or show it. What is not given stays as it is. Needs DB_URL."""
    settings: dict[str, bool | str | None] = {"verify_dkim": None, "authserv_id": None} if as_for_all else {}
    settings |= {} if verify_dkim is None else {"verify_dkim": verify_dkim}
    settings |= {} if authserv_id is None else {"authserv_id": authserv_id}
    with open_administration() as operator:
        made = operator.configure_mailbox(mailbox, settings)
    if as_json:
        print_json(made)
        return
    dkim = {True: "by its own DKIM signature, too", False: "by DMARC alone", None: "as AICD_VERIFY_DKIM says"}
    believed = made["authserv_id"] or "the server of AICD_TRUSTED_AUTHSERV_ID"
    say(f"{made['email']}: mail is proven {dkim[made['verify_dkim']]}; {believed} is believed.")


def _try(mailbox: str) -> dict[str, str | bool]:
    from functions._shared.gmail.client import GmailClient
    from functions._shared.settings import Environment, GoogleSettings

    environment = Environment(os.environ)
    settings = GoogleSettings.read(environment)
    environment.check()
    topic = environment.optional("GMAIL_TOPIC")
    client = GmailClient(settings, mailbox)
    said: dict[str, str | bool] = {"mailbox": mailbox, "history_id": "", "watched": False, "error": "", "fix": ""}
    try:
        said["history_id"] = client.fetch_history_id()
        if topic:
            client.watch(topic)
            said["watched"] = True
    except AicdError as error:
        said |= {"error": error.message, "fix": error.fix}
    return said
