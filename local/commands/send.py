"""`aicd send FILE.eml`: any mail through the running stack, and what became of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from controlplane.errors import UsageError
from controlplane.states import MessageState, Result, SprintState
from local.commands.output import print_json, say
from local.commands.reasons import explain, suggest_fix
from local.commands.waiting import describe_waiting
from local.stack.identity import StackIdentity, load_identity, state_file
from local.stack.journey import Journey, follow, hand_in
from local.stack.places import state_home

app = typer.Typer(add_completion=False)
# A mail that answers our questions brings no specification; what it was about is shown all the same.
ANSWER = "answer"


@app.command()
def send(
    file: Annotated[Path, typer.Argument(metavar="FILE.eml", help="An RFC 5322 message.")],
    unauthenticated: Annotated[
        bool, typer.Option("--unauthenticated", help="Gmail stamps it as failing authentication.")
    ] = False,
    stranger: Annotated[bool, typer.Option("--stranger", help="Its sender is not on the allow-list.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the end.")] = 600.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Send a mail through the running stack and wait for what comes of it.

    The sender is put on the stack's allow-list, and the repository that the specification names is made if it does
    not exist.

    Exit code: 0 accepted, built, and every run passed; 1 otherwise, so also where a sprint waits for an approval or an
    answer; 4 the stack did not finish in time.
    """
    from local.stack.correspondent import prepare_correspondent

    if not file.is_file():
        raise UsageError(f"There is no file {file}.", fix="Name an existing .eml file.")
    home = state_home(dict(os.environ))
    identity = load_identity(state_file(home))
    raw = file.read_bytes()
    repositories = prepare_correspondent(identity, raw, stranger=stranger)
    handed = hand_in(identity, raw, authenticated=not unauthenticated)
    journey = follow(
        identity,
        handed,
        timeout_seconds=timeout,
        replies_folder=home / "replies" / handed["gmail_id"],
        on_event=lambda event: None if json else say(f"{event.phase:<14} {event.message}"),
    )
    outcome = as_json(journey, repositories)
    if json:
        print_json(outcome)
    else:
        _tell(outcome)
    for line in describe_waiting(_waiting(identity, journey)):
        say(f"{line}  (DB_URL as `aicd up` printed it)")
    raise typer.Exit(0 if outcome["accepted"] and is_built(journey) else 1)


def is_built(journey: Journey) -> bool:
    """Every sprint is done, by runs that passed; one that waits for somebody is not."""
    sprints = [sprint for spec in journey.observation.specs for sprint in spec.sprints]
    runs = [run for sprint in sprints for run in sprint.runs]
    is_done = bool(sprints) and all(sprint.state == SprintState.DONE for sprint in sprints)
    return is_done and all(run.result == Result.PASSED for run in runs)


def _waiting(identity: StackIdentity, journey: Journey) -> list[dict[str, Any]]:
    """The rows of this mail's sprints that are not over."""
    from local.administration import Administration

    specs = {spec.spec_id for spec in journey.observation.specs}
    with Administration(identity.db_url) as operator:
        return [sprint for sprint in operator.list_sprints() if sprint["spec_id"] in specs]


def as_json(journey: Journey, repositories: dict[str, Path]) -> dict[str, Any]:
    """The contract's shape. `accepted` only when this very mail made a spec that is to be built."""
    seen = journey.observation
    specs = seen.specs
    known = [str(repositories[spec.repo]) for spec in specs if spec.repo in repositories]
    return {
        "accepted": seen.state == MessageState.ACCEPTED and seen.first_seen and seen.reason != ANSWER,
        "reason": seen.reason,
        "spec_id": specs[0].spec_id if specs else None,
        "runs": journey.runs_as_json(),
        "repository": known[0] if known else next((str(path) for path in repositories.values()), None),
        "replies": [str(path) for path in journey.replies],
    }


def _tell(outcome: dict[str, Any]) -> None:
    print("accepted" if outcome["accepted"] else f"not accepted: {explain(outcome['reason'])}")
    if not outcome["accepted"] and (fix := suggest_fix(outcome["reason"])):
        say(f"Fix: {fix}")
    for run in outcome["runs"]:
        print(f"  {run['sprint']}: {run['result']}  {run['pull_request_url'] or ''}  {run['branch'] or ''}")
    if outcome["repository"]:
        print(f"repository: {outcome['repository']}")
    for reply in outcome["replies"]:
        print(f"reply: {reply}")
