"""The real Supabase CLI, where it is present: it reads our configuration and applies what we wrote; its advisors agree.

It works on any database that it is given (--remote), so neither Docker nor an account is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres.bootstrap import bootstrap
from local.postgres.database import Database, start_database
from tests.database.advisors import RULES

pytestmark = pytest.mark.database

ROOT = Path(__file__).parents[2]
MIGRATIONS = sorted((ROOT / "supabase" / "migrations").glob("*.sql"))


def command_line() -> str:
    """The Supabase CLI, from $SUPABASE_CLI or PATH; without it the test is skipped, visibly."""
    found = os.environ.get("SUPABASE_CLI") or shutil.which("supabase")
    if not found:
        pytest.skip("the Supabase CLI is not here: npm install supabase, and set SUPABASE_CLI to its binary")
    return found


def run_cli(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "SUPABASE_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [command_line(), "--workdir", str(folder), *arguments],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the CLI's project: the CLI writes beside its configuration."""
    shutil.copytree(ROOT / "supabase", tmp_path / "supabase", ignore=shutil.ignore_patterns(".temp", ".branches"))
    return tmp_path


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A project's database before its first migration."""
    command_line()
    with start_database(tmp_path_factory.mktemp("cli") / "data", ephemeral=True) as database:
        bootstrap(database, None)
        yield database


def test_cli_pushes_migrations_and_seed_and_its_advisors_agree(empty: Database, project: Path) -> None:
    address = empty.owner_url + "?sslmode=disable"
    run_cli(project, "db", "push", "--include-all", "--include-seed", "--yes", "--remote", address)
    with psycopg.connect(empty.owner_url) as connection:
        # The CLI cuts each file into statements of its own reckoning.
        recorded = connection.execute(
            "select version, cardinality(statements) from supabase_migrations.schema_migrations"
        )
        applied: dict[str, int] = dict(recorded.fetchall())
        assert set(applied) == {path.name.split("_")[0] for path in MIGRATIONS}
        assert sum(applied.values()) > 100
        assert connection.execute("select email from mailboxes").fetchall() == [("specs@example.com",)]
        assert connection.execute("select repo from projects").fetchall() == [("example/hello",)]
    # What the CLI has recorded, our own `bootstrap` takes for applied, and the other way round.
    assert bootstrap(empty, ROOT / "supabase" / "migrations") == []
    assert "up to date" in run_cli(project, "db", "push", "--include-all", "--yes", "--remote", address)
    output = run_cli(project, "db", "advisors", "--remote", address, "--type", "all", "--level", "info")
    found = {
        (one["name"], f"{one['metadata']['schema']}.{one['metadata']['name']}")
        for one in json.loads(output)
        # The embedded stack's own stand-ins for what the cloud brings along; and indexes that no test has used yet.
        if one["metadata"]["schema"] not in ("local_guard", "auth", "storage") and one["name"] != "unused_index"
    }
    allowed = {
        (rule.name, subject if "." in subject else f"public.{subject}") for rule in RULES for subject in rule.allowed
    }
    # Nobody is granted anything in `private`, so that a table without policies there is as it should be.
    found = {one for one in found if not (one[0] == "rls_enabled_no_policy" and one[1].startswith("private."))}
    assert found <= allowed
    assert ("rls_enabled_no_policy", "public.outbox") in found, "the advisors did look"
