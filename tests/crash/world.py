"""The parts that a crash is tried against: Postgres with our migrations, the gateway, both doubles. All on 127.0.0.1.

Nothing here stands in for the product: the functions and the action run as they are deployed, in processes that can be
killed without harm to the test.
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr

from controlplane.specfile import check_spec
from controlplane.store import Connection, FunctionsStore, connect
from controlplane.tokens import mint_token
from functions._shared.callers.webhook import sign_webhook
from local.administration import Administration
from local.gateway.keys import generate_opaque_key, generate_signing_jwk
from local.postgres.bootstrap import bootstrap
from local.postgres.database import Database, start_database

ROOT = Path(__file__).parents[2]
REPO = "acme/greeting"
SENDER = "ada@example.org"
PUSHER = "push@project.iam.gserviceaccount.com"
PUSH_AUDIENCE = "https://push.example/"
OUTBOX_SECRET = "an-outbox-secret-for-tests"
TOKEN_SECONDS = 7200
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
          dod: {unit_pass: true, tests_min: 1}
files:
  - path: greet.py
    content: |
      def greet(name):
          return f"Hello, {name}"
  - path: tests/test_greet.py
    content: |
      from greet import greet


      def test_us1_1_greets():
          assert greet("Ada") == "Hello, Ada"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the process ended before it listened"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port} after {seconds} s")


@dataclass
class Double:
    """A double and its control endpoints."""

    url: str
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=120, trust_env=False)

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"/_double/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.client.get(f"/_double/{path}").json()


@dataclass
class World:
    """The running parts, one mailbox with one sender and one project, and the operator's view of the database."""

    database: Database
    folder: Path
    api_url: str
    publishable_key: str
    jwk: dict[str, Any]
    google: Double
    github: Double
    mailbox: str
    environment: dict[str, str]
    owner: psycopg.Connection[dict[str, Any]]

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return self.owner.execute(statement, values or None).fetchall()  # type: ignore[call-overload,no-any-return]

    def count(self, statement: str, *values: Any) -> int:
        (row,) = self.rows(statement, *values)
        return int(next(iter(row.values())))

    def execute(self, statement: str, *values: Any) -> None:
        self.owner.execute(statement, values or None)  # type: ignore[call-overload]

    def administration(self) -> Administration:
        return Administration(self.database.owner_url)

    def store(self) -> FunctionsStore:
        token = SecretStr(self.environment["AICD_FUNCTIONS_TOKEN"])
        return FunctionsStore(connect(Connection(url=self.api_url, publishable_key=self.publishable_key, token=token)))

    def ingest(self, spec: str = SPEC) -> dict[str, str]:
        """One mail with a specification as intake stores it, without its way there: {spec_id, run_id}."""
        check = check_spec(spec.encode(), "spec.yaml")
        assert check.spec is not None, check.problems
        assert check.spec.plan is not None
        store = self.store()
        mailbox = store.open_mailbox(self.mailbox)
        assert mailbox is not None
        message_id, spec_id = str(uuid.uuid4()), str(uuid.uuid4())
        message = {
            "id": message_id, "mailbox_id": mailbox["mailbox_id"], "gmail_id": uuid.uuid4().hex[:16],
            "gmail_thread_id": "", "rfc_message_id": f"<{message_id}@example.org>", "sender": SENDER,
            "subject": "A greeting", "correlation_id": message_id, "size": 1, "sha256": "0" * 64,
        }  # fmt: skip
        row = {
            "id": spec_id, "name": "spec.yaml", "repo": REPO, "branch": None, "title": "Greeting", "format": "yaml",
            "storage_path": store.put_spec(spec_id, spec.encode(), "application/yaml"), "sha": check.spec.sha256,
            "size": len(spec), "needs_approval": False, "plan": check.spec.plan.model_dump(mode="json"),
        }  # fmt: skip
        answer = store.ingest_message(message, [row])
        assert answer["outcome"] == "accepted", answer
        return {"spec_id": spec_id, "run_id": answer["specs"][0]["runs"][0]}

    def deliver(self, mail: EmailMessage) -> str:
        """The mail's Gmail id."""
        answer = self.google.client.post("/_double/deliver", content=bytes(mail), params={"mailbox": self.mailbox})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["gmail_id"])

    def id_token(self) -> str:
        return str(self.google.post("id-token", audience=PUSH_AUDIENCE, email=PUSHER)["token"])

    def sent(self) -> list[dict[str, Any]]:
        return [mail for mail in self.google.get("sent") if mail["mailbox"] == self.mailbox]

    def notices(self) -> list[str]:
        """The outbox id that each sent mail names, in the order of sending."""
        return [h["value"] for mail in self.sent() for h in mail["headers"] if h["name"].lower() == "x-aicd-notice"]

    def make_due(self) -> None:
        """Let pauses and leases be over, as time would."""
        self.execute(
            "update public.outbox set next_attempt_at = now() - interval '1 s',"
            " lease_expires_at = case when lease_expires_at is not null then now() - interval '1 s' end"
            " where state = 'PENDING'"
        )

    def clear(self) -> None:
        """Forget all work, so that each test counts only its own."""
        self.execute("truncate public.messages, public.outbox, public.specs cascade")
        with psycopg.connect(self.database.superuser_dsn, autocommit=True) as connection:
            # Storage's own trigger lets nobody delete rows behind its back.
            connection.execute("set session_replication_role = replica")
            connection.execute("delete from storage.objects")

    def runner_token(self, run_id: str) -> str:
        (row,) = self.rows("select spec_id::text, project_id::text from public.runs where id = %s", run_id)
        return mint_token(self.jwk, "aicd_runner", TOKEN_SECONDS, run_id=run_id, **row).token

    def blobs(self) -> set[str]:
        """The files behind stored objects."""
        places = (self.folder / "objects").glob("*/*/*")
        return {f"{path.parent.name}/{path.name}" for path in places if path.is_file()}


