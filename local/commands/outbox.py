"""`aicd outbox`: what the outbox still holds, and an operator's word on a dead letter: once more, or never again.

Needs DB_URL, the address of the database's owner; docs/drills.md walks through it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from local.commands.operate import AsJson, open_administration, parse_id, print_table
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

RowId = Annotated[str, typer.Argument(metavar="ID", help="The row's id, as `list` prints it.")]
COLUMNS = ("id", "kind", "state", "attempts", "when", "about", "last error")
WITHOUT_AN_ERROR = "-"
_PROMISE = re.compile(r"(Wait)?; the work is kept and tried again\.")


@app.command("list")
def list_rows(
    dead: Annotated[bool, typer.Option("--dead", help="Only the dead letters.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many rows.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show what is waiting or dead; dead rows first."""
    with open_administration() as operator:
        rows = operator.list_outbox("DEAD" if dead else None, limit)
    if as_json:
        print_json({"rows": rows})
        return
    print_table(COLUMNS, [_cells(row) for row in rows])
    died = sum(row["state"] == "DEAD" for row in rows)
    say(f"{len(rows)} rows, {died} of them dead.")


@app.command("requeue")
def requeue(outbox_id: RowId, as_json: AsJson = False) -> None:
    """Have a row worked off now. A work order whose run has failed meanwhile gets a new run of the same sprint."""
    with open_administration() as operator:
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
    with open_administration() as operator:
        row = operator.drop_outbox(_row_id(outbox_id), reason)
    if as_json:
        print_json({"dropped": row})
    else:
        say(f"{row['kind']} {row['id']} is dropped; the audit log keeps it with your reason.")


def _row_id(text: str) -> str:
    return parse_id(text, "a row's id", "Copy it from `aicd outbox list`.")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    kind = " ".join(word for word in (row["kind"], row["template"], row["channel"]) if word)
    when = row["dead_at"] or row["leased_until"] or row["next_attempt_at"] or row["done_at"]
    about = " ".join(word for word in (row["repo"], row["requester"]) if word)
    return (row["id"], kind, row["state"], str(row["attempts"]), str(when)[:19], about, describe_error(row))


def describe_error(row: dict[str, Any]) -> str:
    """What failed. Of a dead row the promise that was true while it was tried is left out: nobody tries it again."""
    said = " ".join((row["last_error"] or "").split())
    if row["state"] != "DEAD":
        return said or WITHOUT_AN_ERROR
    kept = " ".join(_PROMISE.sub(lambda found: "" if found[1] else ".", said).split()).removesuffix("Fix:")
    remedy = f"Nobody tries it again: mend the cause, then `aicd outbox requeue {row['id']}`."
    return f"{kept.strip()} {remedy}".strip()
