"""`aicd project`: the repositories that things are built in, and what holds there (docs/projects.md).

Needs DB_URL, the address of the database's owner.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from controlplane.errors import NotFound, UsageError
from local.commands.operate import AsJson, day, open_administration, print_table
from local.commands.output import print_json, say
from local.commands.policykeys import parse_setting, require_key

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Repo = Annotated[str, typer.Argument(metavar="REPO", help="The repository, OWNER/NAME.")]
COLUMNS = ("repository", "organisation", "branch", "workflow", "pinned", "since", "policy")


@app.command("add")
def add(
    repo: Repo,
    organisation: Annotated[str | None, typer.Option(help="Whose it is. Default at first: OWNER.")] = None,
    default_branch: Annotated[str | None, typer.Option(help="Default at first: main.")] = None,
    workflow: Annotated[str | None, typer.Option(help="The workflow's file. Default at first: aicd.yml.")] = None,
    repository_id: Annotated[int | None, typer.Option(min=1, help="GitHub's number of the repository.")] = None,
    owner_id: Annotated[int | None, typer.Option(min=1, help="GitHub's number of its owner.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have things built in a repository, or change what is said of it. What is not given stays as it is."""
    if (repository_id is None) != (owner_id is None):
        raise UsageError(
            "A repository is pinned by both of its numbers.",
            fix="Give --repository-id and --owner-id (docs/tokens.md).",
        )
    given: dict[str, Any] = {
        "repo": repo,
        "organisation": organisation,
        "default_branch": default_branch,
        "workflow": workflow,
        "repository_id": repository_id,
        "repository_owner_id": owner_id,
    }
    with open_administration() as operator:
        made = operator.create_project({name: value for name, value in given.items() if value is not None})
    if as_json:
        print_json(made)
        return
    pinned = "" if made["repository_id"] else " It is not pinned: no job gets a token by its identity (docs/tokens.md)."
    say(f"{made['repo']}: {made['workflow']} on {made['default_branch']}.{pinned}")


@app.command("policy")
def policy(
    repo: Repo,
    settings: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="What holds from now on.")] = None,
    unset: Annotated[list[str] | None, typer.Option(help="Take this key away. May be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a project's policy, or change it key by key. It counts from the next mail, run or request on."""
    changes = dict(map(parse_setting, settings or [])) | {require_key(key): None for key in unset or []}
    with open_administration() as operator:
        project = operator.change_policy(repo, changes) if changes else _find(operator.describe_projects(repo), repo)
    if as_json:
        print_json(project["policy"])
        return
    for key, value in sorted(project["policy"].items()):
        print(f"{key}={json.dumps(value, ensure_ascii=False)}")
    if not project["policy"]:
        say("It says nothing: the defaults hold (docs/projects.md).")


@app.command("list")
def list_projects(as_json: AsJson = False) -> None:
    """Show all projects."""
    with open_administration() as operator:
        projects = operator.describe_projects()
    if as_json:
        print_json({"projects": projects})
        return
    print_table(COLUMNS, [_cells(project) for project in projects])
    say(f"{len(projects)} projects.")


def _find(projects: list[dict[str, Any]], repo: str) -> dict[str, Any]:
    if not projects:
        raise NotFound(
            f"There is no project for the repository {repo}.",
            fix=f"Make it: aicd project add {repo}.",
            code="project-not-found",
        )
    return projects[0]


def _cells(project: dict[str, Any]) -> tuple[str, ...]:
    return (
        project["repo"],
        project["organisation"],
        project["default_branch"],
        project["workflow"],
        "yes" if project["repository_id"] else "no",
        day(project["created_at"]),
        ", ".join(sorted(project["policy"])) or "-",
    )
