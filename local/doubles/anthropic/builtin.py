"""The scenarios that come along. `demo` plans the example letter and builds it from its recording, mistake included."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from local.doubles.anthropic.conversation import Conversation
from local.doubles.anthropic.scenario import Call, Scenario, Script, Step
from local.stack.places import shipped

CHECK = "mcp__aicd-controlplane__check_dod"
SPEC = "mcp__aicd-controlplane__get_spec"
PLAN: dict[str, Any] = {
    "epics": [
        {
            "title": "Fair shares",
            "sprints": [
                {
                    "label": "weighted-shares",
                    "goals": ["Flatmates can split a bill by weights, and no cent is lost."],
                    "stories": [
                        {
                            "id": "US1",
                            "as_a": "a flatmate who was away for half the month",
                            "want": "to split the bill by the nights each of us slept here",
                            "so_that": "I pay for what I used",
                            "acceptance": [
                                "Shares follow the weights.",
                                "Cents left over go to the largest remainders, earlier ones first.",
                                "The shares always add up to the amount.",
                                "Negative or missing weights are refused with a reason.",
                            ],
                        }
                    ],
                    "dod": [
                        {"key": "coverage_min", "value": "0.95"},
                        {"key": "tests_min", "value": "6"},
                        {"key": "lint_pass", "value": "true"},
                        {"key": "type_check", "value": "true"},
                        {"key": "acceptance_traced", "value": "true"},
                    ],
                    "depends_on": [],
                }
            ],
        }
    ],
    "confidence": 0.9,
    "estimate_cost_usd": 0.4,
    "estimate_minutes": 5,
    "questions": [],
}


def demo(conversation: Conversation) -> Step:
    """Look, write the first recording, test itself where it may, then mend what was found, or what came back."""
    if conversation.wants_structure is not None:
        return Step(data=PLAN, input_tokens=3000, output_tokens=900)
    steps = _checking() if CHECK in conversation.tools else _returning()
    return steps[min(conversation.turn, len(steps) - 1)]


@cache
def _checking() -> tuple[Step, ...]:
    check = Step(say="Let me hold it against the Definition of Done.", call=(Call(name=CHECK),))
    return (_look(with_spec=True), _write(1), check, _write(2), check, Step(say="All criteria are met now."))


@cache
def _returning() -> tuple[Step, ...]:
    return (_look(with_spec=False), _write(1), Step(say="Written."), _write(2), Step(say="Mended."))


def _look(*, with_spec: bool) -> Step:
    """An existing file has to be read before it may be written."""
    existing = [path for path in _files(1) if (shipped("examples/demo/repository") / path).exists()]
    reads = [Call(name="Read", input={"file_path": f"{{folder}}/{path}"}) for path in existing]
    asked = [Call(name=SPEC)] if with_spec else []
    return Step(say="I look at what is there.", call=(*asked, *reads))


def _write(number: int) -> Step:
    said = "I write the split and its tests." if number == 1 else "The other acceptance lines want tests, too."
    calls = tuple(
        Call(name="Write", input={"file_path": f"{{folder}}/{path}", "content": text})
        for path, text in _files(number).items()
    )
    return Step(say=said, call=calls, output_tokens=1500)


@cache
def _files(number: int) -> dict[str, str]:
    folder: Path = shipped("examples/demo/recording") / str(number)
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


BUILT_IN: dict[str, Script] = {"demo": demo, "done": Scenario()}
