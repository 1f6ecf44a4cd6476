"""Every outgoing call of the functions, on their wired parts, each behind a proxy of its own: how it is made, what it
leaves behind, and how often it may be tried."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.specfile import check_spec
from controlplane.store import Connection, FunctionsStore, connect
from functions._shared.callers.oidc import OidcProof
from functions._shared.gmail.client import GmailClient
from functions._shared.settings import CallerSettings, Environment, GitHubSettings, GoogleSettings, SupabaseSettings
from functions._shared.workflows.github import GitHubWorkflows
from tests.contract.functions.conftest import REPO, SENDER, SPEC, Line, letter
from tests.unreliable import KINDS, Unreliable

# So long a part waits for its upstream here, instead of the half minute of the cloud.
PATIENCE_SECONDS = 1
GMAIL, STORE = 3, 4
SPOIL_THE_ANSWER = ("truncated", "garbage", "page", "302")


@dataclass
class Place:
    """The line, and its parts wired to proxies of their own."""

    line: Line
    proxies: ExitStack
    mailbox_id: str

    def proxy(self, upstream: str) -> Unreliable:
        made = Unreliable(upstream)
        self.proxies.callback(made.close)
        return made

    def environment(self, **changes: str) -> Environment:
        return Environment(self.line.environment | changes)

    def gmail(self, **changes: str) -> GmailClient:
        settings = GoogleSettings.read(self.environment(**changes))
        return GmailClient(settings, self.line.mailbox, (PATIENCE_SECONDS, PATIENCE_SECONDS))

    def store(self, url: str) -> FunctionsStore:
        read = SupabaseSettings.read(self.environment())
        return FunctionsStore(
            connect(
                Connection(
                    url=url, publishable_key=read.publishable_key, token=read.token, timeout_seconds=PATIENCE_SECONDS
                )
            )
        )

    def github(self, url: str) -> GitHubWorkflows:
        return GitHubWorkflows(GitHubSettings.read(self.environment(GITHUB_API_URL=url)), 2)


@dataclass
class Row:
    """One outgoing call. `act` makes it, with a token of its own for each kind; `check` asserts what it left behind
    when the fault was over, and may be nothing for a call that only reads."""

    name: str
    proxy: Unreliable
    path: str
    tries: int
    act: Callable[[str], Any]
    check: Callable[[str], None] = lambda _: None
    # What the caller does later, where that is not the same once more.
    again: Callable[[str], Any] | None = None
    # Kinds whose answer cannot be told from a good one.
    unseen: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = KINDS
    hands_wish_on: bool = True


def google_rows(place: Place) -> list[Row]:
    return [*reading_rows(place), sending_row(place), token_row(place), certificates_row(place)]


def reading_rows(place: Place) -> list[Row]:
    line = place.line
    gmail_id = line.deliver(letter())["gmail_id"]
    since = datetime.now(UTC) - timedelta(days=1)
    calls: dict[str, tuple[str, Callable[[GmailClient], Any]]] = {
        "history.list": ("/history", lambda gmail: gmail.list_history(_cursor(line))),
        "messages.list": ("/messages[?]", lambda gmail: gmail.list_inbox(since)),
        "messages.list (sent)": ("/messages[?]", lambda gmail: gmail.find_sent("<nobody@example.org>")),
        "messages.get": ("/messages/", lambda gmail: gmail.fetch_raw(gmail_id)),
        "getProfile": ("/profile[?]alt", lambda gmail: gmail.fetch_history_id()),
        "watch": ("/watch", lambda gmail: gmail.watch("projects/p/topics/t")),
    }
    return [gmail_row(place, name, path, call) for name, (path, call) in calls.items()]


def _cursor(line: Line) -> str:
    [(cursor,)] = line.rows("select history_id::text from public.mailboxes")
    return str(cursor)


def gmail_row(place: Place, name: str, path: str, call: Callable[[GmailClient], Any]) -> Row:
    proxy = place.proxy(place.line.world.google.url)
    gmail = place.gmail(GMAIL_API_ENDPOINT=proxy.url + "/")
    return Row(f"gmail {name}", proxy, path, GMAIL, lambda _: call(gmail))


def sending_row(place: Place) -> Row:
    """Sent once: the outbox comes back later, and looks first whether it went out."""
    proxy = place.proxy(place.line.world.google.url)
    gmail = place.gmail(GMAIL_API_ENDPOINT=proxy.url + "/")

    def named(token: str) -> str:
        return f"<{token.replace(' ', '-').replace('/', '-')}@notices.example>"

    def send(token: str) -> None:
        head = f"From: {place.line.mailbox}\r\nTo: ada@example.org\r\nSubject: x\r\nMessage-ID: {named(token)}\r\n"
        gmail.send(f"{head}\r\nhello\r\n".encode(), None)

    def send_if_missing(token: str) -> None:
        if gmail.find_sent(named(token)) is None:
            send(token)

    def check(token: str) -> None:
        sent = [mail for mail in place.line.sent() if {"name": "Message-ID", "value": named(token)} in mail["headers"]]
        assert len(sent) == 1, f"{len(sent)} mails"

    return Row("gmail send", proxy, "/messages/send", 1, send, check, send_if_missing)


def token_row(place: Place) -> Row:
    proxy = place.proxy(place.line.world.google.url)
    token_uri = place.line.environment["GOOGLE_TOKEN_URI"].replace(place.line.world.google.url, proxy.url)
    return Row(
        "token endpoint",
        proxy,
        "/token",
        GMAIL,
        lambda _: place.gmail(GOOGLE_TOKEN_URI=token_uri).fetch_history_id(),
    )


def certificates_row(place: Place) -> Row:
    proxy = place.proxy(place.line.world.google.url)
    environment = place.environment(GOOGLE_CERTS_URL=f"{proxy.url}/oauth2/v1/certs")
    callers = CallerSettings.read(environment, "AICD_PUSH")
    bearer = f"Bearer {place.line.id_token()}"
    # Nobody waits with it: the next call asks again.
    return Row("certificates", proxy, "/certs", 1, lambda _: OidcProof(callers).verify(bearer), hands_wish_on=False)


def github_rows(place: Place) -> list[Row]:
    return [starting_row(place), finding_row(place), *cancelling_rows(place)]


def finding_row(place: Place) -> Row:
    proxy = place.proxy(place.line.world.github.url)
    github = place.github(proxy.url)
    return Row("github find run", proxy, "GET .*/runs[?]", 1, lambda _: github.find_run(REPO, "aicd.yml", "nobody"))


def ci_runs(place: Place) -> list[dict[str, Any]]:
    answer = place.line.world.github.client.get(
        f"/repos/{REPO}/actions/runs?per_page=100",
        headers={"Authorization": f"Bearer {place.line.environment['AICD_GITHUB_TOKEN']}"},
    )
    return list(answer.json()["workflow_runs"])


def cancelling_rows(place: Place) -> list[Row]:
    direct = place.github(place.line.world.github.url)

    def row(name: str, path: str) -> Row:
        proxy = place.proxy(place.line.world.github.url)
        github = place.github(proxy.url)
        started: dict[str, str] = {}

        def cancel(token: str) -> None:
            if token not in started:
                run = direct.start_run(REPO, "aicd.yml", "main", {"run-id": token, "spec-id": "s"})
                assert run is not None
                started[token] = run.ci_run_id
            github.cancel_run(REPO, started[token])

        def check(token: str) -> None:
            assert github.cancel_run(REPO, started[token]) is False, "it is over"

        return Row(f"github cancel run, {name}", proxy, path, 1, cancel, check)

    asking = row("asking", "POST .*/cancel")
    # It looks at the run again, and finds it stopped.
    asking.unseen = frozenset({"garbage", "page", "429", "500", "503"})
    return [row("looking", "GET .*/runs/[0-9]+$"), asking]


def starting_row(place: Place) -> Row:
    proxy = place.proxy(place.line.world.github.url)
    github = place.github(proxy.url)

    def start(token: str) -> None:
        inputs = {"run-id": token, "spec-id": "s", "correlation-id": "c"}
        github.start_run(REPO, "aicd.yml", "main", inputs)

    def start_if_missing(token: str) -> None:
        if github.find_run(REPO, "aicd.yml", token) is None:
            start(token)

    def check(token: str) -> None:
        started = [run for run in ci_runs(place) if token in run["display_title"]]
        assert len(started) == 1, f"{len(started)} runs"

    return Row("github start run", proxy, "POST .*/dispatches", 1, start, check, start_if_missing)


def supabase_rows(place: Place) -> list[Row]:
    return [*verb_rows(place), ingesting_row(place), *storage_rows(place)]


def verb_rows(place: Place) -> list[Row]:
    """One verb for each kind of answer: a row or null, rows, text, a number, yes or no, nothing. They go one way and
    differ in how an answer is read, so that in the narrow form the others meet what spoils the answer."""
    email, mailbox_id = place.line.mailbox, place.mailbox_id
    calls: dict[str, Callable[[FunctionsStore], Any]] = {
        "open_mailbox_v2": lambda store: store.open_mailbox(email),
        "list_mailboxes_v1": lambda store: store.list_mailboxes(),
        "known_messages_v2": lambda store: store.known_messages(mailbox_id, ["a"]),
        "advance_mailbox_v1": lambda store: store.advance_mailbox(mailbox_id, "1"),
        "close_dead_runs_v1": lambda store: store.close_dead_runs(10_000),
        "heal_mailbox_v2": lambda store: store.heal_mailbox(mailbox_id),
        "fail_mailbox_v2": lambda store: store.fail_mailbox(mailbox_id, "x", "y"),
        "note_fetch_failure_v1": lambda store: store.note_fetch_failure(mailbox_id, "a"),
        "claim_outbox_v1": lambda store: store.claim_outbox(["none"], 1, 60),
    }
    rows = {
        verb: supabase_row(place, f"verb {verb}", f"/rpc/{verb}", lambda store, _, c=call: c(store))
        for verb, call in calls.items()
    }
    for verb, row in rows.items():
        row.kinds = KINDS if verb == "open_mailbox_v2" else SPOIL_THE_ANSWER
    # It answers 204: there is nothing to break off.
    rows["fail_mailbox_v2"].unseen = frozenset({"hang-in-body", "truncated"})
    return list(rows.values())


def supabase_row(
    place: Place,
    name: str,
    path: str,
    call: Callable[[FunctionsStore, str], Any],
    check: Callable[[str], None] = lambda _: None,
) -> Row:
    proxy = place.proxy(place.line.world.api_url)
    store = place.store(proxy.url)
    return Row(name, proxy, path, STORE, lambda token: call(store, token), check)


def ingesting_row(place: Place) -> Row:
    """A mail that is taken in, and whose answer is lost, is taken in once."""
    check = check_spec(SPEC.encode(), "spec.yaml").spec
    assert check is not None
    assert check.plan is not None
    plan = check.plan.model_dump(mode="json")

    def ingest(store: FunctionsStore, token: str) -> None:
        message_id, spec_id = (str(uuid.uuid5(uuid.NAMESPACE_URL, f"{token}-{what}")) for what in ("mail", "spec"))
        message = {
            "id": message_id, "mailbox_id": place.mailbox_id, "gmail_id": token, "sender": SENDER, "size": 1,
            "rfc_message_id": f"<{token}@example.org>", "correlation_id": token, "sha256": "0" * 64,
        }  # fmt: skip
        row = {
            "id": spec_id, "name": "spec.yaml", "repo": REPO, "branch": None, "title": token, "format": "yaml",
            "storage_path": f"{spec_id}/source", "sha": check.sha256, "size": 1, "needs_approval": False, "plan": plan,
        }  # fmt: skip
        assert store.ingest_message(message, [row])["outcome"] in ("accepted", "duplicate")

    def once(token: str) -> None:
        found = place.line.rows(
            "select count(distinct specs.id), count(distinct runs.id) from public.messages"
            " join public.specs on message_id = messages.id join public.runs on spec_id = specs.id where gmail_id = %s",
            token,
        )
        assert found == [(1, 1)], found

    return supabase_row(place, "verb ingest_message_v1", "/rpc/ingest_message_v1", ingest, once)


def storage_rows(place: Place) -> list[Row]:
    there = str(uuid.uuid4())
    place.line.store.put_spec(there, SPEC.encode(), "application/yaml")
    artifact = f"{uuid.uuid4()}/{uuid.uuid4()}"
    place.line.upload("artifacts", artifact, b"<html></html>")

    def named(token: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, token))

    def put(store: FunctionsStore, token: str) -> None:
        store.put_spec(named(token), SPEC.encode(), "application/yaml")

    def stored(token: str) -> None:
        found = place.line.rows("select count(*) from storage.objects where name = %s", f"{named(token)}/source")
        assert found == [(1,)], found
        assert place.line.store.get_spec(named(token)) == SPEC.encode()

    reading = supabase_row(place, "storage get", "GET .*/object/", lambda store, _: store.get_spec(there))
    reading.unseen = frozenset({"garbage", "page"})
    return [
        supabase_row(place, "storage put", "POST .*/object/specs", put, stored),
        reading,
        supabase_row(
            place, "storage sign", "/object/sign/", lambda store, _: store.sign_artifact(artifact, 60, "r.html")
        ),
        supabase_row(
            place, "storage sign many", "/object/sign/", lambda store, _: store.sign_artifacts({artifact: "r.html"}, 60)
        ),
        supabase_row(
            place,
            "storage sign an upload",
            "/object/upload/sign/",
            lambda store, token: store.sign_spec_upload(named(token)),
        ),
        supabase_row(
            place,
            "storage remove",
            "DELETE .*/object/",
            lambda store, token: store.remove_objects("specs", [f"{named(token)}/source"]),
        ),
    ]
