"""A letter → a plan: the model is asked once, its answer judged by our rules, and mended once where it breaks one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from action.money import Usage
from action.plan.answer import PlanAnswer, answer_schema
from action.plan.check import CheckedAnswer, check_answer
from action.plan.claude import Reply, Turn
from action.plan.dialogue import Question
from action.plan.memory import Memory, NoMemory
from action.plan.nouns import Estimate, Planned, PlanRequest, Unplanned
from action.plan.plaintext import visible
from action.plan.prompt import letter_words, prompt_hash, repair_words, repository_words
from action.runfolder import to_plain
from controlplane.errors import CallerError

MOST_QUESTION_CHARACTERS = 1_000
WHY_STOPPED = {
    "refusal": (
        "planning-refused",
        "The model refused to plan this letter.",
        "Say in other words what is to be built.",
    ),
    "max_tokens": (
        "plan-too-long",
        "The plan became longer than one answer may be.",
        "Send the letter in several mails, one matter each.",
    ),
    "model_context_window_exceeded": (
        "letter-too-long",
        "The letter and the repository are more than the model can read.",
        "Send a shorter letter, or a specification with its sprints.",
    ),
}


class Asks(Protocol):
    """A model: `action.plan.claude.Claude` is the one that is used."""

    @property
    def model(self) -> str: ...

    def ask(self, system: Sequence[Mapping[str, Any]], turns: Sequence[Turn], schema: Mapping[str, Any]) -> Reply: ...


def plan_letter(request: PlanRequest, claude: Asks, memory: Memory | None = None) -> Planned | Unplanned:
    """Raises CallerError with the reason where no usable plan comes, and what `Claude.ask` raises.

    What `memory` holds of an earlier planning is not asked for again.
    """
    memory = memory or NoMemory()
    system = [{"type": "text", "text": request.prompt, "cache_control": {"type": "ephemeral"}}]
    asked = [
        {"type": "text", "text": repository_words(request.repository), "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": letter_words(request)},
    ]
    turns: list[Turn] = [{"role": "user", "content": asked}]
    used = Usage()
    checked = CheckedAnswer()
    for call in (1, 2):
        key = question_key(request, claude.model, turns[1:])
        reply = memory.find(key)
        if reply is None:
            reply = claude.ask(system, turns, answer_schema())
            memory.keep(key, reply)
        used = _sum(used, reply.usage)
        _refuse_stop(reply, memory)
        checked = check_answer(reply.text, request.spec)
        if not checked.problems and checked.answer is not None:
            return _as_outcome(request, checked, checked.answer, reply.model, used, call)
        # An empty text is no turn that the API takes.
        turns += [
            {"role": "assistant", "content": reply.text or "(nothing)"},
            {"role": "user", "content": repair_words(checked.problems)},
        ]
    memory.forget()
    raise CallerError(
        f"The plan broke our rules twice: {'; '.join(checked.problems[:3])}.",
        "Say more exactly what is to be built, or send a specification with its sprints.",
        "plan-invalid",
        details={"problems": list(checked.problems)},
    )


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        cache_write_1h_tokens=one.cache_write_1h_tokens + other.cache_write_1h_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
    )


def question_key(request: PlanRequest, model: str, later: Sequence[Turn]) -> str:
    """The SHA-256 of all that is asked, but for the marks between which it stands: those are new each time."""
    asked = [model, answer_schema(), to_plain(request), list(later)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _refuse_stop(reply: Reply, memory: Memory) -> None:
    if reply.stop_reason in WHY_STOPPED:
        memory.forget()
        code, message, fix = WHY_STOPPED[reply.stop_reason]
        raise CallerError(message, fix, code)


def _as_outcome(
    request: PlanRequest, checked: CheckedAnswer, answer: PlanAnswer, model: str, used: Usage, calls: int
) -> Planned | Unplanned:
    facts = {
        "questions": _questions(answer, first=len(request.questions) + 1),
        "confidence": answer.confidence,
        "model": model,
        "prompt_sha256": prompt_hash(request.prompt),
        "usage": used,
        "calls": calls,
    }
    if checked.plan is None:
        return Unplanned.model_validate(facts)
    estimate = Estimate(cost_usd=round(answer.estimate_cost_usd, 2), minutes=round(answer.estimate_minutes, 1))
    return Planned.model_validate({**facts, "plan": checked.plan, "estimate": estimate})


def _questions(answer: PlanAnswer, first: int) -> tuple[Question, ...]:
    """Blocking ones first, numbered on from those of earlier rounds."""
    asked = sorted((one for one in answer.questions if one.text.strip()), key=lambda one: not one.blocking)
    return tuple(
        Question(
            id=f"Q{number}",
            text=" ".join(visible(one.text).split())[:MOST_QUESTION_CHARACTERS],
            blocking=one.blocking,
        )
        for number, one in enumerate(asked, start=first)
    )