def letter(spec: str = SPEC, message_id: str = "") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = f"Ada <{SENDER}>"
    mail["To"] = "specs@inbox.example"
    mail["Subject"] = "A greeting"
    mail["Message-ID"] = message_id or f"<{uuid.uuid4()}@example.org>"
    mail["Date"] = "Sat, 21 Nov 2026 10:00:00 +0000"
    mail.set_content("Please build this.\n")
    mail.add_attachment(spec.encode(), maintype="application", subtype="yaml", filename="spec.yaml")
    return mail


def push_body(mailbox: str, spelling: str = "messageId", number: str = "7") -> bytes:
    """A push as Pub/Sub wraps it; old deliveries spell the id `message_id`."""
    data = base64.b64encode(json.dumps({"emailAddress": mailbox, "historyId": 1}).encode()).decode()
    return json.dumps(
        {"message": {"data": data, spelling: number}, "subscription": "projects/p/subscriptions/s"}
    ).encode()


def outbox_call() -> tuple[bytes, dict[str, str]]:
    """Body and headers of the database's webhook."""
    body = b'{"type":"INSERT","table":"outbox","schema":"public","record":{"id":"1","kind":"x"},"old_record":null}'
    now = int(time.time())
    signature = sign_webhook(SecretStr(OUTBOX_SECRET), now, body)
    return body, {"X-Aicd-Timestamp": str(now), "X-Aicd-Signature": signature}


