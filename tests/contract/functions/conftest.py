"""The functions against the real things: Postgres with our migrations, the gateway, and both doubles as processes.

One stack for the whole folder; each test has its own mailbox and empty tables. Functions run as functions-framework
makes them, called over WSGI, with the environment that they are deployed with.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import stamina
import structlog
from pydantic import SecretStr
from werkzeug.test import Client

from controlplane.specfile import check_spec
from controlplane.store import Connection, FunctionsStore, connect
from controlplane.tokens import mint_token
from functions._shared.callers.webhook import sign_webhook
from local.administration import Administration
from local.gateway.keys import generate_opaque_key, generate_signing_jwk
from local.postgres.bootstrap import bootstrap
from local.postgres.database import start_database

ROOT = Path(__file__).parents[3]
REPO = "acme/greeting"
SENDER = "ada@example.org"
SCHEDULER = "scheduler@project.iam.gserviceaccount.com"
PUSHER = "push@project.iam.gserviceaccount.com"
PUSH_AUDIENCE = "https://push.example/"
TICK_AUDIENCE = "https://tick.example/"
OUTBOX_SECRET = "an-outbox-secret-for-tests"
WORKFLOW = """\
name: aicd
run-name: aicd ${{ inputs.run-id }}
on:
  workflow_dispatch:
    inputs:
      run-id: {required: true, type: string}
      spec-id: {required: true, type: string}
      correlation-id: {required: false, type: string}
jobs:
  deliver:
    runs-on: ubuntu-latest
    steps: [{run: "true"}]
"""
SPEC = """\
meta: {project: greeting, repo: acme/greeting}
planning:
  epics:
    - sprints:
        - id: S1
          goals: [People can be greeted.]
          user_stories:
            - id: US1
              as: visitor
              want: a greeting
              acceptance: [greet returns a greeting]
          dod: {unit_pass: true, coverage_min: 0.8}
"""


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    """Retries happen, as many as always, without the waiting between them."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@dataclass
class Double:
    """One of the doubles and its control endpoints."""

    url: str
    process: subprocess.Popen[str]
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"/_double/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.client.get(f"/_double/{path}").json()

    def break_(self, operation: str, **fault: Any) -> None:
        """Plan one fault."""
        self.post("faults", api=[{"operation": operation, **fault}])

    def problems(self) -> list[Any]:
        found = self.get("problems")
        self.client.delete("/_double/problems")
        return list(found)


@dataclass(frozen=True)
class World:
    """Everything that runs for the whole folder."""

    db_url: str
    api_url: str
    publishable_key: str
    secret_key: str
    jwk: Mapping[str, Any]
    google: Double
    github: Double

    def token(self, seconds: int = 3600) -> str:
        return mint_token(self.jwk, "aicd_functions", seconds).token


