"""`aicd ledger`: what was spent, by repository, requester and model.

Needs DB_URL, the address of the database's owner. Members read the table `ledger` of their projects.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from controlplane.errors import UsageError
from local.commands.operate import AsJson, OnlyRepo, open_administration, print_table
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False, help=__doc__)

COLUMNS = ("repository", "requester", "for", "model", "calls", "USD", "tokens in", "tokens out")


@app.command()
def show(
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="From this day on (UTC). Default: this month.")
    ] = None,
    repo: OnlyRepo = None,
    as_json: AsJson = False,
) -> None:
    """Show what was spent, the most expensive first."""
    begin = _parse_day(since)
    with open_administration() as operator:
        spent = operator.list_spending(begin.isoformat(), repo)
    total = sum(row["cost_usd"] for row in spent)
    if as_json:
        print_json({"since": begin.isoformat(), "total_usd": total, "spending": spent})
        return
    names = ("repo", "requester", "kind", "model", "calls", "cost_usd", "input_tokens", "output_tokens")
    print_table(COLUMNS, [tuple(str(row[name]) for name in names) for row in spent])
    say(f"{total:.2f} USD since {begin.isoformat()}.")


def _parse_day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date().replace(day=1)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no day.", fix="Write it as 2026-11-21.") from error
