"""Starting, stopping and dying."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres.bootstrap import bootstrap
from local.postgres.database import Database, start_database
from local.postgres.errors import DataDirectoryBusyError, PostgresError

DEBIAN = Path("/usr/lib/postgresql/15/bin")
PROGRAM = """
import sys, time
from pathlib import Path
from local.postgres.database import start_database
database = start_database(Path(sys.argv[1]), ephemeral=False)
print(database.pid, database.superuser_dsn, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stopped cluster, made once: each test starts it, harms it, and leaves it fit to be started again."""
    directory = tmp_path_factory.mktemp("data")
    with start_database(directory, ephemeral=False) as database, psycopg.connect(database.superuser_dsn) as connection:
        connection.execute("create table kept (id int)")
    yield directory
    start_database(directory, ephemeral=True).stop()


def fetch(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def is_gone(pid: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def write_row(database: Database) -> int:
    """A row that no other test wrote."""
    number = time.monotonic_ns() % 2**31
    with psycopg.connect(database.superuser_dsn, autocommit=True) as connection:
        connection.execute("insert into kept values (%s)", (number,))
    return number


def holds(database: Database, number: int) -> bool:
    return fetch(database.superuser_dsn, f"select count(*) from kept where id = {number}") == 1


def cluster_of(database: Database) -> Path:
    return Path(str(fetch(database.superuser_dsn, "show data_directory")))


def test_data_and_passwords_outlive_a_stop(data_dir: Path) -> None:
    with start_database(data_dir, ephemeral=False) as database:
        number, address = write_row(database), database.owner_url
    with start_database(data_dir, ephemeral=False, port=database.port) as again:
        assert holds(again, number)
        assert again.owner_url == address


def test_stop_ends_the_process_and_an_ephemeral_cluster(tmp_path: Path) -> None:
    database = start_database(tmp_path, ephemeral=True)
    pid, sockets = database.pid, Path(str(fetch(database.superuser_dsn, "show unix_socket_directories")))
    cluster = cluster_of(database)
    database.stop()
    database.stop()
    assert pid is not None
    assert is_gone(pid, 0.5)
    assert not cluster.exists()
    assert not sockets.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "postgres.log"}


@pytest.mark.parametrize("is_ephemeral", [True, False])
def test_committed_rows_survive_a_killed_postmaster(data_dir: Path, is_ephemeral: bool) -> None:
    database = start_database(data_dir, ephemeral=is_ephemeral)
    number = write_row(database)
    assert database.pid is not None
    os.kill(database.pid, signal.SIGKILL)
    # Its owner is gone as well: nobody stops, nobody tidies up.
    database._lock.release()
    with start_database(data_dir, ephemeral=False) as again:
        assert holds(again, number)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to keep clusters outside of closed directories")
def test_cluster_of_a_killed_ephemeral_owner_is_swept_up(tmp_path: Path, data_dir: Path) -> None:
    killed = start_database(tmp_path, ephemeral=True)
    cluster = cluster_of(killed)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    assert is_gone(killed.pid)
    start_database(data_dir, ephemeral=False).stop()
    assert cluster.exists(), "its owner still holds the lock"
    killed._lock.release()
    start_database(data_dir, ephemeral=False).stop()
    assert not cluster.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_server_dies_with_its_owner_and_the_next_start_recovers(data_dir: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, dsn = owner.stdout.readline().split()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("insert into kept values (-1)")
        owner.kill()
    assert is_gone(int(pid))
    with start_database(data_dir, ephemeral=False) as again:
        assert holds(again, -1)


def test_orphan_of_a_dead_owner_is_ended(data_dir: Path) -> None:
    """As after a start from a worker thread, or on a system that does not tell a child of its parent's death."""
    orphan = start_database(data_dir, ephemeral=False)
    pid = orphan.pid
    orphan._lock.release()
    with start_database(data_dir, ephemeral=False) as again:
        assert pid is not None
        assert again.pid != pid
        assert is_gone(pid, 0.5)


def test_pid_file_that_names_a_stranger_is_not_believed(data_dir: Path) -> None:
    with start_database(data_dir, ephemeral=False) as database:
        cluster = cluster_of(database)
    (cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster}\n0\n1\n\n\n\n\n")
    with start_database(data_dir, ephemeral=False) as again:
        assert fetch(again.superuser_dsn, "select 1") == 1


def test_second_owner_of_a_directory_is_turned_away(data_dir: Path) -> None:
    with start_database(data_dir, ephemeral=False), pytest.raises(DataDirectoryBusyError) as caught:
        start_database(data_dir, ephemeral=False)
    assert "stop that one" in caught.value.fix


def test_broken_off_initdb_is_done_again(tmp_path: Path) -> None:
    with start_database(tmp_path, ephemeral=False) as database:
        cluster = cluster_of(database)
    (cluster / "PG_VERSION").unlink()
    with start_database(tmp_path, ephemeral=True) as again:
        assert fetch(again.superuser_dsn, "select 1") == 1


def test_taken_port_is_named(data_dir: Path, database: Database) -> None:
    with pytest.raises(PostgresError, match=f"127.0.0.1:{database.port}") as caught:
        start_database(data_dir, ephemeral=False, port=database.port)
    assert "another port" in caught.value.fix
    # And the failed start left the directory free.
    start_database(data_dir, ephemeral=False).stop()


def test_other_major_version_is_refused(data_dir: Path) -> None:
    with start_database(data_dir, ephemeral=False) as database:
        version = cluster_of(database) / "PG_VERSION"
    number = version.read_text()
    version.write_text("12\n")
    with pytest.raises(PostgresError, match="written by Postgres 12"):
        start_database(data_dir, ephemeral=False)
    version.write_text(number)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason=f"no Postgres 15 in {DEBIAN}")
def test_distribution_binaries_serve_as_well(tmp_path: Path, migrations: Path) -> None:
    with start_database(tmp_path / "data", ephemeral=True, pg_bin=DEBIAN) as database:
        assert bootstrap(database, migrations) == ["20260101000000", "20260102000000"]
        assert str(fetch(database.owner_url, "show server_version")).startswith("15.")


def test_command_prints_the_address_and_ends_on_sigterm_however_long_the_path(tmp_path: Path, migrations: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "local.postgres",
        "--data",
        str(tmp_path / "data"),
        "--migrations",
        str(migrations),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, _, address = process.stdout.readline().strip().partition("=")
        assert name == "DB_URL"
        assert fetch(address.strip('"'), "select note from first") == "100%"
        process.terminate()
        assert process.wait(10) == 0
