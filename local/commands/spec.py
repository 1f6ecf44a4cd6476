"""`aicd spec check FILE` says whether a specification can be built; `aicd spec schema` prints its JSON Schema."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from controlplane.counting import counted
from controlplane.errors import UsageError
from controlplane.spec import SpecCheck
from controlplane.spec_limits import MAX_BYTES
from controlplane.specfile import check_spec, spec_schema
from local.commands.output import print_json

# The headers of a mail that was received; a letter may begin with one line of them, but not so.
_HEADER = rb"[A-Za-z][A-Za-z0-9-]*:[^\n]*\n(?:[ \t][^\n]*\n)*+"
_MAIL = re.compile(rb"(?:%s)*?(?:Received|Return-Path|Message-ID|MIME-Version):" % _HEADER, re.IGNORECASE)

app = typer.Typer(add_completion=False, help="Check a specification, or print its JSON Schema.", no_args_is_help=True)


@app.command()
def check(
    file: Path = typer.Argument(help="YAML, JSON, Markdown or a plain letter."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> int:
    """Read a specification as the front door would. Exit code 0: valid, 1: invalid, 2: no such file."""
    data = read_bounded(file, MAX_BYTES)
    found = check_spec(data, file.name)
    if found.format == "text" and (file.suffix.lower() == ".eml" or _MAIL.match(data)):
        raise UsageError(f"'{file}' is a mail, not a specification.", fix=f"aicd mail check {shlex.quote(str(file))}")
    if as_json:
        print_json(spec_as_json(found))
    else:
        _print_lines(found, file)
    return 0 if found.valid else 1


@app.command()
def schema() -> int:
    """Print the JSON Schema (2020-12) of a specification, for editors."""
    print_json(spec_schema())
    return 0


@app.callback()
def _several_commands() -> None:
    """Check a specification, or print its JSON Schema."""


def spec_as_json(found: SpecCheck) -> dict[str, Any]:
    """The contract's shape (design: the command)."""
    plan = found.spec.plan if found.spec else None
    return {
        "valid": found.valid,
        "format": found.format,
        "sprints": len(plan.sprints) if plan else 0,
        "stories": sum(len(sprint.stories) for sprint in plan.sprints) if plan else 0,
        "problems": [problem.model_dump(mode="json") for problem in found.problems],
        "notes": list(found.notes),
    }


def read_bounded(file: Path, limit: int) -> bytes:
    """At most one byte more than the limit, so that too much is seen and never read. Raises `UsageError`."""
    try:
        with file.open("rb") as stream:
            return stream.read(limit + 1)
    except FileNotFoundError as error:
        raise UsageError(f"There is no file '{file}'.", fix="check the path.") from error
    except IsADirectoryError as error:
        raise UsageError(f"'{file}' is a folder.", fix="name a file in it.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"'{file}' cannot be read: {error}.", fix="check the path and its permissions.") from error


def _print_lines(found: SpecCheck, file: Path) -> None:
    for problem in found.problems:
        place = f"{file}:{problem.line}:{problem.column}" if problem.line else str(file)
        print(f"{place}: {problem.message}")
    for note in found.notes:
        print(f"{file}: note: {note}")
    if found.valid:
        figures = spec_as_json(found)
        sprints, stories = counted(figures["sprints"], "sprint"), counted(figures["stories"], "story", "stories")
        print(f"{file}: valid ({found.format}, {sprints}, {stories})")
    else:
        print(f"{file}: not valid ({found.format})")
