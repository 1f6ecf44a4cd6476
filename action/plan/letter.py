"""One letter in one run: what the model may cost, what is asked, and whether its plan is sure enough to be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from action.costs import open_ledger
from action.journal import now
from action.money import Ledger
from action.plan.claude import DEFAULT_MODEL, Claude
from action.plan.dialogue import Dialogue, Question
from action.plan.memory import open_memory
from action.plan.nouns import Estimate, Planned, PlanRequest, Unplanned
from action.plan.planner import plan_letter
from action.plan.prompt import load_prompt
from action.plan.purse import RunPurse
from action.plan.records import Planning
from action.plan.repository import view_repository
from action.plan.troubles import LimitReached
from action.prompts import reviewed_commit
from action.released import Released
from action.verify.options import default_cache_dir
from controlplane.dod import DefinitionOfDone
from controlplane.errors import AicdError, CallerError, Conflict
from controlplane.noun import Noun
from controlplane.plan import Plan, Sprint
from controlplane.spec import Spec
from controlplane.states import Phase

if TYPE_CHECKING:
    from action.context import Context
    from action.run import Run

CONFIDENCE_MIN = 0.6
# Whoever has answered so often and is still asked should talk to somebody.
MOST_ROUNDS = 3
UNSURE = (
    "We are not sure that we understood what you want. Please tell in a few sentences what should be different when "
    "this is done, and how you would notice."
)


class Asking(Noun):
    """The requester has to answer first."""

    questions: tuple[Question, ...]


class Decided(Noun):
    """`planned.json`: a plan that may be recorded. `model` is empty where none was asked."""

    plan: Plan
    confidence: float = 1.0
    estimate: Estimate = Estimate()
    questions: tuple[Question, ...] = ()
    model: str = ""
    prompt_sha256: str = ""

    def as_record(self) -> dict[str, Any]:
        """p_plan of record_plan_v1 (docs/architecture.md)."""
        record = self.model_dump(mode="json", exclude={"plan"})
        return {**record, "sprints": self.plan.model_dump(mode="json")["sprints"]}


def plan_as_written(spec: Spec) -> Decided:
    """Files that come along without a sprint are judged as they are: one sprint, with the Definition of Done that was
    written and nothing else."""
    sprint = Sprint(label="as-written", goals=(spec.title,) if spec.title else (), dod=spec.dod or DefinitionOfDone())
    return Decided(plan=Plan(sprints=(sprint,)))


def decide_letter(context: Context, started: Run, spec: Spec, dialogue: Dialogue) -> Decided | Asking | Released:
    """Raises CallerError with the reason where the letter cannot be planned."""
    claude, ledger = _open_model(context, started)
    repository = context.folder.repository
    prompt = load_prompt(repository, reviewed_commit(repository, started.target, started.base))
    cache = context.settings.cache_directory or default_cache_dir()
    request = PlanRequest(
        spec=spec,
        repository=view_repository(context.folder.repository, started.base, cache),
        prompt=prompt.text,
        questions=dialogue.questions,
        answers=dialogue.answers,
    )
    journal = context.journal(started)
    journal.event(Phase.PLANNING, f"{claude.model} plans the letter", model=claude.model, prompt=prompt.sha256)
    memory = open_memory(context, started)
    planning = Planning(context, started, prompt, claude.model, ledger, now())
    try:
        outcome = plan_letter(request, claude, memory)
    except AicdError as error:
        planning.record_failure(error)
        if isinstance(error, LimitReached):
            _settle(context, ledger)
            return _pause(context, started, error)
        raise
    finally:
        claude.close()
    planning.record(outcome, memory.recalled)
    _settle(context, ledger)
    questions = find_questions(outcome, confidence_min(started.policy), first=len(dialogue.questions) + 1)
    if questions:
        if len(dialogue.answers) >= MOST_ROUNDS:
            raise _still_unclear(questions)
        return Asking(questions=questions)
    assert isinstance(outcome, Planned)
    return Decided(**{name: getattr(outcome, name) for name in Decided.model_fields})


def find_questions(outcome: Planned | Unplanned, least: float, first: int = 1) -> tuple[Question, ...]:
    """What the requester must be asked before this is built; empty when the plan may go on. `first` numbers a question
    of our own, where the model is unsure and has none."""
    unsure = outcome.confidence < least
    if isinstance(outcome, Planned) and not unsure and not any(question.blocking for question in outcome.questions):
        return ()
    if outcome.questions:
        return outcome.questions
    return (Question(id=f"Q{first}", text=UNSURE),)


def confidence_min(policy: Mapping[str, Any]) -> float:
    """The project's threshold, 0 to 1; anything else in the policy counts as not written."""
    wanted = policy.get("confidence_min")
    usable = isinstance(wanted, int | float) and not isinstance(wanted, bool) and 0 <= wanted <= 1
    return float(wanted) if usable else CONFIDENCE_MIN  # type: ignore[arg-type]


def _open_model(context: Context, started: Run) -> tuple[Claude, Ledger]:
    settings = context.settings.agent
    if started.policy.get("planner") is False:
        raise CallerError(
            "This project does not have letters planned (its policy says `planner: false`).",
            "Send sprints with stories and a Definition of Done: docs/writing-a-specification.md shows how.",
            "planning-off",
        )
    # Late: only letters need it.
    from action.build.agents.claude.key import credential_of

    key = credential_of(context.settings, context.console.keep_secret)
    if key is None:
        raise CallerError(
            "This is a letter without a plan, and no planner is set up: the workflow hands over no key for Claude.",
            "A maintainer sets `anthropic-api-key` in the workflow, or an identity (docs/agents.md); or send sprints "
            "with a Definition of Done, as docs/writing-a-specification.md shows.",
            "planner-not-configured",
        )
    ledger = open_ledger(context, started)
    if started.controlled and context.store is not None:
        ledger.sync()
        budget = context.store.read_budget(started.run_id)
        if budget.get("spec_cancelled") or budget.get("run_open") is False:
            raise Conflict("The specification was cancelled.", "There is nothing to plan any more.", "cancelled")
        ledger.set_left(budget.get("left_usd"))
        ledger.learn_earlier(budget.get("spent_usd"))
    model = settings.planner_model or DEFAULT_MODEL
    return Claude(key, model, RunPurse(ledger, model), url=context.settings.claude_url), ledger


def _settle(context: Context, ledger: Ledger) -> None:
    """Nothing fails open: what was spent must be known before more is."""
    ledger.sync()
    spent = ledger.spent("planner")
    if spent:
        context.console.say(f"Planning cost US$ {spent:.4f}")


def _pause(context: Context, started: Run, limit: LimitReached) -> Released:
    if context.store is None or not started.controlled:
        raise limit
    paused = context.store.pause_run(started.run_id, limit.told_at, limit.message)
    return Released(status="PAUSED", reason=limit.message, resume_at=str(paused["resume_at"]))


def _still_unclear(questions: tuple[Question, ...]) -> CallerError:
    shown = " ".join(question.text for question in questions[:3])
    return CallerError(
        f"After {MOST_ROUNDS} answers it is still not clear what to build: {shown}",
        "Send a new letter that says it, or a specification with its sprints.",
        "still-unclear",
    )