def start_part(module: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    with (folder / f"{module.rsplit('.', 1)[-1]}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline()))


@contextmanager
def stopping(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Everything started; stopped at the end, whatever happened."""
    jwk, publishable = generate_signing_jwk(), generate_opaque_key("publishable")
    with ExitStack() as closing:
        google, github = (
            closing.enter_context(
                stopping(
                    start_part(
                        f"local.doubles.{name}",
                        folder,
                        **{
                            f"AICD_{name.upper()}_DOUBLE_PORT": "0",
                            f"AICD_{name.upper()}_DOUBLE_STATE": str(folder / name),
                        },
                    )
                )
            )
            for name in ("google", "github")
        )
        # A fixed port: the addresses must hold when the server is killed and started again.
        database = start_database(folder / "postgres", ephemeral=True, port=free_port())
        closing.callback(database.stop)
        bootstrap(database, ROOT / "supabase" / "migrations")
        gateway = closing.enter_context(
            stopping(
                start_part(
                    "local.gateway",
                    folder,
                    AICD_GATEWAY_PORT=str(free_port()),
                    AICD_GATEWAY_DSN=database.authenticator_dsn,
                    AICD_GATEWAY_STORAGE_DIR=str(folder / "objects"),
                    AICD_GATEWAY_PUBLISHABLE_KEY=publishable,
                    AICD_GATEWAY_SECRET_KEY=generate_opaque_key("secret"),
                    AICD_GATEWAY_SIGNING_JWK=json.dumps(jwk),
                )
            )
        )
        api_url = first_line(gateway)["url"]
        doubles = [Double(first_line(process)["ready"]["url"]) for process in (google, github)]
        for double in doubles:
            closing.callback(double.client.close)
        owner: Any = closing.enter_context(
            psycopg.connect(database.owner_url, autocommit=True, row_factory=dict_row)  # type: ignore[arg-type]
        )
        mailbox = f"specs-{uuid.uuid4().hex[:8]}@inbox.example"
        environment = _environment(api_url, publishable, jwk, mailbox, *doubles)
        world = World(database, folder, api_url, publishable, jwk, *doubles, mailbox, environment, owner)
        _settle(world)
        yield world


def _settle(world: World) -> None:
    owner, name = REPO.split("/")
    files = {"README.md": "# greeting\n", ".github/workflows/aicd.yml": WORKFLOW}
    world.github.post("repos", owner=owner, name=name, files=files)
    with world.administration() as operator:
        operator.create_mailbox(world.mailbox)
        operator.create_project({"repo": REPO, "default_branch": "main"})
        operator.allow_sender(SENDER, REPO, {"daily_limit": 100_000})
    # As the first watch does.
    newest = world.google.post(f"mailbox/{world.mailbox}/expire-history")["oldest_history_id"]
    world.execute("update public.mailboxes set history_id = %s", newest)


def _environment(
    api_url: str, publishable: str, jwk: dict[str, Any], mailbox: str, google: Double, github: Double
) -> dict[str, str]:
    account = google.post("accounts", email=mailbox)
    token = github.post("tokens", login="aicd-bot[bot]")["token"]
    return {
        "SUPABASE_URL": api_url,
        "SUPABASE_PUBLISHABLE_KEY": publishable,
        "AICD_FUNCTIONS_TOKEN": mint_token(jwk, "aicd_functions", TOKEN_SECONDS).token,
        "AICD_PUSH_AUDIENCE": PUSH_AUDIENCE,
        "AICD_PUSH_SERVICE_ACCOUNT": PUSHER,
        "AICD_SCHEDULER_AUDIENCE": "https://tick.example/",
        "AICD_SCHEDULER_SERVICE_ACCOUNT": "scheduler@project.iam.gserviceaccount.com",
        "AICD_OUTBOX_SECRET": OUTBOX_SECRET,
        "AICD_GITHUB_TOKEN": token,
        "GITHUB_API_URL": github.url,
        "GMAIL_API_ENDPOINT": google.url + "/",
        "GMAIL_CLIENT_ID": account["client_id"],
        "GMAIL_CLIENT_SECRET": account["client_secret"],
        "GMAIL_REFRESH_TOKEN": account["refresh_token"],
        "GMAIL_TOPIC": "projects/p/topics/gmail",
        "GOOGLE_TOKEN_URI": account["token_uri"],
        "GOOGLE_CERTS_URL": f"{google.url}/oauth2/v1/certs",
    }
