"""What a function needs around it, and nothing that would work beside it: database, gateway, both doubles, one mailbox.

No webhook relay and no runner: what intake writes into the outbox stays there, so that only intake is measured.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import time
import uuid
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import SecretStr

from controlplane.tokens import mint_token
from functions._shared.callers.webhook import sign_webhook
from local.administration import Administration
from local.gateway.keys import generate_opaque_key, generate_signing_jwk
from local.postgres.bootstrap import bootstrap
from local.postgres.database import start_database
from local.stack.places import REPOSITORY_ROOT
from local.stack.ports import choose_ports
from local.stack.processes import Child, start_child

MAILBOX = "specs@inbox.example"
SENDER = "ada@example.org"
REPO = "acme/greeting"
PUSHER = "push@project.iam.gserviceaccount.com"
SCHEDULER = "scheduler@project.iam.gserviceaccount.com"
AUDIENCE = "https://function.example/"
SECRET = "an-outbox-secret-of-the-benchmarks"
SPEC = """\
meta: {{project: greeting, repo: acme/greeting, title: Number {number}}}
planning:
  epics:
    - sprints:
        - id: S1
          goals: [People can be greeted.]
          user_stories:
            - {{id: US1, as: visitor, want: a greeting, acceptance: [greet returns a greeting]}}
          dod: {{unit_pass: true, coverage_min: 0.8}}
