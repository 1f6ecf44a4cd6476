"""`aicd demo`: the main job, shown."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.counting import counted
from controlplane.logs import configure_logs
from controlplane.states import Result
from local.commands.output import print_json, say
from local.stack.places import state_home

if TYPE_CHECKING:
    from local.demo import DemoResult
    from local.demo_agent import DemoAgent

app = typer.Typer(add_completion=False)


class Agent(StrEnum):
    RECORDING = "recording"
    CLAUDE = "claude"


@app.command()
def demo(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the end.")] = 300.0,
    agent: Annotated[Agent, typer.Option(help="Who builds: a recording of ours, or Claude Code.")] = Agent.RECORDING,
) -> None:
    """Send a mail, and get a verified pull request and a report mail back.

    Needs no key, no account and no network once its environments are made. Everything is on this machine: the mailbox
    and GitHub are doubles that check each request against the published schemas, the agent replays a recording.

    With --agent claude the mail is a letter in plain words, which Claude plans and Claude Code builds: with
    ANTHROPIC_API_KEY for real, without it against a double of the Messages API.
    """
    from local.demo import run_demo
    from local.demo_agent import claude, recording

    configure_logs("demo", logging.ERROR)
    started = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))

    def tell(line: str) -> None:
        if not json:
            say(f"{time.monotonic() - started:6.1f} s  {line}")

    def choose(folder: Path) -> DemoAgent:
        if agent is Agent.RECORDING:
            return recording(folder)
        return claude(os.environ.get("ANTHROPIC_API_KEY", ""), os.environ.get("ANTHROPIC_BASE_URL", ""))

    result = run_demo(
        state_home(dict(os.environ)),
        choose,
        pg_bin=Path(os.environ["PG_BIN"]) if os.environ.get("PG_BIN") else None,
        timeout_seconds=timeout,
        say=tell,
        on_event=lambda event: tell(f"{event.phase:<14} {event.message}"),
    )
    document = result.as_json()
    if json:
        print_json(document)
    else:
        _show(document, result)
    raise typer.Exit(0 if document["result"] == Result.PASSED else 1)


def _show(document: dict[str, Any], result: DemoResult) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if document["verdict"] is None:
        console.print(f"The run ended as {document['result']} before anything could be judged; the report says why.")
    else:
        attempts = counted(document["iterations"], "attempt")
        table = Table(title=f"Verdict: {document['result']} after {attempts}", title_justify="left")
        for column in ("criterion", "required", "actual", "status", "reason"):
            table.add_column(column)
        for row in document["verdict"]["criteria"]:
            table.add_row(row["id"], str(row["required"]), str(row["actual"]), row["status"], row["reason"])
        console.print(table)
    for label, value in (
        ("pull request", document["pull_request_url"]),
        ("repository", f"{document['repository']}  (git clone -b {document['branch']} {document['repository']})"),
        ("report mail", document["report_mail"]),
        ("in a browser", result.report_page.as_uri()),
        ("full report", (result.evidence / "report.html").as_uri()),
        ("jobs run by", result.runner),
        ("time", f"{document['duration_seconds']} s"),
    ):
        console.print(f"{label:>13}: {value}", soft_wrap=True, highlight=False)
    console.print(
        "The stack is down: addresses on 127.0.0.1, in the report mail too, answer no more. What they led to is in "
        f"{result.folder}: the mails, the evidence and the repository.",
        soft_wrap=True,
        highlight=False,
    )
