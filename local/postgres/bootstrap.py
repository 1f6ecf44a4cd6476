"""From an empty cluster to a project's database: Supabase's base layer once, then our migrations in order."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from local.postgres.database import Database
from local.postgres.errors import MigrationError

BASE_DIRECTORY = Path(__file__).parent / "base"
# The Supabase CLI's rule for what is a migration; it skips every other file, and so do we.
MIGRATION_NAME = re.compile(r"(?P<version>\d+)_(?P<name>.*)\.sql")


def bootstrap(database: Database, migrations_dir: Path | None) -> list[str]:
    """Apply the base layer when it is missing, then the pending migrations; the versions applied now.

    Safe to call on every start. Raises MigrationError.
    """
    with psycopg.connect(database.superuser_dsn, autocommit=True) as connection:
        _apply_base(connection, database.role_passwords())
    if migrations_dir is None or not migrations_dir.is_dir():
        return []
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        return apply_migrations(connection, migrations_dir)


def apply_migrations(connection: psycopg.Connection[Any], folder: Path) -> list[str]:
    """Apply `<version>_<name>.sql` files not yet recorded, by name, each with its record in one transaction.

    The connection is one of role `postgres` in autocommit mode. Recorded like the Supabase CLI does it, but with the
    file's text as one statement instead of cut into many.
    """
    known = {row[0] for row in connection.execute("select version from supabase_migrations.schema_migrations")}
    applied = []
    for path in sorted(folder.glob("*.sql")):
        match = MIGRATION_NAME.fullmatch(path.name)
        if match is None or match["version"] in known:
            continue
        _apply_migration(connection, path, match["version"], match["name"])
        applied.append(match["version"])
    return applied


def _apply_migration(connection: psycopg.Connection[Any], path: Path, version: str, name: str) -> None:
    text = path.read_text(encoding="utf-8")
    try:
        with connection.transaction():
            _execute_script(connection, text)
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)",
                (version, name, [text]),
            )
            # What a script sets for its session must not reach the next one.
            connection.execute("reset all")
    except psycopg.Error as error:
        raise MigrationError(
            f"The migration {path.name} failed{_locate(error, text)}: {error.diag.message_primary or error}",
            cause=f"SQLSTATE {error.sqlstate}. {error.diag.message_hint or 'The statement does not fit the database'}",
            fix="correct the file; it was rolled back as a whole, and is tried again at the next start",
        ) from error


def _apply_base(connection: psycopg.Connection[Any], passwords: dict[str, str]) -> None:
    files = sorted(BASE_DIRECTORY.glob("*.sql"))
    fingerprint = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
    present = _base_fingerprint(connection)
    if present == fingerprint:
        return
    if present is not None:
        raise MigrationError(
            "This data directory was made by another version of the embedded stack.",
            cause="the base layer under the migrations has changed since",
            fix="remove the data directory and start again",
        )
    with connection.transaction():
        for path in files:
            _execute_script(connection, path.read_text(encoding="utf-8"))
        for role, password in passwords.items():
            _set_password(connection, role, password)
        connection.execute(sql.SQL("comment on schema local_guard is {}").format(sql.Literal(fingerprint)))


def _base_fingerprint(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = 'local_guard'"
    ).fetchone()
    return row[0] if row else None


def _set_password(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    # Encrypted on our side, so that the words never pass through the server's log.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(verifier)))


def _execute_script(connection: psycopg.Connection[Any], text: str) -> None:
    # Without parameters psycopg sends the text as it is, and a percent sign in it means nothing.
    connection.execute(text)


def _locate(error: psycopg.Error, text: str) -> str:
    position = error.diag.statement_position
    return f" in line {text[: int(position)].count(chr(10)) + 1}" if position else ""
