"""The embedded stack, cold and warm, against a bare start of the same Postgres binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from bench.measure import Measure, compare, timed
from local.postgres.account import choose_account
from local.postgres.binaries import find_binaries, make_runnable
from local.postgres.bootstrap import bootstrap
from local.postgres.database import start_database
from local.stack.places import REPOSITORY_ROOT
from local.stack.supervisor import Stack, StackOptions

MIGRATIONS = REPOSITORY_ROOT / "supabase" / "migrations"


def run() -> list[Measure]:
    with tempfile.TemporaryDirectory(prefix="aicd-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        bare = BarePostgres(folder / "bare")
        return [
            compare(
                "database cold (initdb, base layer, migrations)",
                lambda: _database(folder, cold=True),
                "bare initdb and start",
                bare.cold,
            ),
            compare("database warm", lambda: _database(folder, cold=False), "bare start", bare.warm),
            compare(
                "whole stack cold", lambda: _stack(folder, cold=True), "bare initdb and start", bare.cold, rounds=3
            ),
            compare("whole stack warm", lambda: _stack(folder, cold=False), "bare start", bare.warm, rounds=3),
        ]


class BarePostgres:
    """initdb, pg_ctl and a connection, with the binaries that the stack uses and default settings."""

    def __init__(self, folder: Path) -> None:
        self._account = choose_account()
        self._binaries = make_runnable(find_binaries(None), self._account).bin_dir
        self._folder = folder

    def cold(self) -> float:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        user = self._user()
        if user:
            os.chown(self._folder, pwd.getpwnam(user).pw_uid, -1)
        seconds = timed(self._initdb) + timed(self._start)
        self._stop()
        return seconds

    def warm(self) -> float:
        if not (self._folder / "PG_VERSION").exists():
            self.cold()
        seconds = timed(self._start)
        self._stop()
        return seconds

    def _user(self) -> str | None:
        return "nobody" if os.geteuid() == 0 else None

    def _command(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, user=self._user(), cwd="/", env={"LANG": "C.UTF-8"})

    def _initdb(self) -> None:
        self._command(str(self._binaries / "initdb"), "-D", str(self._folder), "-U", "postgres", "--auth=trust")

    def _start(self) -> None:
        options = f"-c listen_addresses='' -k {self._folder}"
        log = str(self._folder / "log")
        self._command(str(self._binaries / "pg_ctl"), "-D", str(self._folder), "-w", "-l", log, "-o", options, "start")

    def _stop(self) -> None:
        self._command(str(self._binaries / "pg_ctl"), "-D", str(self._folder), "-m", "immediate", "stop")


def _database(folder: Path, *, cold: bool) -> float:
    data = folder / "database"
    if cold:
        shutil.rmtree(data, ignore_errors=True)
    started = time.perf_counter()
    database = start_database(data, ephemeral=False)
    bootstrap(database, MIGRATIONS)
    seconds = time.perf_counter() - started
    database.stop()
    return seconds


def _stack(folder: Path, *, cold: bool) -> float:
    data = folder / "stack"
    if cold:
        shutil.rmtree(data, ignore_errors=True)
    started = time.perf_counter()
    with Stack(StackOptions(data=data, fixed_ports=False)):
        return time.perf_counter() - started
