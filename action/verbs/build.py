"""build: let the agent work on a branch of its own until the Definition of Done is met, or until it is over."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from action.build.agents import choose_agent
from action.build.loop import BuildJob, BuildLimits, Judged, build_change
from action.context import Context
from action.gate.judge import judge
from action.gitrepo.protected import find_refusals
from action.gitrepo.workspace import prepare_workspace
from action.measure import hold_refusals, measure_change
from action.run import BuildOutcome, Run
from action.verify.account import can_switch_user
from action.verify.options import default_cache_dir
from controlplane.change import Change
from controlplane.errors import CallerError
from controlplane.plan import Plan, Sprint
from controlplane.spec import Spec

SHORTEST_MEASURE_SECONDS = 120.0


def run(context: Context) -> int:
    started = context.run()
    spec = context.folder.require("spec", Spec, "start")
    sprint = context.folder.require("sprint", Sprint, "plan")
    cache_dir = context.settings.cache_directory or default_cache_dir()
    agent = choose_agent(context.settings.agent, spec, cache_dir)
    area = agent_area(context, started, cache_dir)
    try:
        prepare_workspace(context.folder.repository, area / "repository", started.base, started.branch)
        seconds = context.settings.agent.timeout_minutes * 60
        outcome, change = build_change(
            BuildJob(
                run=started,
                spec=spec,
                sprint=sprint,
                repository=context.folder.repository,
                workspace=area / "repository",
                scratch=area / "scratch",
                logs=context.folder.agent_logs,
                limits=BuildLimits(
                    context.settings.agent.max_iterations, seconds, context.settings.target.max_changed_lines
                ),
                agent=agent,
                judge=lambda change, number: _judge(context, started, sprint, change, number),
                journal=context.journal(started),
            )
        )
    finally:
        shutil.rmtree(area, ignore_errors=True)
    context.folder.save("build", outcome)
    if change is None:
        raise _nothing_built(outcome)
    context.folder.save("change", change)
    context.console.set_output("commit", change.head)
    context.console.say(f"{len(change.files)} files changed in {change.head[:12]}; {outcome.reason}")
    return 0


def agent_area(context: Context, started: Run, cache_dir: Path) -> Path:
    """A new folder for the agent's clone and its belongings, where a user of its own can come to."""
    area = context.folder.path / "agent"
    context.folder.path.chmod(0o711)
    if can_switch_user() and not _leads_open(context.folder.path):
        area = cache_dir / "agents" / started.run_id
        if not _leads_open(area.parent):
            area = default_cache_dir() / "agents" / started.run_id
    shutil.rmtree(area, ignore_errors=True)
    area.mkdir(parents=True)
    area.chmod(0o755)
    return area


def _leads_open(folder: Path) -> bool:
    """Whether another user can pass through the folder and everything above it that exists."""
    existing = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    return all(one.stat().st_mode & 0o001 for one in (existing, *existing.resolve().parents)) and os.access(
        existing, os.X_OK
    )


def _judge(context: Context, started: Run, sprint: Sprint, change: Change, number: int) -> Judged:
    refusals = find_refusals(change.repository, change.base, change.head, context.settings.target.max_changed_lines)
    evidence = measure_change(
        context,
        change,
        sprint.dod,
        work_dir=context.folder.path / "iterations" / str(number),
        seconds=max(SHORTEST_MEASURE_SECONDS, context.settings.agent.timeout_minutes * 60),
        policy=started,
    )
    return Judged(hold_refusals(judge(sprint.dod, evidence, Plan(sprints=(sprint,))), refusals), evidence)


def _nothing_built(outcome: BuildOutcome) -> CallerError:
    if outcome.ended == "out-of-time":
        fix = "Raise `timeout-minutes`, or make the sprint smaller."
        return CallerError(f"The agent '{outcome.agent}' left no change in time: {outcome.reason}.", fix, "out-of-time")
    message = f"The agent '{outcome.agent}' left no change: {outcome.reason}"
    return CallerError(message, "See its log among the artifacts; is there anything left to do?", "no-change")
