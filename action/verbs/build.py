"""build: let the agent work on a branch of its own until the Definition of Done is met, or until it is over."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from action.build.agents import Surroundings, choose_agent
from action.build.agents.claude.session import Session
from action.build.agents.seam import Agent
from action.build.archive import Left
from action.build.departure import set_aside
from action.build.loop import BuildJob, BuildLimits, Judged, build_change
from action.build.measuring import WorkCheck
from action.build.takeover import TRANSCRIPT
from action.build.task import write_dialogue
from action.build.watch import Billed, BudgetWatch
from action.context import Context
from action.costs import open_ledger
from action.gate.judge import judge
from action.gitrepo.protected import find_refusals
from action.gitrepo.workspace import prepare_workspace, tree_of
from action.measure import hold_refusals, measure_change
from action.money import Ledger
from action.plan.dialogue import Dialogue
from action.run import BuildOutcome, Run
from action.toolserver.rundesk import RunDesk
from action.verify.account import can_switch_user
from action.verify.options import default_cache_dir
from controlplane.change import Change
from controlplane.errors import AicdError, CallerError, Conflict, OutsideError
from controlplane.plan import Plan, Sprint
from controlplane.spec import Spec
from controlplane.states import Phase

SHORTEST_MEASURE_SECONDS = 120.0
JudgeChange = Callable[[Change, str, float], Judged]
# Failures of the world, not of the work: trying again later may help.
OUTSIDE = ("claude-unavailable", "mcp-server-down")


def run(context: Context) -> int:
    started = context.run()
    spec = context.folder.require("spec", Spec, "start")
    sprint = context.folder.require("sprint", Sprint, "plan")
    left = context.folder.load("resume", Left)
    cache_dir = context.settings.cache_directory or default_cache_dir()
    ledger = open_ledger(context, started)
    area = agent_area(context, started, cache_dir)
    try:
        taking = threading.Lock()
        judge_change = _remembering(
            lambda change, name, seconds: _judge(context, started, sprint, change, name, seconds)
        )
        desk = _desk(context, started, spec, sprint, area / "repository", taking, judge_change)
        session = _session(context, left)
        agent = _agent(context, started, spec, cache_dir, ledger, desk, session)
        prepare_workspace(
            context.folder.repository, area / "repository", left.head if left else started.base, started.branch
        )
        records = context.store if started.controlled else None
        with BudgetWatch(records, started.run_id, ledger) as watch:
            job = _job(context, started, spec, sprint, area, agent, left, watch, taking, judge_change)
            outcome, change = build_change(job)
    finally:
        shutil.rmtree(area, ignore_errors=True)
    if outcome.ended in ("paused", "needs-input"):
        # Nobody comes back to this run: what is not told by now is lost with its folder.
        ledger.sync()
    return _conclude(context, started, outcome, change, agent, desk)


def _conclude(
    context: Context, started: Run, outcome: BuildOutcome, change: Change | None, agent: Agent, desk: RunDesk
) -> int:
    context.folder.save("build", outcome)
    if outcome.session:
        context.console.set_output("session-id", outcome.session)
    if outcome.ended in ("paused", "needs-input"):
        session = getattr(agent, "session", None)
        left = Left(
            agent=agent.name,
            session=session.id if session else "",
            folder=session.folder if session else "",
            told_usd=session.told_usd if session else 0.0,
            base=started.base,
            head=change.head if change else started.base,
            feedback=outcome.feedback,
            run_id=started.run_id,
        )
        set_aside(context, started, outcome, left, (session and session.transcript) or b"", desk.questions)
        return 0
    if outcome.ended == "cancelled":
        raise Conflict("The specification was cancelled while it was built.", "There is nothing to do.", "cancelled")
    if change is None:
        raise _nothing_built(outcome)
    context.folder.save("change", change)
    context.console.set_output("commit", change.head)
    context.console.say(f"{len(change.files)} files changed in {change.head[:12]}; {outcome.reason}")
    return 0


def _job(
    context: Context,
    started: Run,
    spec: Spec,
    sprint: Sprint,
    area: Path,
    agent: Agent,
    left: Left | None,
    watch: BudgetWatch,
    taking: threading.Lock,
    judge_change: JudgeChange,
) -> BuildJob:
    inputs = context.settings.agent
    dialogue = write_dialogue(context.folder.load("dialogue", Dialogue) or Dialogue())
    feedback = "\n\n".join(part for part in (left.feedback, dialogue) if part) if left else ""
    return BuildJob(
        run=started,
        spec=spec,
        sprint=sprint,
        repository=context.folder.repository,
        workspace=area / "repository",
        scratch=area / "scratch",
        logs=context.folder.agent_logs,
        limits=BuildLimits(
            inputs.max_iterations, inputs.timeout_minutes * 60, context.settings.target.max_changed_lines
        ),
        agent=agent,
        judge=lambda change, number: judge_change(change, str(number), _measure_seconds(context)),
        journal=context.journal(started),
        begin=left.head if left else "",
        feedback=feedback,
        dialogue=dialogue,
        ask=watch.ask,
        watch=watch.watch,
        taking=taking,
    )


def _agent(
    context: Context,
    started: Run,
    spec: Spec,
    cache_dir: Path,
    ledger: Ledger,
    desk: RunDesk,
    session: Session | None,
) -> Agent:
    """Claude's calls are counted by its proxy; every other agent's own word goes into the ledger."""
    settings, journal = context.settings, context.journal(started)
    surroundings = Surroundings(
        cache_dir=cache_dir,
        ledger=ledger,
        root=settings.github.workspace / settings.judge.working_directory,
        desk=desk,
        session=session,
        upstream=settings.claude_url,
        mcp_variables={name: value.get_secret_value() for name, value in settings.mcp_variables.items()},
        tell=lambda sentence: journal.event(Phase.BUILD, f"Agent: {sentence}", source="agent"),
        say=context.console.say,
        redact=context.console.redact,
    )
    agent = choose_agent(settings.agent, spec, surroundings)
    return agent if agent.name == "claude" else Billed(agent, ledger)


def _desk(
    context: Context,
    started: Run,
    spec: Spec,
    sprint: Sprint,
    workspace: Path,
    taking: threading.Lock,
    judge_change: JudgeChange,
) -> RunDesk:
    check = WorkCheck(
        run=started,
        repository=context.folder.repository,
        workspace=workspace,
        most_changed_lines=context.settings.target.max_changed_lines,
        judge=judge_change,
        taking=taking,
    )
    store = context.store if started.controlled else None
    find_runs = (lambda query, limit: store.search_runs(started.run_id, query, limit)) if store else None
    return RunDesk(started, spec, sprint, context.journal(started), check=check, find_runs=find_runs)


def _session(context: Context, left: Left | None) -> Session | None:
    """The agent's conversation of an earlier run; without its transcript there is nothing to go on with."""
    transcript = context.folder.path / TRANSCRIPT
    if left is None or not left.session or not transcript.exists():
        return None
    return Session(left.session, left.folder, transcript.read_bytes(), left.told_usd)


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


