"""What the operator's commands share: the door to the database, ids as arguments, and tables.

They need DB_URL, the address of the database's owner.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.errors import UsageError

if TYPE_CHECKING:
    from local.administration import Administration

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
OnlyRepo = Annotated[str | None, typer.Option("--repo", help="Only this repository's, OWNER/NAME.")]


def open_administration() -> Administration:
    """The operator's verbs, as a context manager. Raises UsageError without DB_URL."""
    from local.administration import Administration

    db_url = os.environ.get("DB_URL", "")
    if not db_url:
        raise UsageError(
            "DB_URL is not set.",
            fix="Set it to the address of the database's owner; `aicd up` prints the embedded stack's.",
            code="db-url-missing",
        )
    return Administration(db_url)


def parse_id(text: str, what: str, fix: str) -> str:
    """A uuid as the database writes it. Raises UsageError: '…' is not `what`."""
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise UsageError(f"'{text}' is not {what}.", fix=fix) from error


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, lines with tabs elsewhere; nothing where there are no rows."""
    if not rows:
        return
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print("\t".join(plain(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None)
    for row in rows:
        # Text, not str: what somebody sent is no markup.
        table.add_row(*(Text(plain(cell)) for cell in row))
    Console().print(table)


def plain(text: str) -> str:
    """In one line and without control characters: a cell may quote what somebody sent."""
    return "".join(character if character.isprintable() else " " for character in text)


def day(moment: str | None) -> str:
    """The date of a timestamp; nothing for none."""
    return str(moment or "")[:10]
