"""`aicd outbox`: what the outbox still holds, and an operator's word on a dead letter: once more, or never again.

Needs DB_URL, the address of the database's owner; docs/drills.md walks through it.
"""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.errors import UsageError
from local.commands.output import print_json, say

if TYPE_CHECKING:
    from local.administration import Administration

app = typer.Typer(no_args_is_help=True, help=__doc__)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
RowId = Annotated[str, typer.Argument(metavar="ID", help="The row's id, as `list` prints it.")]
COLUMNS = ("id", "kind", "state", "attempts", "when", "about", "last error")
WITHOUT_AN_ERROR = "-"


@app.command("list")
def list_rows(
    dead: Annotated[bool, typer.Option("--dead", help="Only the dead letters.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many rows.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show what is waiting or dead; dead rows first."""
    with _open() as operator:
        rows = operator.list_outbox("DEAD" if dead else None, limit)
    if as_json:
        print_json({"rows": rows})
        return
    if rows:
        _print_table([_cells(row) for row in rows])
    died = sum(row["state"] == "DEAD" for row in rows)
    say(f"{len(rows)} rows, {died} of them dead.{' Heal one with: aicd outbox requeue ID' if died else ''}")


@app.command("requeue")
def requeue(outbox_id: RowId, as_json: AsJson = False) -> None:
    """Have a row worked off now. A work order whose run has failed meanwhile gets a new run of the same sprint."""
    with _open() as operator:
        answer = operator.requeue_outbox(_row_id(outbox_id))
    if as_json:
        print_json(answer)
        return
    said = {
        "due": "It is due now; its function takes it up within a minute.",
        "leased": f"A worker holds it until {answer['row']['leased_until']}; nothing was changed.",
        "replaced": f"Its run had failed, so its sprint has a new one: {answer['run_id']}. Its work order is due now.",
    }
    say(said[answer["outcome"]])


@app.command("drop")
def drop(
    outbox_id: RowId,
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit log.")],
    as_json: AsJson = False,
) -> None:
    """Take a dead row away for good. What it was stays in the audit log."""
    with _open() as operator:
        row = operator.drop_outbox(_row_id(outbox_id), reason)
    if as_json:
        print_json({"dropped": row})
    else:
        say(f"{row['kind']} {row['id']} is dropped; the audit log keeps it with your reason.")


def _open() -> Administration:
    from local.administration import Administration

    db_url = os.environ.get("DB_URL", "")
    if not db_url:
        raise UsageError(
            "DB_URL is not set.", fix="Set it to the address of the database's owner.", code="db-url-missing"
        )
    return Administration(db_url)


def _row_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise UsageError(f"'{text}' is not a row's id.", fix="Copy it from `aicd outbox list`.") from error


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    kind = f"{row['kind']} {row['template'] or ''}".strip()
    when = row["dead_at"] or row["leased_until"] or row["next_attempt_at"] or row["done_at"]
    about = " ".join(word for word in (row["repo"], row["requester"]) if word)
    error = " ".join((row["last_error"] or WITHOUT_AN_ERROR).split())
    return (row["id"], kind, row["state"], str(row["attempts"]), str(when)[:19], about, error)


def _print_table(cells: list[tuple[str, ...]]) -> None:
    """A table on a terminal, lines with tabs elsewhere."""
    if not sys.stdout.isatty():
        for row in (COLUMNS, *cells):
            print("\t".join(_plain(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*COLUMNS, box=None)
    for row in cells:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    Console().print(table)


def _plain(text: str) -> str:
    """Without control characters: an error may quote what somebody sent."""
    return "".join(character if character.isprintable() else " " for character in text)