"""


class Door:
    """Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._closing = contextlib.ExitStack()
        self.ports = choose_ports(fixed=False)
        self.jwk = generate_signing_jwk()
        self.publishable_key = generate_opaque_key("publishable")
        self.api_key = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def url(self, part: str) -> str:
        return f"http://127.0.0.1:{self.ports[part]}"

    def start_part(self, name: str, arguments: list[str], environment: Mapping[str, str], port: int = 0) -> Child:
        """A process of its own; whoever starts it stops it."""
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(REPOSITORY_ROOT),
            **environment,
        }
        return start_child(
            name,
            [sys.executable, *arguments],
            environ=environ,
            log_folder=self.folder,
            port=port or self.ports[name],
            cwd=self.folder,
        )

    def deliver(self, number: int) -> None:
        """A mail with a specification of its own lies in the mailbox; nobody is told."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = SENDER, MAILBOX, f"Number {number}"
        mail["Message-ID"] = f"<{uuid.uuid4()}@example.org>"
        mail.set_content("Please build this.\n")
        mail.add_attachment(
            SPEC.format(number=f"{number} {uuid.uuid4()}").encode(),
            maintype="application",
            subtype="yaml",
            filename="spec.yaml",
        )
        self.google.post("/_double/deliver", content=bytes(mail), params={"mailbox": MAILBOX}).raise_for_status()

    def push(self) -> tuple[bytes, dict[str, str]]:
        """(body, headers) of Pub/Sub's call."""
        data = base64.b64encode(json.dumps({"emailAddress": MAILBOX, "historyId": 1}).encode()).decode()
        body = json.dumps({"message": {"data": data, "messageId": "7"}, "subscription": "s"}).encode()
        order = {"audience": AUDIENCE, "email": PUSHER}
        token = self.google.post("/_double/id-token", json=order).raise_for_status().json()["token"]
        return body, {"Authorization": f"Bearer {token}"}

    def webhook(self) -> tuple[bytes, dict[str, str]]:
        """(body, headers) of the database's call."""
        body = b'{"type":"INSERT","table":"outbox","schema":"public","record":{"id":"1","kind":"x"},"old_record":null}'
        now = int(time.time())
        signature = sign_webhook(SecretStr(SECRET), now, body)
        return body, {"X-Aicd-Timestamp": str(now), "X-Aicd-Signature": signature}

    def count(self, table: str) -> int:
        import psycopg

        with psycopg.connect(self.db_url, autocommit=True) as connection:
            row = connection.execute(f"select count(*) from {table}").fetchone()  # type: ignore[call-overload]
        return int(row[0]) if row else 0

    def _start(self) -> None:
        database = start_database(self.folder / "postgres", ephemeral=True, port=self.ports["db"])
        self._closing.callback(database.stop)
        bootstrap(database, REPOSITORY_ROOT / "supabase" / "migrations")
        self.db_url = database.owner_url
        states = {name: self.folder / name for name in ("google", "github", "storage")}
        for state in states.values():
            state.mkdir()
        parts = [
            self.start_part("google", ["-m", "local.doubles.google"], self._double("GOOGLE", states["google"])),
            self.start_part("github", ["-m", "local.doubles.github"], self._double("GITHUB", states["github"])),
            self.start_part(
                "api",
                ["-m", "local.gateway"],
                {
                    "AICD_GATEWAY_PORT": str(self.ports["api"]),
                    "AICD_GATEWAY_DSN": database.authenticator_dsn,
                    "AICD_GATEWAY_STORAGE_DIR": str(states["storage"]),
                    "AICD_GATEWAY_PUBLISHABLE_KEY": self.publishable_key,
                    "AICD_GATEWAY_SECRET_KEY": generate_opaque_key("secret"),
                    "AICD_GATEWAY_SIGNING_JWK": json.dumps(self.jwk),
                    "AICD_GATEWAY_PUBLIC_URL": self.url("api"),
                },
            ),
        ]
        for part in parts:
            self._closing.callback(stop, part)
        for part in parts:
            part.wait_until_listening()
        self.google = httpx.Client(base_url=self.url("google"), timeout=30, trust_env=False)
        self._closing.callback(self.google.close)
        self.environment = self._function_environment()
        self._settle()

    def _double(self, name: str, state: Path) -> dict[str, str]:
        return {
            f"AICD_{name}_DOUBLE_PORT": str(self.ports[name.lower()]),
            f"AICD_{name}_DOUBLE_STATE": str(state),
        }

    def _function_environment(self) -> dict[str, str]:
        grant: dict[str, str] = self.google.post("/_double/accounts", json={"email": MAILBOX}).raise_for_status().json()
        github = httpx.post(f"{self.url('github')}/_double/tokens", json={}, trust_env=False).raise_for_status().json()
        return {
            "SUPABASE_URL": self.url("api"),
            "SUPABASE_PUBLISHABLE_KEY": self.publishable_key,
            "AICD_FUNCTIONS_TOKEN": mint_token(self.jwk, "aicd_functions", 3600).token,
            "AICD_PUSH_AUDIENCE": AUDIENCE,
            "AICD_PUSH_SERVICE_ACCOUNT": PUSHER,
            "AICD_SCHEDULER_AUDIENCE": AUDIENCE,
            "AICD_SCHEDULER_SERVICE_ACCOUNT": SCHEDULER,
            "AICD_OUTBOX_SECRET": SECRET,
            "AICD_GITHUB_TOKEN": github["token"],
            "GITHUB_API_URL": self.url("github"),
            "GMAIL_API_ENDPOINT": self.url("google") + "/",
            "GMAIL_CLIENT_ID": grant["client_id"],
            "GMAIL_CLIENT_SECRET": grant["client_secret"],
            "GMAIL_REFRESH_TOKEN": grant["refresh_token"],
            "GMAIL_TOPIC": "projects/p/topics/gmail",
            "GOOGLE_TOKEN_URI": grant["token_uri"],
            "GOOGLE_CERTS_URL": f"{self.url('google')}/oauth2/v1/certs",
        }

    def _settle(self) -> None:
        self.deliver(0)
        with Administration(self.db_url) as operator:
            self.mailbox_id = operator.create_mailbox(MAILBOX)["mailbox_id"]
            operator.create_project({"repo": REPO})
            operator.allow_sender(SENDER, REPO, {"daily_limit": 1_000_000})
            key = {"name": "bench", "scopes": ["specs:read"], "repo": REPO}
            self.api_key = str(operator.create_api_key(key)["key"])
        newest = self.google.get(f"/_double/mailbox/{MAILBOX}/messages").json()[-1]["history_id"]
        self.rpc("renew_mailbox_v1", mailbox_id=self.mailbox_id, history_id=newest, watch_expires_at="2099-01-01")

    def rpc(self, verb: str, **arguments: Any) -> Any:
        """Call a verb as the functions' role."""
        answer = httpx.post(
            f"{self.url('api')}/rest/v1/rpc/{verb}",
            json={f"p_{name}": value for name, value in arguments.items()},
            headers=self.api_headers(),
            trust_env=False,
        )
        return answer.raise_for_status()

    def api_headers(self) -> dict[str, str]:
        token = self.environment["AICD_FUNCTIONS_TOKEN"]
        return {"apikey": self.publishable_key, "Authorization": f"Bearer {token}"}


def stop(child: Child) -> None:
    """End it with its group, at once where it must be."""
    child.ask_to_stop()
    child.stop(time.monotonic() + 3)
