"""`aicd retention`: how long rows and stored objects are kept. Nothing expires unless it is set here.

Needs DB_URL, the address of the database's owner. `tick` removes what is older, rows and objects together.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

from controlplane.errors import UsageError
from local.commands.operate import AsJson, day, open_administration, print_table
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

FOREVER = "forever"
COLUMNS = ("what", "kept for", "changed")


@app.command("list")
def list_retention(as_json: AsJson = False) -> None:
    """Show what can expire, and when it does."""
    with open_administration() as operator:
        policies = operator.list_retention()
    if as_json:
        print_json({"retention": policies})
        return
    print_table(
        COLUMNS,
        [
            (f"{one['kind']}:{one['name']}", _span(one["keep_days"]), day(one["changed_at"]) or "never")
            for one in policies
        ],
    )


@app.command("set")
def set_retention(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="As `list` prints it: table:status_events, bucket:specs …")
    ],
    days: Annotated[str, typer.Argument(metavar="DAYS", help="How many days, or `forever`.")],
    as_json: AsJson = False,
) -> None:
    """Keep something for so long. A specification goes with everything that was made of it."""
    kind, _, name = what.partition(":")
    if kind not in ("table", "bucket") or not name:
        raise UsageError(f"'{what}' is nothing that expires.", fix="Copy it from `aicd retention list`.")
    keep_days = _parse_days(days)
    with open_administration() as operator:
        policy = operator.set_retention(cast(Literal["table", "bucket"], kind), name, keep_days)
    if as_json:
        print_json(policy)
    else:
        say(f"{what} is kept {_span(keep_days)}.")


def _parse_days(text: str) -> int | None:
    if text == FOREVER:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 36_500):
        raise UsageError(f"'{text}' is no number of days.", fix=f"Write 1 to 36500, or {FOREVER}.")
    return int(text)


def _span(keep_days: int | None) -> str:
    return "for ever" if keep_days is None else f"{keep_days} days"