def _remembering(judge_change: JudgeChange) -> JudgeChange:
    """The same files are measured once: what the agent's own check found is what the loop would find."""
    known: dict[str, Judged] = {}

    def judged(change: Change, name: str, seconds: float) -> Judged:
        tree = tree_of(change.repository, change.head)
        if tree not in known:
            known[tree] = judge_change(change, name, seconds)
        return known[tree]

    return judged


def _measure_seconds(context: Context) -> float:
    return max(SHORTEST_MEASURE_SECONDS, context.settings.agent.timeout_minutes * 60)


def _judge(context: Context, started: Run, sprint: Sprint, change: Change, name: str, seconds: float) -> Judged:
    refusals = find_refusals(change.repository, change.base, change.head, context.settings.target.max_changed_lines)
    evidence = measure_change(
        context,
        change,
        sprint.dod,
        work_dir=context.folder.path / "iterations" / name,
        seconds=seconds,
        policy=started,
    )
    return Judged(hold_refusals(judge(sprint.dod, evidence, Plan(sprints=(sprint,))), refusals), evidence)


def _nothing_built(outcome: BuildOutcome) -> AicdError:
    said = f"The agent '{outcome.agent}' left no change"
    if outcome.ended == "out-of-time":
        fix = "Raise `timeout-minutes`, or make the sprint smaller."
        return CallerError(f"{said} in time: {outcome.reason}.", fix, "out-of-time")
    if outcome.ended == "out-of-money":
        fix = "Raise the budget (`max-budget-usd`, or the project's policy), or make the sprint smaller."
        return CallerError(f"{said} for its money: {outcome.reason}", fix, "budget-exceeded")
    if outcome.ended == "failed" and outcome.error in OUTSIDE:
        return OutsideError(f"{said}: {outcome.reason}", "Try again later.", outcome.error)
    code = outcome.error if outcome.ended == "failed" else "no-change"
    return CallerError(
        f"{said}: {outcome.reason}", "See its log among the artifacts; is there anything left to do?", code
    )
