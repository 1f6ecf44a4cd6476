"""plan: the sprint of this run. A specification that carries its plan needs no model; a letter is planned by Claude.

A plan that is not sure enough, or that leaves open what must be known, asks the requester instead; one that a
maintainer has to approve waits. Both give the runner back.
"""

from __future__ import annotations

from action.context import Context
from action.handover import orders_digest
from action.plan.dialogue import Dialogue
from action.plan.letter import Asking, Decided, decide_letter, plan_as_written
from action.released import Released, release
from action.run import Run
from action.verbs.start import branch_of
from controlplane.counting import counted
from controlplane.errors import CallerError
from controlplane.plan import Plan, Sprint
from controlplane.spec import Spec
from controlplane.states import Phase


def run(context: Context) -> int:
    started = context.run()
    spec = context.folder.require("spec", Spec, "start")
    plan = spec.plan or _recorded_plan(context)
    if plan is None:
        plan = _plan_letter(context, started, spec)
        if plan is None:
            return 0
        started = _renamed(context, started, spec, plan.sprints[0].label)
    sprint = pick_sprint(plan, started.sprint_label)
    context.folder.save("plan", plan)
    context.folder.save("sprint", sprint)
    # No agent has run by now; later jobs hold what they are handed against this.
    context.console.set_output("orders", orders_digest(context.folder.path))
    lines = sum(len(story.acceptance) for story in sprint.stories)
    stories = len(sprint.stories)
    message = f"Sprint {sprint.label}: {counted(stories, 'story', 'stories')}, {counted(lines, 'acceptance line')}"
    context.journal(started).event(Phase.PLANNING, message, sprint=sprint.label)
    return 0


def pick_sprint(plan: Plan, label: str) -> Sprint:
    for sprint in plan.sprints:
        if sprint.label == label:
            return sprint
    known = ", ".join(sprint.label for sprint in plan.sprints)
    raise CallerError(f"The plan has no sprint '{label}'.", f"Its sprints: {known}.", "no-sprint")


def _recorded_plan(context: Context) -> Plan | None:
    """What the control plane recorded for this sprint, where the specification itself has none."""
    sprint = context.folder.load("sprint", Sprint)
    return Plan(sprints=(sprint,)) if sprint else None


def _plan_letter(context: Context, started: Run, spec: Spec) -> Plan | None:
    """The plan, recorded; None when the runner was given back."""
    if spec.files:
        decided: Decided | Asking | Released = plan_as_written(spec)
    else:
        dialogue = context.folder.load("dialogue", Dialogue) or Dialogue()
        decided = decide_letter(context, started, spec, dialogue)
    if isinstance(decided, Asking):
        decided = _ask(context, started, decided)
    if isinstance(decided, Released):
        release(context, decided)
        return None
    return _record(context, started, decided)


def _ask(context: Context, started: Run, asking: Asking) -> Released:
    if context.store is None or not started.controlled:
        shown = " ".join(f"{question.id}: {question.text}" for question in asking.questions)
        raise CallerError(f"Before this can be planned: {shown}", "Answer in the letter, and run again.", "needs-input")
    context.store.ask_requester(started.run_id, [question.model_dump(mode="json") for question in asking.questions])
    return Released(status="NEEDS_INPUT", reason=f"{len(asking.questions)} questions went out by mail.")


def _record(context: Context, started: Run, decided: Decided) -> Plan | None:
    context.folder.save("planned", decided)
    if context.store is None or not started.controlled:
        return decided.plan
    answer = context.store.record_plan(started.run_id, decided.as_record())
    if answer["outcome"] == "needs-approval":
        release(context, Released(status="NEEDS_APPROVAL", reason="A maintainer has to agree to it."))
        return None
    return decided.plan


def _renamed(context: Context, started: Run, spec: Spec, label: str) -> Run:
    """The run knows its sprint's name only now, and with it its branch; where work begins stays the same."""
    branch = branch_of(spec, started.spec_id, label)
    named = started.model_copy(update={"sprint_label": label, "branch": branch})
    context.folder.save("run", named)
    context.console.set_output("branch", branch)
    return named
