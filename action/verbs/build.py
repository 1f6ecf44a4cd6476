"""build: let the agent work on a branch of its own until the Definition of Done is met, or until it is over."""

from __future__ import annotations

import time

from action.build.agents import Surroundings, choose_agent
from action.build.agents.claude.key import credential_of
from action.build.agents.claude.session import Session
from action.build.agents.seam import Agent
from action.build.ending import ASIDE, conclude
from action.build.job import BuildJob, BuildLimits, Judged, Progress
from action.build.loop import build_change
from action.build.measuring import WorkCheck
from action.build.site import Site, open_site
from action.build.takeover import TRANSCRIPT
from action.build.task import write_dialogue
from action.build.trail import Trail
from action.build.watch import Billed, BudgetWatch
from action.context import Context
from action.costs import open_ledger
from action.gitrepo.workspace import prepare_workspace
from action.money import Ledger
from action.prompts import read_own_prompt, reviewed_commit
from action.toolserver.rundesk import RunDesk
from controlplane.change import Change
from controlplane.states import Phase

SHORTEST_MEASURE_SECONDS = 120.0


def run(context: Context) -> int:
    with open_site(context) as site:
        started = site.run
        ledger = open_ledger(context, started)
        desk = _desk(site)
        agent = _agent(site, ledger, desk)
        begin = site.left.head if site.left else started.base
        prepare_workspace(site.repository, site.workspace, begin, started.branch)
        trail = Trail(context, started, agent, lambda: _unanswered(site, desk))
        records = context.store if started.controlled else None
        with context.interruption.held(), BudgetWatch(records, started.run_id, ledger) as watch:
            outcome, change = build_change(_job(site, agent, watch, trail))
            if outcome.ended in ASIDE:
                # Nobody comes back to this run: what is not told by now is lost with its folder.
                ledger.sync()
            return conclude(context, started, outcome, change, trail, desk.questions)


def _job(site: Site, agent: Agent, watch: BudgetWatch, trail: Trail) -> BuildJob:
    context, inputs = site.context, site.context.settings.agent
    interruption, dialogue = context.interruption, write_dialogue(site.dialogue)

    def judge(change: Change, number: int, seconds: float) -> Judged:
        with interruption.let_through():
            return site.judge(change, str(number), max(SHORTEST_MEASURE_SECONDS, seconds))

    def ask() -> str:
        with interruption.let_through():
            return watch.ask()

    return BuildJob(
        run=site.run,
        spec=site.spec,
        sprint=site.sprint,
        repository=site.repository,
        workspace=site.workspace,
        scratch=site.area / "scratch",
        logs=context.folder.agent_logs,
        limits=BuildLimits(
            inputs.max_iterations, inputs.timeout_minutes * 60, context.settings.target.max_changed_lines
        ),
        agent=agent,
        judge=judge,
        journal=context.journal(site.run),
        begin=_begin(site, dialogue),
        dialogue=dialogue,
        ask=ask,
        watch=lambda: "interrupted" if interruption.came else watch.watch(),
        keep=trail.keep,
        taking=site.taking,
        secrets=context.kept_out,
    )


def _begin(site: Site, dialogue: str) -> Progress | None:
    left = site.left
    if left is None:
        return None
    # A run that was set aside without an answer in between hands the same dialogue on.
    new = "" if dialogue in left.feedback else dialogue
    feedback = "\n\n".join(part for part in (left.feedback, new) if part)
    return Progress(left.head, feedback, left.made, left.is_judged)


def _unanswered(site: Site, desk: RunDesk) -> tuple[str, ...]:
    """What the agent asked, here and in runs before, without waiting for an answer, and nobody was mailed."""
    mailed = {question.text for question in site.dialogue.questions}
    before = site.left.asked if site.left else ()
    asked = [*before, *(question.text for question in desk.questions if not question.blocking)]
    return tuple(text for text in dict.fromkeys(asked) if text not in mailed)


def _agent(site: Site, ledger: Ledger, desk: RunDesk) -> Agent:
    """Claude's calls are counted by its proxy; every other agent's own word goes into the ledger."""
    context, settings = site.context, site.context.settings
    journal = context.journal(site.run)
    surroundings = Surroundings(
        cache_dir=site.cache_dir,
        ledger=ledger,
        root=settings.github.workspace / settings.judge.working_directory,
        credential=credential_of(settings, context.console.keep_secret),
        desk=desk,
        session=_session(site),
        upstream=settings.claude_url,
        prompt=_projects_prompt(site),
        mcp_variables={name: value.get_secret_value() for name, value in settings.mcp_variables.items()},
        agent_variables={name: value.get_secret_value() for name, value in settings.agent_variables.items()},
        tell=lambda sentence: journal.event(Phase.BUILD, f"Agent: {sentence}", source="agent"),
        say=context.console.say,
        redact=context.console.redact,
        keep_secret=context.console.keep_secret,
    )
    agent = choose_agent(settings.agent, site.spec, surroundings)
    return agent if agent.name == "claude" else Billed(agent, ledger)


def _projects_prompt(site: Site) -> str:
    own = read_own_prompt(site.repository, reviewed_commit(site.repository, site.run.target, site.run.base), "build.md")
    return own.text if own else ""


def _session(site: Site) -> Session | None:
    """The agent's conversation of an earlier run; without its transcript there is nothing to go on with."""
    left, transcript = site.left, site.context.folder.path / TRANSCRIPT
    if left is None or not left.session or not transcript.exists():
        return None
    return Session(left.session, left.folder, transcript.read_bytes(), left.told_usd)


def _desk(site: Site) -> RunDesk:
    context, started = site.context, site.run
    check = WorkCheck(
        run=started,
        repository=site.repository,
        workspace=site.workspace,
        most_changed_lines=context.settings.target.max_changed_lines,
        judge=site.judge,
        taking=site.taking,
        left=lambda: site.ends_at - time.monotonic(),
        secrets=context.kept_out,
    )
    store = context.store if started.controlled else None
    find_runs = (lambda query, limit: store.search_runs(started.run_id, query, limit)) if store else None
    return RunDesk(started, site.spec, site.sprint, context.journal(started), check=check, find_runs=find_runs)
