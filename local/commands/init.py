"""`aicd init`: the workflow and the configuration, added to a repository without touching what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controlplane.errors import UsageError
from local.commands.output import print_json
from local.stack.places import shipped

app = typer.Typer(add_completion=False)

WORKFLOW = Path(".github") / "workflows" / "aicd.yml"
CONFIGURATION = Path(".aicd.yml")
CONFIGURATION_TEXT = """\
# What aicd may do in this repository. Only the base branch's version counts: a change cannot grant itself anything.

# May a change touch dependency and lock files? deny (default) or allow.
dependencies: deny

# Exceptions to the integrity criterion: the class of a finding, and where it is allowed (files, folders or patterns;
# without paths, everywhere). Say why in a comment beside it.
# integrity:
#   allow:
#     - kind: test-vanished
#       paths: [tests/legacy/]
"""


@app.command()
def init(
    repo: Annotated[Path, typer.Option(help="The repository's working tree.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Add the workflow and a commented configuration to a repository. Files that exist are left as they are."""
    if not (repo / ".git").exists():
        raise UsageError(f"{repo} is not the top of a git repository.", fix="Call it there, or give --repo PATH.")
    workflow = shipped("examples/workflows/aicd.yml").read_text()
    made = [
        str(name)
        for name, text in ((WORKFLOW, workflow), (CONFIGURATION, CONFIGURATION_TEXT))
        if _write_new(repo / name, text)
    ]
    if json:
        print_json({"created": made})
        return
    for name in (str(WORKFLOW), str(CONFIGURATION)):
        print(f"created {name}" if name in made else f"{name} was there already, and was left as it is")
    if not made:
        return
    print("Next: commit these, then set the variables and secrets that the workflow's first lines name.")


def _write_new(path: Path, text: str) -> bool:
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return True
