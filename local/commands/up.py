"""`aicd up`: the embedded stack, kept running until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from controlplane.errors import UsageError
from controlplane.logs import configure_logs
from local.commands.output import print_json, say
from local.stack.identity import state_file
from local.stack.places import state_home
from local.stack.supervisor import Stack, StackOptions

app = typer.Typer(add_completion=False)


class Agent(StrEnum):
    FILES = "files"
    CLAUDE = "claude"


@app.command()
def up(
    data: Annotated[Path | None, typer.Option(help="Where the data is kept; default: the state folder.")] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Delete the data at the end.")] = False,
    agent: Annotated[
        Agent, typer.Option(help="Who builds: the files that a specification brings, or Claude, who plans letters too.")
    ] = Agent.FILES,
    json: Annotated[bool, typer.Option("--json", help="Print the environment as one JSON document.")] = False,
) -> None:
    """Start the embedded stack and keep it running. For development, tests and the demo, never for production.

    Prints its environment as `supabase status -o env` does. SIGTERM or Ctrl-C ends every part within ten seconds.

    With --agent claude, Claude plans the letters that `aicd send` brings and Claude Code builds, for the key in
    ANTHROPIC_API_KEY; ANTHROPIC_BASE_URL sends both to another address, where no key may be needed.
    """
    configure_logs("stack", logging.WARNING)
    home = state_home(dict(os.environ))
    options = StackOptions(
        data=(data or home / "stack").absolute(),
        ephemeral=ephemeral,
        state_file=state_file(home),
        pg_bin=Path(os.environ["PG_BIN"]) if os.environ.get("PG_BIN") else None,
    )
    if agent is Agent.CLAUDE:
        options = with_claude(options, os.environ)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    with Stack(options) as stack:
        if agent is Agent.CLAUDE:
            _prepare_first_project(stack)
        _print_environment(stack.identity.environment(), as_json=json)
        say(f"The stack is up (jobs run by {stack.identity.runner}). Send a mail: aicd send FILE.eml. Stop: Ctrl-C.")
        while not stopping.wait(0.5):
            stack.check()
    say("The stack is down.")


def with_claude(options: StackOptions, environ: Mapping[str, str]) -> StackOptions:
    """A stack whose jobs plan and build with Claude. Raises UsageError where nothing says which."""
    from local.demo_agent import DOUBLES_KEY

    key, address = environ.get("ANTHROPIC_API_KEY", ""), environ.get("ANTHROPIC_BASE_URL", "")
    if not key and not address:
        raise UsageError(
            "`--agent claude` needs to know whom to ask.",
            fix="Set ANTHROPIC_API_KEY, or ANTHROPIC_BASE_URL to an address that needs no key: the double that plays "
            "Claude's part has one (docs/planning.md).",
            code="claude-key-missing",
        )
    return replace(
        options,
        variables={"AICD_AGENT": "claude"},
        secrets={"ANTHROPIC_API_KEY": key or DOUBLES_KEY},
        runner_environment={"ANTHROPIC_BASE_URL": address} if address else {},
        planner=True,
    )


def _prepare_first_project(stack: Stack) -> None:
    """The demo's repository, where there is none yet: a letter that names none is for its sender's only one."""
    from local.administration import Administration
    from local.demo import prepare_demo_project

    with Administration(stack.identity.db_url) as operator:
        is_first = not operator.describe_projects()
    if is_first:
        prepare_demo_project(stack)


def _print_environment(environment: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(environment)
        return
    for name, value in environment.items():
        print(f'{name}="{value}"', flush=True)
