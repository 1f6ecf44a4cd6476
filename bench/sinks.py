"""Servers that take uploads, each in a process of its own: one that forgets, moto's S3, and our own Storage."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from pydantic import SecretStr

from controlplane.store import Connection
from controlplane.tokens import mint_token
from local.gateway.keys import generate_signing_jwk
from local.postgres.bootstrap import bootstrap
from local.postgres.database import start_database
from local.stack.places import REPOSITORY_ROOT

PUBLISHABLE_KEY = "sb_publishable_bench"
BUCKET = "bench"
WAIT_SECONDS = 20.0


@contextlib.contextmanager
def forgetful_server() -> Iterator[str]:
    """The address of a server that reads every body to its end and answers 200: the least that any server does."""
    with _serving(_forget) as address:
        yield address


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    with _serving(_moto) as address:
        yield address


def empty_moto(address: str) -> None:
    """Forget every object, and make the bucket again."""
    httpx.post(f"{address}/moto-api/reset").raise_for_status()
    httpx.put(f"{address}/{BUCKET}").raise_for_status()


@dataclass(frozen=True)
class StorageServer:
    """Our gateway over a real Postgres, and the one run whose artifacts it takes."""

    connection: Connection
    run_id: str
    folder: Path
    dsn: str

    def empty(self) -> None:
        """Forget every object, row and byte."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute("delete from artifacts")
            connection.execute("delete from storage.objects")
        for blob in self.folder.rglob("*"):
            if blob.is_file():
                blob.unlink()


@contextlib.contextmanager
def storage_server(folder: Path) -> Iterator[StorageServer]:
    blobs = folder / "storage"
    blobs.mkdir()
    jwk, port, run_id = generate_signing_jwk(), _free_port(), str(uuid.uuid4())
    with start_database(folder / "postgres", ephemeral=True) as database:
        bootstrap(database, REPOSITORY_ROOT / "supabase" / "migrations")
        project_id = _begin_run(database.superuser_dsn, run_id)
        environment = os.environ | {
            "AICD_GATEWAY_PORT": str(port),
            "AICD_GATEWAY_DSN": database.authenticator_dsn,
            "AICD_GATEWAY_STORAGE_DIR": str(blobs),
            "AICD_GATEWAY_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
            "AICD_GATEWAY_SECRET_KEY": "sb_secret_bench",
            "AICD_GATEWAY_SIGNING_JWK": json.dumps(jwk),
        }
        command = [sys.executable, "-m", "local.gateway"]
        process = subprocess.Popen(command, env=environment, cwd=REPOSITORY_ROOT, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            token = mint_token(jwk, "aicd_runner", 3600, project_id=project_id, run_id=run_id)
            there = Connection(url=url, publishable_key=PUBLISHABLE_KEY, token=SecretStr(token.token))
            yield StorageServer(there, run_id, blobs, database.superuser_dsn)
        finally:
            process.terminate()
            process.communicate(timeout=10)


def _begin_run(dsn: str, run_id: str) -> str:
    """A run that has begun; its project's id."""
    ids: dict[str, Any] = {name: str(uuid.uuid4()) for name in ("organisation", "project", "spec", "sprint")}
    ids["run"] = run_id
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        for statement in (
            "insert into organisations (id, name) values (%(organisation)s, 'acme')",
            "insert into projects (id, organisation_id, name, repo)"
            " values (%(project)s, %(organisation)s, 'p', 'acme/p')",
            "insert into specs (id, project_id, repo, storage_path, sha, size, title, created_by)"
            " values (%(spec)s::uuid, %(project)s, 'p', %(spec)s::text || '/source', repeat('a', 64), 1, 't', 'a@b')",
            "insert into sprints (id, spec_id, project_id, label, state, plan_json)"
            " values (%(sprint)s, %(spec)s, %(project)s, 'S1', 'RUNNING', '{}')",
            "insert into runs (id, sprint_id, spec_id, project_id, ci_run_id, started_at)"
            " values (%(run)s, %(sprint)s, %(spec)s, %(project)s, '1', now())",
        ):
            connection.execute(statement, ids)
    return str(ids["project"])


@contextlib.contextmanager
def _serving(work: Callable[[int], None]) -> Iterator[str]:
    port = _free_port()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(port,), daemon=True)
    process.start()
    try:
        _await(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


def _forget(port: int) -> None:
    import uvicorn

    async def take(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    uvicorn.run(take, host="127.0.0.1", port=port, log_level="error", lifespan="off")  # type: ignore[arg-type]


def _moto(port: int) -> None:
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request, else
    ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False).start()
    while True:
        time.sleep(3600)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
