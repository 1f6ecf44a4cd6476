"""`aicd key`: keys for programs that send specifications over HTTP.

Needs DB_URL, the address of the database's owner. A project's maintainers make and revoke their keys without it, with
the verbs create_api_key_v1 and revoke_api_key_v1.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from controlplane.errors import UsageError
from local.commands.operate import AsJson, OnlyRepo, day, open_administration, parse_id, print_table
from local.commands.output import print_json, say
from local.commands.token import parse_ttl

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

COLUMNS = ("id", "key", "repository", "may", "state", "used", "USD/day", "USD/month", "name")


class Scope(StrEnum):
    """What a key may; typer repeats an option of an enumeration, and of no Literal."""

    READ = "specs:read"
    WRITE = "specs:write"


@app.command("create")
def create(
    name: Annotated[str, typer.Option(help="What it is for; shown wherever the key is listed.")],
    repo: Annotated[str | None, typer.Option(help="The repository, OWNER/NAME, that it may have built.")] = None,
    organisation: Annotated[str | None, typer.Option(help="Instead: every project of this organisation.")] = None,
    scope: Annotated[list[Scope] | None, typer.Option(help="May be repeated. Default: both.")] = None,
    expires: Annotated[str | None, typer.Option(help="How long it lives: 12h, 90d. Default: until revoked.")] = None,
    budget_day: Annotated[
        float | None, typer.Option(min=0, help="US dollars that may be spent in a day on what it hands in.")
    ] = None,
    budget_month: Annotated[float | None, typer.Option(min=0, help="US dollars in a month.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once and kept nowhere."""
    if (repo is None) == (organisation is None):
        raise UsageError(
            "A key is for one repository or for one organisation.", fix="Give --repo or --organisation, and not both."
        )
    wanted: dict[str, Any] = {"name": name, "scopes": [one.value for one in scope or Scope]}
    wanted |= {"repo": repo} if repo else {"organisation": organisation}
    if expires is not None:
        wanted["expires_in_seconds"] = parse_ttl(expires)
    budgets = {"budget_usd_day": budget_day, "budget_usd_month": budget_month}
    wanted |= {period: usd for period, usd in budgets.items() if usd is not None}
    with open_administration() as operator:
        made = operator.create_api_key(wanted)
    if as_json:
        print_json(made)
        return
    print(made["key"])
    say(f"{name}: {', '.join(made['scopes'])}. End it with: aicd key revoke {made['id']}")


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` prints it.")],
    reason: Annotated[str, typer.Option(help="For whoever reads the audit log.")] = "",
    as_json: AsJson = False,
) -> None:
    """End a key at once."""
    key_id = parse_id(key_id, "a key's id", "Copy it from `aicd key list`.")
    with open_administration() as operator:
        newly = operator.revoke_api_key(key_id, reason)
    if as_json:
        print_json({"id": key_id, "revoked": True, "newly": newly})
    else:
        say(f"{key_id} is revoked." if newly else f"{key_id} was revoked before.")


@app.command("list")
def list_keys(repo: OnlyRepo = None, as_json: AsJson = False) -> None:
    """Show the keys, without their secrets; the newest first."""
    with open_administration() as operator:
        keys = operator.list_api_keys(repo)
    if as_json:
        print_json({"keys": keys})
        return
    print_table(COLUMNS, [_cells(key) for key in keys])
    say(f"{len(keys)} keys. End one with: aicd key revoke ID")


def _cells(key: dict[str, Any]) -> tuple[str, ...]:
    state = f"revoked {day(key['revoked_at'])}" if key["revoked_at"] else f"until {day(key['expires_at']) or 'revoked'}"
    used = f"used {day(key['last_used_at'])}" if key["last_used_at"] else "never used"
    return (
        key["id"],
        f"aicd_{key['prefix']}_…",
        key["repo"] or "organisation",
        ",".join(key["scopes"]),
        state,
        used,
        *("-" if key[name] is None else f"{key[name]:.2f}" for name in ("budget_usd_day", "budget_usd_month")),
        key["name"],
    )
