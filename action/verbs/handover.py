"""handover: put what the next job needs, and nothing else, into a folder that the workflow uploads.

It runs also after a failure, so that the job which publishes can tell the requester what went wrong.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from action.context import Context, interruption
from action.costs import offer_costs
from action.gitrepo.objects import write_objects
from action.handover import OBJECTS, Stage, pack
from action.run import Failure, Run
from controlplane.change import Change
from controlplane.errors import UsageError


def run(context: Context) -> int:
    """The manifest's hash becomes the output `handover`; it stays blank where there is nothing to tell."""
    stage: Stage = "verify" if context.settings.run.mode == "verify" else "build"
    target = handover_folder(context) / stage
    killed = context.folder.find_interrupted(context.verb)
    if killed:
        replace(context, verb=killed).keep_failure(interruption(killed))
    started = context.folder.load("run", Run)
    if started is not None and stage == "build":
        # The jobs after this one may not write costs.
        offer_costs(context, started)
    if started is None and context.folder.load("failure", Failure) is None:
        context.console.say("There is nothing to hand over.")
        return 0
    shutil.rmtree(target, ignore_errors=True)
    change = context.folder.load("change", Change)
    if change is not None and stage == "build":
        below = context.run().below
        write_objects(change.repository, change.base, change.head, context.folder.path / OBJECTS, below)
    commit = change.head if change else ""
    secrets = context.settings.secrets()
    digest = pack(context.folder.path, target, stage, context.settings.github.run_id, commit, secrets)
    context.console.set_output("handover", digest)
    context.console.say(f"Handed over as {digest[:12]}")
    return 0


def handover_folder(context: Context) -> Path:
    told = context.settings.handover.handover
    if not told:
        raise UsageError("input 'handover' is missing.", "Set it to a folder, as deliver.yml does.")
    return Path(told).absolute()
