"""`aicd member`: who belongs to an organisation or a project, and as what.

Needs DB_URL, the address of the database's owner. A member is somebody with an account in the project's Auth: he signs
up or is invited first. Who may what stands in docs/states.md and docs/architecture.md.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from controlplane.errors import UsageError
from local.commands.operate import AsJson, day, open_administration, parse_id, print_table
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Who = Annotated[str, typer.Argument(metavar="WHO", help="His account's e-mail address, or its id.")]
Repo = Annotated[str | None, typer.Option(help="The project's repository, OWNER/NAME.")]
Organisation = Annotated[str | None, typer.Option(help="Instead: the organisation's name.")]
COLUMNS = ("who", "role", "repository", "organisation", "since", "account")


@app.command("add")
def add(
    who: Who,
    role: Annotated[
        str,
        typer.Option(help="In a project: maintainer, developer, viewer. In an organisation: owner, admin, member."),
    ],
    repo: Repo = None,
    organisation: Organisation = None,
    as_json: AsJson = False,
) -> None:
    """Let somebody in, or change his role. It counts from his next request on."""
    with open_administration() as operator:
        made = operator.add_member({**_membership(who, repo, organisation), "role": role})
    if as_json:
        print_json(made)
        return
    was = f" (was {made['was']})" if made["was"] not in (None, role) else ""
    say(f"{who} is {role} of {repo or organisation}{was}.")


@app.command("remove")
def remove(who: Who, repo: Repo = None, organisation: Organisation = None, as_json: AsJson = False) -> None:
    """Take somebody out. What he could see there is gone with his next request."""
    with open_administration() as operator:
        removed = operator.remove_member(_membership(who, repo, organisation))
    if as_json:
        print_json({"removed": removed})
    else:
        say(f"{who} {'belongs no more' if removed else 'did not belong'} to {repo or organisation}.")


@app.command("list")
def list_members(repo: Repo = None, organisation: Organisation = None, as_json: AsJson = False) -> None:
    """Show who belongs where; of a repository also the owners and admins of its organisation."""
    with open_administration() as operator:
        members = operator.list_members(repo, organisation)
    if as_json:
        print_json({"members": members})
        return
    print_table(COLUMNS, [_cells(member) for member in members])
    say(f"{len(members)} members.")


def _membership(who: str, repo: str | None, organisation: str | None) -> dict[str, str]:
    if (repo is None) == (organisation is None):
        raise UsageError(
            "A membership is in one project or in one organisation.",
            fix="Give --repo or --organisation, and not both.",
        )
    person = {"email": who} if "@" in who else {"user_id": parse_id(who, "an address or an account's id", "Give one.")}
    return person | ({"repo": repo} if repo is not None else {"organisation": str(organisation)})


def _cells(member: dict[str, Any]) -> tuple[str, ...]:
    return (
        member["email"] or "-",
        member["role"],
        member["repo"] or "(all of it)",
        member["organisation"],
        day(member["created_at"]),
        member["user_id"],
    )
