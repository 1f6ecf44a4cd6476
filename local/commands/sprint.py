"""`aicd sprint`: what waits, runs or failed, and an operator's word on it.

Needs DB_URL, the address of the database's owner. A project's maintainers approve, retry and cancel without it, with
the verbs approve_sprint_v1, retry_sprint_v1 and cancel_spec_v1; requesters answer by mail.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from controlplane.counting import counted
from controlplane.errors import UsageError
from controlplane.states import SprintState
from local.commands.operate import AsJson, OnlyRepo, open_administration, parse_id, print_table
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

SprintId = Annotated[str, typer.Argument(metavar="ID", help="The sprint's id, as `list` prints it.")]
COLUMNS = ("sprint", "state", "label", "repository", "requester", "specification", "why")
COPY = "Copy it from `aicd sprint list`."
MOST_WORDS = 200


@app.command("list")
def list_sprints(
    state: Annotated[
        SprintState | None, typer.Option(help="Only in this state. Default: all that is not over.")
    ] = None,
    repo: OnlyRepo = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show sprints, those of the oldest specification first, and what each waits for."""
    with open_administration() as operator:
        sprints = operator.list_sprints(state.value if state else None, repo, limit)
    if as_json:
        print_json({"sprints": sprints})
        return
    print_table(COLUMNS, [_cells(sprint) for sprint in sprints])
    waiting = sum(sprint["state"] in ("NEEDS_INPUT", "NEEDS_APPROVAL") for sprint in sprints)
    say(f"{len(sprints)} sprints, {waiting} of them wait for a person.")


@app.command("approve")
def approve(sprint_id: SprintId, as_json: AsJson = False) -> None:
    """Agree to a plan: a sprint in NEEDS_APPROVAL is built when its turn comes."""
    with open_administration() as operator:
        _tell(operator.approve_sprint(parse_id(sprint_id, "a sprint's id", COPY)), as_json=as_json)


@app.command("retry")
def retry(sprint_id: SprintId, as_json: AsJson = False) -> None:
    """Another run of a sprint that is FAILED, or now and not later of one that is PAUSED."""
    with open_administration() as operator:
        _tell(operator.retry_sprint(parse_id(sprint_id, "a sprint's id", COPY)), as_json=as_json)


@app.command("answer")
def answer(
    sprint_id: SprintId,
    text: Annotated[str | None, typer.Option(help="The answer.")] = None,
    file: Annotated[Path | None, typer.Option(help="Instead: a file that holds it.")] = None,
    by: Annotated[str, typer.Option(help="Who answered; kept with the answer.")] = "operator",
    as_json: AsJson = False,
) -> None:
    """Answer the questions of a sprint in NEEDS_INPUT, where the answer came another way than by mail."""
    reply = {"id": str(uuid.uuid4()), "text": _read_answer(text, file), "answered_by": by}
    with open_administration() as operator:
        _tell(operator.answer_sprint(parse_id(sprint_id, "a sprint's id", COPY), reply), as_json=as_json)


@app.command("cancel")
def cancel(
    spec_id: Annotated[str, typer.Argument(metavar="SPEC_ID", help="The specification's id, as `list` prints it.")],
    reason: Annotated[str, typer.Option(help="Why; the requester reads it.")] = "",
    as_json: AsJson = False,
) -> None:
    """End all of a specification that is not DONE: its sprints, its open runs, and their jobs on GitHub."""
    with open_administration() as operator:
        done = operator.cancel_spec(parse_id(spec_id, "a specification's id", COPY), reason)
    if as_json:
        print_json(done)
        return
    total, ended = len(done["sprints"]), sum(sprint["state"] == "CANCELLED" for sprint in done["sprints"])
    say(f"{ended} of {counted(total, 'sprint')} {'is' if total == 1 else 'are'} cancelled; the requester is told.")


def _tell(sprint: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(sprint)
    else:
        say(f"{sprint['label']} is {sprint['state']}; its run is {sprint['run_id'] or 'made when its turn comes'}.")


def _read_answer(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise UsageError("An answer is a text or a file.", fix="Give --text or --file, and not both.")
    if file is None:
        return text or ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read.", fix="Name a file of UTF-8 text.") from error


def _cells(sprint: dict[str, Any]) -> tuple[str, ...]:
    return (
        sprint["sprint_id"],
        sprint["state"],
        sprint["label"],
        sprint["repo"],
        sprint["requester"],
        sprint["spec_id"],
        _why(sprint)[:MOST_WORDS],
    )


def _why(sprint: dict[str, Any]) -> str:
    """What it waits for, or what became of its last run."""
    state, estimate = sprint["state"], sprint["estimate"] or {}
    if state == "NEEDS_INPUT":
        return " ".join(str(question.get("text", "")) for question in sprint["questions"])
    if state == "NEEDS_APPROVAL":
        facts = (f"{estimate[name]} {unit}" for name, unit in (("cost_usd", "USD"), ("minutes", "minutes"))
                 if estimate.get(name) is not None)  # fmt: skip
        return ", ".join(facts) or "approval"
    if state == "PAUSED":
        return f"until {str(sprint['resume_at'])[:16]}"
    return str((sprint["error"] or {}).get("message", "")) if state == "FAILED" else ""
