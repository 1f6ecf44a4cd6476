"""A copy of the database and the people in it: whoever calls comes in as PostgREST brings him in."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from local.administration import Administration

SENDER = "ada@example.com"
MAILBOX = "specs@example.org"


class Door:
    """Connections to one address, one for each thread and kept, as the API keeps its own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._kept = threading.local()

    def open(self) -> psycopg.Connection[Any]:
        if not hasattr(self._kept, "connection"):
            self._kept.connection = psycopg.connect(self._dsn, autocommit=True)
        connection: psycopg.Connection[Any] = self._kept.connection
        return connection


@dataclass
class Persona:
    """One role with one token's claims."""

    door: Door
    role: str
    claims: dict[str, Any]

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self.door.open()
        with connection.transaction():
            connection.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                (self.role, json.dumps(self.claims)),
            )
            yield connection

    def call(self, verb: str, **arguments: Any) -> Any:
        """Call a verb as an API call does: one transaction, named arguments."""
        names = [f"p_{name}" for name in arguments]
        given = sql.SQL(", ").join(sql.SQL("{} => %s").format(sql.Identifier(name)) for name in names)
        statement = sql.SQL("select public.{}({})").format(sql.Identifier(verb), given)
        with self.transaction() as connection:
            row = connection.execute(statement, [adapt(value) for value in arguments.values()]).fetchone()
        return row[0] if row else None

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.transaction() as connection:
            return connection.execute(statement, parameters).fetchall()  # type: ignore[arg-type]


@dataclass
class World:
    """What a test sees of its own database."""

    owner_url: str
    authenticator_dsn: str
    superuser_dsn: str
    mailbox_id: str = ""
    projects: dict[str, str] = field(default_factory=dict)

    api: Door = field(default=None)  # type: ignore[assignment]
    owner: Door = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.api = self.api or Door(self.authenticator_dsn)
        self.owner = self.owner or Door(self.owner_url)

    def functions(self, **claims: Any) -> Persona:
        return Persona(self.api, "aicd_functions", token(**{"role": "aicd_functions", **claims}))

    def runner(self, **claims: Any) -> Persona:
        return Persona(self.api, "aicd_runner", token(**{"role": "aicd_runner", **claims}))

    def runner_of(self, run_id: str, /, **claims: Any) -> Persona:
        """A token for exactly this run."""
        spec_id, project_id = self.one("select spec_id::text, project_id::text from runs where id = %s", run_id)
        return self.runner(**{"run_id": run_id, "spec_id": spec_id, "project_id": project_id, **claims})

    def member(self, user_id: str) -> Persona:
        claims = {"role": "authenticated", "sub": user_id, "exp": int(time.time()) + 600}
        return Persona(self.api, "authenticated", claims)

    def anonymous(self) -> Persona:
        return Persona(self.api, "anon", {"role": "anon"})

    def administration(self) -> Administration:
        return Administration(self.owner_url)

    def execute(self, statement: str, *parameters: Any) -> None:
        self.owner.open().execute(statement, parameters)  # type: ignore[arg-type]

    def all(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.owner.open().execute(statement, parameters).fetchall()  # type: ignore[arg-type]

    def one(self, statement: str, *parameters: Any) -> tuple[Any, ...]:
        (row,) = self.all(statement, *parameters)
        return row

    def value(self, statement: str, *parameters: Any) -> Any:
        return self.one(statement, *parameters)[0]

    def settle(self, repo: str = "acme/shop", **policy: Any) -> str:
        """A project, its mailbox, and a sender who may target it; the project's id."""
        made = self.value("select create_project_v1(%s)", Jsonb({"repo": repo, "policy": policy}))
        self.execute("select allow_sender_v1(%s, %s, '{}')", SENDER, repo)
        self.mailbox_id = self.value("select create_mailbox_v1(%s)", MAILBOX)["mailbox_id"]
        self.projects[repo] = made["project_id"]
        return self.projects[repo]

    def mail(self, **changes: Any) -> dict[str, Any]:
        unique = uuid.uuid4().hex
        return {
            "id": str(uuid.uuid4()),
            "mailbox_id": self.mailbox_id,
            "gmail_id": unique,
            "gmail_thread_id": "t-1",
            "rfc_message_id": f"<{unique}@example.com>",
            "references": "",
            "sender": SENDER,
            "subject": "Build this",
            "state": "ACCEPTED",
            "reason": "ok",
            "problems": [],
            "size": 10,
            "sha256": hashlib.sha256(unique.encode()).hexdigest(),
            "correlation_id": f"c-{unique}",
            **changes,
        }

    def ingest(self, **changes: Any) -> dict[str, Any]:
        """Take one mail with one specification in; {spec_id, run_id} of its first run."""
        answer = self.functions().call("ingest_message_v1", message=self.mail(), specs=[spec(**changes)])
        assert answer["outcome"] == "accepted"
        (made,) = answer["specs"]
        return {"spec_id": made["spec_id"], "run_id": made["runs"][0] if made["runs"] else None}

    def started(self, **changes: Any) -> dict[str, Any]:
        made = self.ingest(**changes)
        self.runner_of(made["run_id"]).call("start_run_v1", run_id=made["run_id"], ci_run_id="100", ci_attempt=1)
        return made

    def user(self) -> str:
        user_id = str(uuid.uuid4())
        self.execute("insert into auth.users (id, email) values (%s, %s)", user_id, f"{user_id}@example.com")
        return user_id

    def member_of(self, project_id: str, role: str = "viewer") -> Persona:
        user_id = self.user()
        self.execute(
            "insert into project_members (project_id, user_id, role) values (%s, %s, %s)", project_id, user_id, role
        )
        return self.member(user_id)


def token(**claims: Any) -> dict[str, Any]:
    """The claims of a live token; a claim given as None is left out."""
    default = {"jti": str(uuid.uuid4()), "sub": str(uuid.uuid4()), "exp": int(time.time()) + 600}
    return {name: value for name, value in (default | claims).items() if value is not None}


def spec(sprints: int = 1, **changes: Any) -> dict[str, Any]:
    spec_id = str(uuid.uuid4())
    plan = [
        {"label": f"sprint-{number}", "goals": [], "stories": [], "dod": {"coverage_min": 0.8}}
        for number in range(1, sprints + 1)
    ]
    return {
        "id": spec_id,
        "name": "spec.yaml",
        "repo": "acme/shop",
        "branch": None,
        "title": "A shop",
        "format": "yaml",
        "storage_path": f"{spec_id}/source",
        "sha": hashlib.sha256(spec_id.encode()).hexdigest(),
        "size": 10,
        "plan": {"sprints": plan},
        "needs_approval": False,
        **changes,
    }


def adapt(value: Any) -> Any:
    is_document = isinstance(value, dict) or (
        isinstance(value, list) and not all(isinstance(one, str) for one in value)
    )
    return Jsonb(value) if is_document else value


@contextmanager
def refused(status: int, code: str) -> Iterator[None]:
    """The block must be refused by one of our rules, with this HTTP status and this code."""
    with pytest.raises(psycopg.DatabaseError) as caught:
        yield
    assert (caught.value.sqlstate, caught.value.diag.message_primary) == (f"PT{status}", code)
    assert caught.value.diag.message_detail and caught.value.diag.message_hint


@contextmanager
def forbidden() -> Iterator[None]:
    """The block must be stopped by grants or policies."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        yield