def start(module: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("functions")
    jwk, publishable, secret = generate_signing_jwk(), generate_opaque_key("publishable"), generate_opaque_key("secret")
    google = start("local.doubles.google", AICD_GOOGLE_DOUBLE_PORT="0", AICD_GOOGLE_DOUBLE_STATE=str(folder / "google"))
    github = start("local.doubles.github", AICD_GITHUB_DOUBLE_PORT="0", AICD_GITHUB_DOUBLE_STATE=str(folder / "github"))
    processes = [google, github]
    try:
        with start_database(folder / "postgres", ephemeral=True) as database:
            bootstrap(database, ROOT / "supabase" / "migrations")
            gateway = start(
                "local.gateway",
                AICD_GATEWAY_PORT=str(free_port()),
                AICD_GATEWAY_DSN=database.authenticator_dsn,
                AICD_GATEWAY_STORAGE_DIR=str(folder / "objects"),
                AICD_GATEWAY_PUBLISHABLE_KEY=publishable,
                AICD_GATEWAY_SECRET_KEY=secret,
                AICD_GATEWAY_SIGNING_JWK=json.dumps(jwk),
            )
            processes.append(gateway)
            api_url = first_line(gateway)["url"]
            doubles = [Double(first_line(process)["ready"]["url"], process) for process in (google, github)]
            yield World(database.owner_url, api_url, publishable, secret, jwk, *doubles)
            for double in doubles:
                double.client.close()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()


@dataclass
class Line:
    """One test's mailbox and project, and the functions that serve them."""

    world: World
    mailbox: str
    store: FunctionsStore
    environment: dict[str, str]
    objects_before: int
    database: psycopg.Connection[Any]

    def function(self, name: str, **changes: str) -> Client:
        """A function as deployed: its module is loaded anew, its environment read at the first request."""
        import functions_framework

        os.environ.update(self.environment | changes)
        app = functions_framework.create_app("main", str(ROOT / "functions" / name / "main.py"), "http")
        return Client(app)

    def deliver(self, mail: EmailMessage | bytes, **query: str) -> dict[str, Any]:
        raw = mail if isinstance(mail, bytes) else bytes(mail)
        answer = self.world.google.client.post(
            "/_double/deliver", content=raw, params={"mailbox": self.mailbox, **query}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def id_token(self, audience: str = PUSH_AUDIENCE, email: str = PUSHER, **order: Any) -> str:
        return str(self.world.google.post("id-token", audience=audience, email=email, **order)["token"])

    def push(self, client: Client, body: Any = None, token: str | None = None) -> Any:
        """Call gmail_push as Pub/Sub does."""
        data = {"emailAddress": self.mailbox, "historyId": 1}
        wrapped = {
            "message": {"data": base64.b64encode(json.dumps(data).encode()).decode(), "messageId": "7"},
            "subscription": "projects/p/subscriptions/s",
        }
        headers = {"Authorization": f"Bearer {token or self.id_token()}"}
        return client.post("/", data=json.dumps(wrapped) if body is None else body, headers=headers)

    def call(self, client: Client) -> Any:
        """Call dispatch, notify or tick as the database does."""
        body = b'{"type":"INSERT","table":"outbox","schema":"public","record":{"id":"1","kind":"x"},"old_record":null}'
        now = int(time.time())
        signature = sign_webhook(SecretStr(OUTBOX_SECRET), now, body)
        return client.post("/", data=body, headers={"X-Aicd-Timestamp": str(now), "X-Aicd-Signature": signature})

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.database.execute(statement, values or None).fetchall()  # type: ignore[call-overload,no-any-return]

    def ingest(self, spec: str = SPEC, **facts: str) -> dict[str, Any]:
        """A specification as intake would store it; its run, its dispatch row and its receipt are there afterwards.

        `facts` are fields of the mail.
        """
        check = check_spec(spec.encode(), "spec.yaml")
        assert check.spec is not None, check.problems
        assert check.spec.plan is not None
        mailbox = self.store.open_mailbox(self.mailbox)
        assert mailbox is not None
        message_id, spec_id = str(uuid.uuid4()), str(uuid.uuid4())
        message = {
            "id": message_id, "mailbox_id": mailbox["mailbox_id"], "gmail_id": uuid.uuid4().hex[:16],
            "gmail_thread_id": "", "rfc_message_id": f"<{message_id}@example.org>", "sender": SENDER,
            "subject": "A greeting", "correlation_id": message_id, "size": 1, "sha256": "0" * 64,
        }  # fmt: skip
        message |= facts
        path = self.store.put_spec(spec_id, spec.encode(), "application/yaml")
        row = {
            "id": spec_id, "name": "spec.yaml", "repo": REPO, "branch": None, "title": "Greeting", "format": "yaml",
            "storage_path": path, "sha": check.spec.sha256, "size": len(spec), "needs_approval": False,
            "plan": check.spec.plan.model_dump(mode="json"),
        }  # fmt: skip
        answer = self.store.ingest_message(message, [row])
        assert answer["outcome"] == "accepted", answer
        # No run where it waits for approval.
        [run_id] = answer["specs"][0]["runs"] or [None]
        return {"spec_id": spec_id, "run_id": run_id, "message_id": message_id}

    def upload(self, bucket: str, path: str, content: bytes) -> None:
        """Store an object as the platform's own key may; nothing of the product holds that key."""
        key = self.world.secret_key
        answer = httpx.post(
            f"{self.world.api_url}/storage/v1/object/{bucket}/{path}",
            files={"file": ("x", content, "text/html")},
            headers={"apikey": key, "Authorization": f"Bearer {key}"},
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text

    def make_due(self) -> None:
        """Let waiting outbox rows be due now, as time would."""
        self.database.execute("update public.outbox set next_attempt_at = now() where state = 'PENDING'")

    def sent(self) -> list[dict[str, Any]]:
        return [mail for mail in self.world.google.get("sent") if mail["mailbox"] == self.mailbox]


def letter(subject: str = "A greeting", sender: str = SENDER, spec: str | None = SPEC) -> EmailMessage:
    """A mail with a specification attached, as any mail program would write it."""
    mail = EmailMessage()
    mail["From"] = f"Ada <{sender}>"
    mail["To"] = "specs@inbox.example"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{uuid.uuid4()}@example.org>"
    mail["Date"] = "Sat, 21 Nov 2026 10:00:00 +0000"
    mail.set_content("Please build this.\n")
    if spec is not None:
        mail.add_attachment(spec.encode(), maintype="application", subtype="yaml", filename="spec.yaml")
    return mail


@pytest.fixture(name="letter")
def letter_fixture() -> Callable[..., EmailMessage]:
    """Writes mails: letter(subject=…, sender=…, spec=…)."""
    return letter


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was written since the last look. The logger was made with a stream that ends with the test."""
    yield lambda: "".join(capfd.readouterr())
    structlog.reset_defaults()


TABLES = "messages, outbox, specs, sprints, runs, artifacts, status_events, senders, mailboxes, projects"


@pytest.fixture
def line(world: World) -> Iterator[Line]:
    """Empty tables, one mailbox that is watched, one project with its repository, one allowed sender."""
    mailbox = f"specs-{uuid.uuid4().hex[:8]}@inbox.example"
    for double in (world.google, world.github):
        double.post("faults")
        double.problems()
    account = world.google.post("accounts", email=mailbox)
    github_token = world.github.post("tokens", permissions={"actions": "write", "metadata": "read"})["token"]
    owner, name = REPO.split("/")
    world.github.post("repos", owner=owner, name=name, files={"README.md": "x", ".github/workflows/aicd.yml": WORKFLOW})
    environment = {
        "SUPABASE_URL": world.api_url,
        "SUPABASE_PUBLISHABLE_KEY": world.publishable_key,
        "AICD_FUNCTIONS_TOKEN": world.token(),
        "AICD_PUSH_AUDIENCE": PUSH_AUDIENCE,
        "AICD_PUSH_SERVICE_ACCOUNT": PUSHER,
        "AICD_SCHEDULER_AUDIENCE": TICK_AUDIENCE,
        "AICD_SCHEDULER_SERVICE_ACCOUNT": SCHEDULER,
        "AICD_OUTBOX_SECRET": OUTBOX_SECRET,
        "AICD_GITHUB_TOKEN": github_token,
        "GITHUB_API_URL": world.github.url,
        "GMAIL_API_ENDPOINT": world.google.url + "/",
        "GMAIL_CLIENT_ID": account["client_id"],
        "GMAIL_CLIENT_SECRET": account["client_secret"],
        "GMAIL_REFRESH_TOKEN": account["refresh_token"],
        "GMAIL_TOPIC": "projects/p/topics/gmail",
        "GOOGLE_TOKEN_URI": account["token_uri"],
        "GOOGLE_CERTS_URL": f"{world.google.url}/oauth2/v1/certs",
    }
    before = dict(os.environ)
    with psycopg.connect(world.db_url, autocommit=True) as database:
        database.execute(f"truncate {', '.join('public.' + table.strip() for table in TABLES.split(','))} cascade")
        with Administration(world.db_url) as operator:
            operator.create_mailbox(mailbox)
            operator.create_project({"repo": REPO, "default_branch": "main"})
            operator.allow_sender(SENDER, REPO)
        token = SecretStr(environment["AICD_FUNCTIONS_TOKEN"])
        store = FunctionsStore(
            connect(Connection(url=world.api_url, publishable_key=world.publishable_key, token=token))
        )
        try:
            [objects] = database.execute("select count(*) from storage.objects").fetchone() or [0]
            yield Line(world, mailbox, store, environment, objects, database)
            assert world.google.problems() == []
            assert world.github.problems() == []
        finally:
            os.environ.clear()
            os.environ.update(before)
