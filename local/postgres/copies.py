"""Copies of the bootstrapped database, one per test: a tenth of a second instead of a new server."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from local.postgres.database import MAIN_DATABASE, OWNER, Database
from local.postgres.errors import PostgresError

# Nobody connects to the template, so copying it never waits for anybody.
TEMPLATE = "aicd_template"


def create_copy(database: Database, name: str) -> str:
    """Make database `name` as `bootstrap` left the main one; its owner address.

    The first call makes the template, and needs that nobody is connected to the main database by then. The copy's
    other addresses: `database.authenticator_dsn_of(name)` and `superuser_dsn_of(name)`.
    """
    with psycopg.connect(database.superuser_dsn_of("template1"), autocommit=True) as connection:
        known = connection.execute("select 1 from pg_database where datname = %s", (TEMPLATE,)).fetchone()
        if known is None:
            _copy(connection, source=MAIN_DATABASE, target=TEMPLATE)
        _copy(connection, source=TEMPLATE, target=name)
    return database.owner_url_of(name)


def drop_copy(database: Database, name: str) -> None:
    """Remove a copy, ending the sessions that still use it."""
    with psycopg.connect(database.superuser_dsn_of("template1"), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _copy(connection: psycopg.Connection[Any], *, source: str, target: str) -> None:
    statement = sql.SQL("create database {} template {} owner {}")
    try:
        connection.execute(statement.format(*map(sql.Identifier, (target, source, OWNER))))
    except psycopg.errors.ObjectInUse as error:
        raise PostgresError(
            f"The database {source} cannot be copied.",
            cause="somebody is connected to it",
            fix="make the first copy right after bootstrap, before anything connects",
        ) from error
