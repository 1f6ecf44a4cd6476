"""What a stack knows about itself: its ports, keys and secrets, and the file by which others find it."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from controlplane.errors import CallerError, OutsideError

MAILBOX = "aicd@inbox.example"
PUSH_ACCOUNT = "pubsub-push@aicd-local.iam.gserviceaccount.example"
SCHEDULER_ACCOUNT = "scheduler@aicd-local.iam.gserviceaccount.example"


@dataclass(frozen=True)
class StackIdentity:
    """Everything another process needs to use a running stack. Saved with mode 0600: it holds its keys."""

    id: str
    pid: int
    ports: dict[str, int]
    data: str
    db_url: str
    signing_jwk: dict[str, Any] = field(repr=False)
    publishable_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    anon_jwt: str = field(repr=False)
    service_jwt: str = field(repr=False)
    github_token: str = field(repr=False)
    outbox_secret: str = field(repr=False)
    github_webhook_secret: str = field(repr=False)
    runner: str = "verbs"

    def url(self, part: str) -> str:
        return f"http://127.0.0.1:{self.ports[part]}"

    def environment(self) -> dict[str, str]:
        """What `supabase status -o env` prints, then the functions and the doubles."""
        api = self.url("api")
        return {
            "API_URL": api,
            "REST_URL": f"{api}/rest/v1",
            "STORAGE_URL": f"{api}/storage/v1",
            "AUTH_URL": f"{api}/auth/v1",
            "JWKS_URL": f"{api}/auth/v1/.well-known/jwks.json",
            "DB_URL": self.db_url,
            "PUBLISHABLE_KEY": self.publishable_key,
            "SECRET_KEY": self.secret_key,
            "ANON_KEY": self.anon_jwt,
            "SERVICE_ROLE_KEY": self.service_jwt,
            "GMAIL_PUSH_URL": self.url("gmail-push"),
            "DISPATCH_URL": self.url("dispatch"),
            "NOTIFY_URL": self.url("notify"),
            "TICK_URL": self.url("tick"),
            "HEALTH_URL": f"{self.url('health')}/health",
            "RUNNER_TOKEN_URL": self.url("runner-token"),
            "SPECS_URL": self.url("specs"),
            "WEBHOOK_URL": self.url("webhook"),
            "MCP_URL": f"{self.url('mcp')}/mcp",
            "GITHUB_WEBHOOK_URL": self.url("github-webhook"),
            "GITHUB_WEBHOOK_SECRET": self.github_webhook_secret,
            "GMAIL_URL": self.url("google"),
            "GITHUB_URL": self.url("github"),
            "MAILBOX": MAILBOX,
        }


def state_file(home: Path) -> Path:
    return home / "stack.json"


def save_identity(identity: StackIdentity, path: Path) -> None:
    """Write atomically, readable by the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as sink:
        json.dump(asdict(identity), sink)
    partial.replace(path)


def load_identity(path: Path) -> StackIdentity:
    """The running stack's identity. OutsideError: there is none, or it died; CallerError: its file is no such thing."""
    fix = "Start one with `aicd up` in another terminal."
    try:
        identity = StackIdentity(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise OutsideError("No embedded stack is running.", fix=fix, code="no-stack") from None
    except (ValueError, TypeError) as error:
        raise CallerError(f"The stack's state file {path} cannot be read.", fix=fix, code="no-stack") from error
    if not Path(f"/proc/{identity.pid}").exists() and not _is_alive(identity.pid):
        raise OutsideError("The embedded stack that was running here has ended.", fix=fix, code="no-stack")
    return identity


def make_secret(prefix: str = "") -> str:
    return prefix + secrets.token_urlsafe(32)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
