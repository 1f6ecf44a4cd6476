"""`aicd mail check FILE.eml`: authentication and loop rules as the front door applies them, without its allow-list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from controlplane.message import Message
from controlplane.spec import Problem
from controlplane.specfile import check_spec
from functions._shared.intake.decide import choose_candidates
from functions._shared.mail import read_message
from functions._shared.mail.limits import MAX_MAIL_BYTES
from local.commands.output import print_json
from local.commands.reasons import explain, suggest_fix
from local.commands.spec import read_bounded

app = typer.Typer(add_completion=False, help="Check a mail as the front door would.", no_args_is_help=True)


@app.command()
def check(
    file: Path = typer.Argument(help="The mail as received, with the receiving server's headers (RFC 5322)."),
    trusted_authserv_id: str = typer.Option("mx.google.com", help="Whose Authentication-Results are believed."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> int:
    """Say who proved to have sent a mail and what it carries. Exit code 0: accepted, 1: refused, 2: no such file."""
    message = read_message(read_bounded(file, MAX_MAIL_BYTES), trusted_authserv_id=trusted_authserv_id)
    if as_json:
        print_json(mail_as_json(message))
    else:
        _print_lines(message)
    return 0 if message.accepted else 1


@app.callback()
def _several_commands() -> None:
    """Check a mail as the front door would."""


def mail_as_json(message: Message) -> dict[str, Any]:
    """The contract's shape (design: the command), with the problems of what it carries behind its own."""
    return {
        "sender": message.sender,
        "accepted": message.accepted,
        "reason": message.reason,
        "thread": message.thread,
        "specs": [{"name": spec.name, "format": spec.format} for spec in message.specs],
        "body_text": message.body_text,
        "problems": [*message.problems, *_problems_inside(message)],
    }


def _problems_inside(message: Message) -> list[str]:
    """What is wrong with the specifications, said whoever sent them: this is somebody's own file."""
    candidates = choose_candidates(message)
    checked = [(spec.name, check_spec(spec.content, spec.name)) for spec in candidates]
    return [f"{name}: {_as_text(problem)}" for name, check in checked for problem in check.problems]


def _as_text(problem: Problem) -> str:
    place = f"line {problem.line}, column {problem.column}: " if problem.line else ""
    return f"{place}{problem.message}"


def _print_lines(message: Message) -> None:
    verdict = "accepted" if message.accepted else "refused"
    print(f"{verdict}: {explain(message.reason)}")
    if fix := suggest_fix(message.reason):
        print(f"fix:     {fix}")
    print(f"sender:  {message.sender or '(none)'}{'' if message.accepted else '  (claimed, not proven)'}")
    print(f"thread:  {message.thread or '(none)'}")
    for spec in message.specs:
        print(f"spec:    {spec.name} ({spec.format})")
    for problem in (*message.problems, *_problems_inside(message)):
        print(f"problem: {problem}")
    for note in message.notes:
        print(f"note:    {note}")
