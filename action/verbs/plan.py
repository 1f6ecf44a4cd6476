"""plan: the sprint of this run. A specification that carries its plan needs no model."""

from __future__ import annotations

from action.context import Context
from action.handover import orders_digest
from controlplane.errors import CallerError
from controlplane.plan import Plan, Sprint
from controlplane.spec import Spec
from controlplane.states import Phase


def run(context: Context) -> int:
    started = context.run()
    spec = context.folder.require("spec", Spec, "start")
    plan = spec.plan or _recorded_plan(context)
    if plan is None:
        raise CallerError(
            "The specification is a letter without a plan, and planning needs a model, which is not offered yet.",
            "Send sprints with stories and a Definition of Done: docs/writing-a-specification.md shows how.",
            "planning-not-offered",
        )
    sprint = pick_sprint(plan, started.sprint_label)
    context.folder.save("plan", plan)
    context.folder.save("sprint", sprint)
    # No agent has run by now; later jobs hold what they are handed against this.
    context.console.set_output("orders", orders_digest(context.folder.path))
    lines = sum(len(story.acceptance) for story in sprint.stories)
    message = f"Sprint {sprint.label}: {len(sprint.stories)} stories, {lines} acceptance lines"
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
