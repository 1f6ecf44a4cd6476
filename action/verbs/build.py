"""build: let the agent work on a branch of its own until the Definition of Done is met, or until it is over."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from action.build.agents import Surroundings, choose_agent
from action.build.agents.claude.key import credential_of
from action.build.agents.claude.session import Session
from action.build.agents.seam import Agent
from action.build.archive import Left
from action.build.ending import conclude
from action.build.job import BuildJob, BuildLimits, Judged, Progress
from action.build.loop import build_change
from action.build.measuring import WorkCheck
from action.build.remembering import Judge, Remembered
from action.build.takeover import TRANSCRIPT
from action.build.task import write_dialogue
from action.build.trail import Trail
from action.build.watch import Billed, BudgetWatch
from action.context import Context
from action.costs import open_ledger
from action.gate.judge import judge
from action.gitrepo.protected import find_refusals
from action.gitrepo.workspace import prepare_workspace
from action.measure import hold_refusals, measure_change
from action.money import Ledger
from action.plan.dialogue import Dialogue
from action.prompts import read_own_prompt, reviewed_commit
from action.run import Run
from action.toolserver.rundesk import RunDesk
from action.verify.account import can_switch_user
from action.verify.options import default_cache_dir
from controlplane.change import Change
from controlplane.plan import Plan, Sprint
from controlplane.spec import Spec
from controlplane.states import Phase

SHORTEST_MEASURE_SECONDS = 120.0


def run(context: Context) -> int:
    started = context.run()
    spec = context.folder.require("spec", Spec, "start")
    sprint = context.folder.require("sprint", Sprint, "plan")
    left = context.folder.load("resume", Left)
    cache_dir = context.settings.cache_directory or default_cache_dir()
    ledger = open_ledger(context, started)
    area = agent_area(context, started, cache_dir)
    ends_at = time.monotonic() + context.settings.agent.timeout_minutes * 60
    try:
        taking = threading.Lock()
        judge_change = Remembered(
            lambda change, name, seconds, is_over: _judge(context, started, sprint, change, name, seconds, is_over)
        )
        desk = _desk(context, started, spec, sprint, area / "repository", taking, judge_change, ends_at)
        session = _session(context, left)
        agent = _agent(context, started, spec, cache_dir, ledger, desk, session)
        prepare_workspace(
            context.folder.repository, area / "repository", left.head if left else started.base, started.branch
        )
        trail = Trail(context, started, agent, lambda: _unanswered(context, left, desk))
        records = context.store if started.controlled else None
        with context.interruption.held(), BudgetWatch(records, started.run_id, ledger) as watch:
            job = _job(context, started, spec, sprint, area, agent, left, watch, taking, judge_change, trail)
            outcome, change = build_change(job)
            if outcome.ended in ("paused", "needs-input"):
                # Nobody comes back to this run: what is not told by now is lost with its folder.
                ledger.sync()
            return conclude(context, started, outcome, change, trail, desk.questions)
    finally:
        shutil.rmtree(area, ignore_errors=True)


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
    judge_change: Judge,
    trail: Trail,
) -> BuildJob:
    inputs, interruption = context.settings.agent, context.interruption
    dialogue = write_dialogue(context.folder.load("dialogue", Dialogue) or Dialogue())

    def judge(change: Change, number: int, seconds: float) -> Judged:
        with interruption.let_through():
            return judge_change(change, str(number), max(SHORTEST_MEASURE_SECONDS, seconds))

    def ask() -> str:
        with interruption.let_through():
            return watch.ask()

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
        judge=judge,
        journal=context.journal(started),
        begin=_begin(left, dialogue) if left else None,
        dialogue=dialogue,
        ask=ask,
        watch=lambda: "interrupted" if interruption.came else watch.watch(),
        keep=trail.keep,
        taking=taking,
        secrets=context.kept_out,
    )


def _begin(left: Left, dialogue: str) -> Progress:
    # A run that was set aside without an answer in between hands the same dialogue on.
    new = "" if dialogue in left.feedback else dialogue
    feedback = "\n\n".join(part for part in (left.feedback, new) if part)
    return Progress(left.head, feedback, left.made, left.is_judged)


def _unanswered(context: Context, left: Left | None, desk: RunDesk) -> tuple[str, ...]:
    """What the agent asked, here and in runs before, without waiting for an answer, and nobody was mailed."""
    mailed = {question.text for question in (context.folder.load("dialogue", Dialogue) or Dialogue()).questions}
    asked = [*(left.asked if left else ()), *(question.text for question in desk.questions if not question.blocking)]
    return tuple(text for text in dict.fromkeys(asked) if text not in mailed)


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
        credential=credential_of(settings, context.console.keep_secret),
        desk=desk,
        session=session,
        upstream=settings.claude_url,
        prompt=_projects_prompt(context, started),
        mcp_variables={name: value.get_secret_value() for name, value in settings.mcp_variables.items()},
        agent_variables={name: value.get_secret_value() for name, value in settings.agent_variables.items()},
        tell=lambda sentence: journal.event(Phase.BUILD, f"Agent: {sentence}", source="agent"),
        say=context.console.say,
        redact=context.console.redact,
        keep_secret=context.console.keep_secret,
    )
    agent = choose_agent(settings.agent, spec, surroundings)
    return agent if agent.name == "claude" else Billed(agent, ledger)


def _projects_prompt(context: Context, started: Run) -> str:
    repository = context.folder.repository
    own = read_own_prompt(repository, reviewed_commit(repository, started.target, started.base), "build.md")
    return own.text if own else ""


def _desk(
    context: Context,
    started: Run,
    spec: Spec,
    sprint: Sprint,
    workspace: Path,
    taking: threading.Lock,
    judge_change: Judge,
    ends_at: float,
) -> RunDesk:
    check = WorkCheck(
        run=started,
        repository=context.folder.repository,
        workspace=workspace,
        most_changed_lines=context.settings.target.max_changed_lines,
        judge=judge_change,
        taking=taking,
        left=lambda: ends_at - time.monotonic(),
        secrets=context.kept_out,
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


def _judge(
    context: Context,
    started: Run,
    sprint: Sprint,
    change: Change,
    name: str,
    seconds: float,
    is_over: Callable[[], bool],
) -> Judged:
    limit, secrets = context.settings.target.max_changed_lines, context.kept_out()
    refusals = find_refusals(change.repository, change.base, change.head, limit, secrets)
    evidence = measure_change(
        context,
        change,
        sprint.dod,
        work_dir=context.folder.path / "iterations" / name,
        seconds=seconds,
        policy=started,
        is_over=is_over,
    )
    return Judged(hold_refusals(judge(sprint.dod, evidence, Plan(sprints=(sprint,))), refusals), evidence)
