"""`aicd submit SPEC`: hand a specification in through the API, and wait for what becomes of it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from controlplane.counting import counted
from controlplane.errors import OutsideError, UsageError
from controlplane.spec_limits import MAX_BYTES
from local.commands.output import print_json, say

if TYPE_CHECKING:
    from local.api_client import ApiClient

app = typer.Typer(add_completion=False)

POLL_SECONDS = 2.0
# Nothing goes on after these without somebody's doing.
SETTLED = frozenset({"DONE", "FAILED", "CANCELLED", "NEEDS_INPUT", "NEEDS_APPROVAL"})


@app.command()
def submit(
    file: Annotated[str, typer.Argument(metavar="SPEC", help="YAML, JSON, Markdown or a letter; - reads stdin.")],
    url: Annotated[str, typer.Option(help="The API's address; default: AICD_API_URL, else the running stack's.")] = "",
    key: Annotated[str, typer.Option(help="The API key; default: AICD_API_KEY, which no other process sees.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Build it although the same came within a day.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is built, or needs somebody.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait, with --wait.")] = 3_600.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Hand in a specification. The same one twice is built once.

    Exit code: 0 taken in (with --wait: built, every criterion met), 1 refused or not met, 4 the API is away.
    """
    from local.api_client import ApiClient, Refused

    content, name = _read(file)
    client = ApiClient(_address(url), _key(key))
    with contextlib.closing(client), _Meter(len(content)) as meter:
        client.told, client.sent = meter.say, meter.add
        try:
            made = client.submit(content, name, again=again)
        except Refused as refusal:
            told = _tell_places(refusal.details["errors"], file)
            if not told or json:
                raise
            named = "The problem is" if told == 1 else f"{told} problems are"
            raise Refused(
                f"{file} was refused. {named} named above.",
                "Mend it, and submit it again.",
                refusal.code,
                refusal.details,
            ) from refusal
        meter.say(_describe(made))
        outcome = _follow(client, made, meter, timeout) if wait else made
    if json:
        print_json(outcome)
    else:
        _tell(outcome)
    raise typer.Exit(0 if not wait or outcome["state"] == "DONE" else 1)


def _follow(client: ApiClient, made: dict[str, Any], meter: _Meter, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    seen = 0
    meter.expect(len(made["sprints"]))
    while True:
        page = client.show(made["id"])
        for event in page["events"][seen:]:
            meter.say(f"{event['phase']:<14} {event['message']}")
        seen = len(page["events"])
        meter.reach(sum(sprint["state"] == "DONE" for sprint in page["sprints"]), len(page["sprints"]))
        if page["state"] in SETTLED and all(run["result"] for run in page["runs"]):
            return page
        if time.monotonic() > deadline:
            raise OutsideError(
                f"It was not built within {timeout:.0f} s; it goes on without you.",
                fix=f"Look again: GET {page['links']['self']}.",
                code="not-built-in-time",
            )
        time.sleep(POLL_SECONDS)


def _read(file: str) -> tuple[bytes, str]:
    from local.commands.spec import read_bounded

    if file == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1), ""
    path = Path(file)
    return read_bounded(path, MAX_BYTES), path.name


def _address(given: str) -> str:
    from local.stack.identity import load_identity, state_file
    from local.stack.places import state_home

    named = given or os.environ.get("AICD_API_URL", "")
    return named or load_identity(state_file(state_home(dict(os.environ)))).url("specs")


def _key(given: str) -> str:
    key = given or os.environ.get("AICD_API_KEY", "")
    if not key:
        raise UsageError(
            "There is no API key.",
            fix="Set AICD_API_KEY; `aicd key create --name NAME --repo OWNER/NAME` makes one.",
            code="api-key-missing",
        )
    return key


def _tell_places(errors: list[dict[str, Any]], file: str) -> int:
    """Each problem that has a place, as compilers write it; how many those were."""
    placed = [problem for problem in errors if problem.get("line")]
    for problem in placed:
        say(f"{file}:{problem['line']}:{problem.get('column', 1)}: {problem['message']}")
    return len(placed)


def _describe(made: dict[str, Any]) -> str:
    word = "was here already" if made["duplicate"] else "taken in"
    count = len(made["sprints"])
    return f"{word}: {made['id']} ({counted(count, 'sprint')} for {made['repo']})"


def _tell(outcome: dict[str, Any]) -> None:
    print(outcome["id"])
    for sprint in outcome["sprints"]:
        say(f"  {sprint['label']}: {sprint['state']}")
    for run in outcome["runs"]:
        if run.get("error"):
            say(f"  {run['error'].get('message', '')}")
    for pull_request in outcome.get("pull_requests", ()):
        say(f"  {pull_request.get('url', '')}")


class _Meter:
    """A progress bar where a person looks on, plain lines elsewhere; always on stderr."""

    def __init__(self, size: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, transient=True) if self._console.is_terminal else None
        self._task = self._bar.add_task("sending", total=max(size, 1)) if self._bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def add(self, count: int) -> None:
        """So many bytes more have gone out."""
        if self._bar and self._task is not None:
            self._bar.advance(self._task, count)

    def expect(self, sprints: int) -> None:
        """From now on sprints are counted."""
        if self._bar and self._task is not None:
            self._bar.reset(self._task, total=max(sprints, 1), description="building")

    def reach(self, done: int, total: int) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, total=max(total, 1))

    def say(self, line: str) -> None:
        """One line for a person; nothing in it is read as markup."""
        if self._bar:
            self._console.print(line, markup=False, highlight=False)
        else:
            say(line)
