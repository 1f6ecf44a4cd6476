"""`aicd up`: the embedded stack, kept running until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from controlplane.logs import configure_logs
from local.commands.output import print_json, say
from local.stack.identity import state_file
from local.stack.places import state_home
from local.stack.supervisor import Stack, StackOptions

app = typer.Typer(add_completion=False)


@app.command()
def up(
    data: Annotated[Path | None, typer.Option(help="Where the data is kept; default: the state folder.")] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Delete the data at the end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the environment as one JSON document.")] = False,
) -> None:
    """Start the embedded stack and keep it running. For development, tests and the demo, never for production.

    Prints its environment as `supabase status -o env` does. SIGTERM or Ctrl-C ends every part within ten seconds.
    """
    configure_logs("stack", logging.WARNING)
    home = state_home(dict(os.environ))
    options = StackOptions(
        data=(data or home / "stack").absolute(),
        ephemeral=ephemeral,
        state_file=state_file(home),
        pg_bin=Path(os.environ["PG_BIN"]) if os.environ.get("PG_BIN") else None,
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    with Stack(options) as stack:
        _print_environment(stack.identity.environment(), as_json=json)
        say(f"The stack is up (jobs run by {stack.identity.runner}). Send a mail: aicd send FILE.eml. Stop: Ctrl-C.")
        while not stopping.wait(0.5):
            stack.check()
    say("The stack is down.")


def _print_environment(environment: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(environment)
        return
    for name, value in environment.items():
        print(f'{name}="{value}"', flush=True)
