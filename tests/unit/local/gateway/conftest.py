"""One database and one gateway process for all tests of this folder, with tables that use what the gateway knows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from supabase.lib.client_options import SyncClientOptions

from local.gateway.keys import generate_opaque_key, generate_signing_jwk, mint_jwt
from local.postgres.bootstrap import bootstrap
from local.postgres.database import Database, start_database
from supabase import Client, create_client

SCHEMA = Path(__file__).with_name("schema.sql")
# One for all: each new client reads every certificate of the machine first.
http = httpx.Client(timeout=20)
EMPTY = "truncate notes, books, authors, tags, book_tags restart identity cascade"
ALICE = str(uuid.UUID(int=1))
BOB = str(uuid.UUID(int=2))


class Stack(NamedTuple):
    """A running gateway and what opens it."""

    url: str
    publishable_key: str
    secret_key: str
    jwk: dict[str, Any]
    database: Database
    storage_dir: Path
    process: subprocess.Popen[str]

    def token(self, **claims: Any) -> str:
        ttl = claims.pop("ttl_seconds", 600)
        return mint_jwt(self.jwk, {"role": "authenticated", **claims}, ttl)

    def client(self, token: str | None = None, *, key: str | None = None) -> Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        options = SyncClientOptions(headers=headers, auto_refresh_token=False, persist_session=False)
        return create_client(self.url, key or self.publishable_key, options)


def start_gateway(database: Database, directory: Path) -> Stack:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    jwk = generate_signing_jwk()
    publishable, secret = generate_opaque_key("publishable"), generate_opaque_key("secret")
    environment = {
        **os.environ,
        "AICD_GATEWAY_PORT": str(port),
        "AICD_GATEWAY_DSN": database.authenticator_dsn,
        "AICD_GATEWAY_STORAGE_DIR": str(directory),
        "AICD_GATEWAY_PUBLISHABLE_KEY": publishable,
        "AICD_GATEWAY_SECRET_KEY": secret,
        "AICD_GATEWAY_SIGNING_JWK": json.dumps(jwk),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "local.gateway"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        line = output.readline()
    assert line, "the gateway ended before it was ready"
    ready = json.loads(line)
    return Stack(ready["url"], publishable, secret, jwk, database, directory, process)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # With PG_BIN set, the whole folder runs on another version.
    pg_bin = Path(os.environ["PG_BIN"]) if os.environ.get("PG_BIN") else None
    with http, start_database(tmp_path_factory.mktemp("database"), ephemeral=True, pg_bin=pg_bin) as database:
        bootstrap(database, None)
        with psycopg.connect(database.owner_url) as connection:
            connection.execute(SCHEMA.read_text())
        stack = start_gateway(database, tmp_path_factory.mktemp("objects"))
        try:
            yield stack
        finally:
            stack.process.terminate()
            stack.process.wait(10)


@pytest.fixture
def as_owner(gateway: Stack) -> Iterator[Callable[..., Any]]:
    """Run SQL as the owner of the database."""
    with psycopg.connect(gateway.database.owner_url, autocommit=True) as connection:

        def run(statement: str, *parameters: Any) -> Any:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else None

        yield run


@pytest.fixture
def empty(as_owner: Callable[..., Any]) -> None:
    """No notes, no books, no objects."""
    as_owner(EMPTY)


@pytest.fixture(scope="session")
def alice(gateway: Stack) -> Client:
    return gateway.client(gateway.token(sub=ALICE))


@pytest.fixture(scope="session")
def bob(gateway: Stack) -> Client:
    return gateway.client(gateway.token(sub=BOB))


@pytest.fixture(scope="session")
def stranger(gateway: Stack) -> Client:
    """The publishable key and no token."""
    return gateway.client()
