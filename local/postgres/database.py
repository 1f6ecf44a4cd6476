"""A running database with its addresses: what the stack, the tests and the gateway ask for."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from local.postgres.account import Account, choose_account
from local.postgres.binaries import find_binaries, make_runnable
from local.postgres.cluster import SUPERUSER, Cluster, prepare_cluster, remove_cluster
from local.postgres.lock import DirectoryLock
from local.postgres.private_area import ensure_owned_directory, open_private_area
from local.postgres.server import PostgresServer

# Supabase's names: the database and the role that owns it, and the role that the API logs in as.
MAIN_DATABASE = "postgres"
OWNER = "postgres"
AUTHENTICATOR = "authenticator"


class Database:
    """A running server and the roles' addresses in it. The roles exist once `bootstrap` has run."""

    def __init__(self, server: PostgresServer, cluster: Cluster, lock: DirectoryLock, *, ephemeral: bool) -> None:
        self._server = server
        self._cluster = cluster
        self._lock = lock
        self._ephemeral = ephemeral

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it does not run."""
        return self._server.pid

    @property
    def log_path(self) -> Path:
        return self._cluster.log_path

    @property
    def owner_url(self) -> str:
        """Role `postgres` over TCP, with its password: for psql, and for whoever applies migrations."""
        return self.owner_url_of(MAIN_DATABASE)

    @property
    def authenticator_dsn(self) -> str:
        """The API's login role over the socket."""
        return self.authenticator_dsn_of(MAIN_DATABASE)

    @property
    def superuser_dsn(self) -> str:
        """`supabase_admin` over the socket. Not for migrations: what it can do, nobody can do in the cloud."""
        return self.superuser_dsn_of(MAIN_DATABASE)

    def owner_url_of(self, database: str) -> str:
        password = quote(self._cluster.credentials.owner, safe="")
        return f"postgresql://{OWNER}:{password}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def authenticator_dsn_of(self, database: str) -> str:
        return self._socket_dsn(AUTHENTICATOR, self._cluster.credentials.authenticator, database)

    def superuser_dsn_of(self, database: str) -> str:
        return self._socket_dsn(SUPERUSER, self._cluster.credentials.superuser, database)

    def role_passwords(self) -> dict[str, str]:
        """The passwords that `bootstrap` gives to the login roles it makes."""
        return {OWNER: self._cluster.credentials.owner, AUTHENTICATOR: self._cluster.credentials.authenticator}

    def stop(self) -> None:
        """Stop the server; an ephemeral database is deleted. Stopping twice is fine."""
        self._server.stop()
        shutil.rmtree(self._server.socket_dir, ignore_errors=True)
        if self._ephemeral:
            remove_cluster(self._cluster)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _socket_dsn(self, role: str, password: str, database: str) -> str:
        host = quote(str(self._server.socket_dir), safe="")
        return (
            f"postgresql://{role}:{quote(password, safe='')}@/{quote(database, safe='')}?host={host}&port={self.port}"
        )


def start_database(data_dir: Path, *, ephemeral: bool, pg_bin: Path | None = None, port: int | None = None) -> Database:
    """Start a server on `data_dir`, making the cluster first when there is none.

    `ephemeral`: deleted by `stop`, and not safe against a power failure (it is safe against any kill).
    `port`: on 127.0.0.1; without one, any free port. Call it from the main thread: on Linux the server then dies
    with us, even from SIGKILL. Raises PostgresError and its kinds, each with the fix.
    """
    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = DirectoryLock(data_dir).acquire()
    try:
        account = choose_account()
        binaries = make_runnable(find_binaries(pg_bin), account)
        cluster = prepare_cluster(data_dir, binaries, account, is_ephemeral=ephemeral)
        server = PostgresServer(
            binaries=binaries,
            cluster=cluster,
            account=account,
            socket_dir=_make_socket_directory(data_dir, account),
            ephemeral=ephemeral,
            port=port,
        )
        return Database(server.start(), cluster, lock, ephemeral=ephemeral)
    except BaseException:
        lock.release()
        raise


def _make_socket_directory(data_dir: Path, account: Account) -> Path:
    """A directory for one data directory's socket, always the same, with a path short enough for a socket."""
    run = ensure_owned_directory(open_private_area() / "run", 0o711)
    socket_dir = run / hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    # What is there belongs to a dead server of this data directory: we hold its lock.
    shutil.rmtree(socket_dir, ignore_errors=True)
    socket_dir.mkdir(mode=0o700)
    account.take_over(socket_dir)
    return socket_dir
