"""`aicd sender`: who may have something built by mail, how much of it, and for how much money.

Needs DB_URL, the address of the database's owner.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from controlplane.errors import UsageError
from local.commands.operate import AsJson, OnlyRepo, open_administration, print_table
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Pattern = Annotated[str, typer.Argument(metavar="PATTERN", help="An address, or everybody of a domain: *@example.com.")]
Budget = float | None
COLUMNS = ("pattern", "repository", "a day", "approval", "USD a day", "USD a month", "branches")


@app.command("allow")
def allow(
    pattern: Pattern,
    repo: Annotated[str | None, typer.Option(help="The repository, OWNER/NAME. Default: every one.")] = None,
    daily_limit: Annotated[int | None, typer.Option(min=0, help="Specifications in 24 hours; 100 at first.")] = None,
    needs_approval: Annotated[
        bool | None,
        typer.Option("--needs-approval/--needs-no-approval", help="Whether a maintainer approves his plans first."),
    ] = None,
    budget_day: Annotated[Budget, typer.Option(min=0, help="US dollars that an address may spend in a day.")] = None,
    budget_month: Annotated[Budget, typer.Option(min=0, help="US dollars in a month.")] = None,
    no_budget: Annotated[bool, typer.Option("--no-budget", help="Take both limits of money away.")] = False,
    branch: Annotated[
        list[str] | None,
        typer.Option(help="A branch that he may have work done on, * stands for anything. May be repeated."),
    ] = None,
    any_branch: Annotated[bool, typer.Option("--any-branch", help="Every branch that the project allows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put somebody on the allow-list, or change what he may. What is not given stays as it is."""
    options: dict[str, Any] = {"daily_limit": daily_limit, "needs_approval": needs_approval}
    options |= {"budget_usd_day": budget_day, "budget_usd_month": budget_month}
    options = {name: value for name, value in options.items() if value is not None or (no_budget and "budget" in name)}
    if branch and any_branch:
        raise UsageError("--branch and --any-branch contradict each other.", fix="Give one of them.")
    options |= {"branches": branch} if branch or any_branch else {}
    with open_administration() as operator:
        made = operator.allow_sender(pattern, repo, options)
    if as_json:
        print_json(made)
    else:
        say(f"{made['pattern']} may have things built in {repo or 'every repository'}.")


@app.command("remove")
def remove(pattern: Pattern, as_json: AsJson = False) -> None:
    """Take a pattern off the allow-list, for every repository. What was accepted is still built."""
    with open_administration() as operator:
        removed = operator.disallow_sender(pattern)
    if as_json:
        print_json({"removed": removed})
    else:
        say(f"{removed} rows were removed.")


@app.command("list")
def list_senders(repo: OnlyRepo = None, as_json: AsJson = False) -> None:
    """Show the allow-list."""
    with open_administration() as operator:
        senders = operator.list_senders(repo)
    if as_json:
        print_json({"senders": senders})
        return
    print_table(COLUMNS, [_cells(sender) for sender in senders])
    say(f"{len(senders)} rows.")


def _cells(sender: dict[str, Any]) -> tuple[str, ...]:
    return (
        sender["pattern"],
        sender["repo"] or "(every one)",
        str(sender["daily_limit"]),
        "first" if sender["needs_approval"] else "-",
        *("-" if sender[name] is None else f"{sender[name]:.2f}" for name in ("budget_usd_day", "budget_usd_month")),
        ", ".join(sender["branches"] or ["(all)"]),
    )
