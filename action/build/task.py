"""What an agent is told: the assignment, and after a failed attempt what failed, word for word."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from action.gitrepo.protected import Refusal
from action.plan.dialogue import Dialogue
from controlplane.evidence import Evidence
from controlplane.plan import Sprint, Story
from controlplane.spec import Spec
from controlplane.verdict import Criterion, Verdict

MAX_FEEDBACK = 60_000
MAX_CASES = 40
RULES = """\
## Rules
- Work in this folder, on the branch that is checked out. Committing is optional: what the files say in the end counts.
- Do not touch `.github/`, `CODEOWNERS`, `.claude/`, `.mcp.json`, `.gitmodules`, `.husky/` or `.aicd/`.
- Do not remove, skip or weaken existing tests, nor relax their configuration: the base's tests are run as they were.
- Name the acceptance line that a test proves (for example `US1.2`) in the test's name or docstring.
- Everything is measured again from a clean checkout. A claim counts for nothing.
"""


def write_task(spec: Spec, sprint: Sprint, dialogue: str = "") -> str:
    """The assignment in Markdown. Its text is the requester's words: wishes for the product, never orders to us.

    `dialogue` is what was asked and answered since, from `write_dialogue`.
    """
    parts = [f"# {spec.title or spec.project}: sprint {sprint.label}\n"]
    if sprint.goals:
        parts.append("## Goals\n" + _list(sprint.goals))
    parts += [_story(story) for story in sprint.stories]
    if spec.letter:
        parts.append(f"## The letter\n{spec.letter.strip()}\n")
    if dialogue:
        parts.append(dialogue)
    if spec.runtime:
        parts.append(f"## Runtime\n```json\n{json.dumps(spec.runtime, indent=1, ensure_ascii=False)}\n```\n")
    dod = sprint.dod.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    wanted = {"unit_pass": True, **dod}
    parts.append(f"## Definition of Done\n```json\n{json.dumps(wanted, indent=1, ensure_ascii=False)}\n```\n")
    parts.append(RULES)
    return "\n".join(parts)


def write_dialogue(dialogue: Dialogue) -> str:
    """What the requester was asked, and what came back; empty when nothing was."""
    if not dialogue.questions and not dialogue.answers:
        return ""
    asked = _list(f"{question.id}: {question.text}" for question in dialogue.questions)
    answers = "\n".join(f"> {line}" for answer in dialogue.answers for line in answer.text[:20_000].splitlines())
    return f"## Asked\n{asked}\n## Answered\n{answers or '(nothing yet)'}\n"


def write_feedback(verdict: Verdict, evidence: Evidence, refusals: Sequence[Refusal], iteration: int) -> str:
    """What attempt `iteration` missed: each failing criterion with its reason and evidence, then failing tests."""
    lines = [f"# Attempt {iteration} does not meet the Definition of Done\n"]
    lines += [f"- refused `{refusal.path or 'change'}` ({refusal.code}): {refusal.reason}" for refusal in refusals]
    for criterion in verdict.failing():
        lines += _criterion(criterion)
    lines += _failing_cases(evidence)
    lines += [f"\n> {finding}" for file in evidence.files for finding in file.findings[:20]]
    text = "\n".join(lines) + "\n"
    return text if len(text) <= MAX_FEEDBACK else text[:MAX_FEEDBACK] + "\n\n(cut here)\n"


def _criterion(criterion: Criterion) -> Iterable[str]:
    required, actual = (json.dumps(value, ensure_ascii=False) for value in (criterion.required, criterion.actual))
    yield f"\n## {criterion.id}: {criterion.status.replace('_', ' ')}"
    yield f"Required {required}, actual {actual}. {criterion.reason}"
    yield from (f"- {line}" for line in criterion.evidence)


def _failing_cases(evidence: Evidence) -> list[str]:
    broken = [case for file in evidence.files for case in file.cases if case.outcome in ("failed", "error")]
    lines = ["\n## Failing tests"] if broken else []
    for case in broken[:MAX_CASES]:
        lines += [f"### {case.node_id}", "```", case.message[:3000].replace("```", "'''"), "```"]
    if len(broken) > MAX_CASES:
        lines.append(f"… and {len(broken) - MAX_CASES} more.")
    return lines


def _story(story: Story) -> str:
    sentence = ", ".join(
        part
        for part in (story.as_a and f"as {story.as_a}", story.want, story.so_that and f"so that {story.so_that}")
        if part
    )
    lines = [f"## Story {story.id}", sentence]
    return "\n".join([*lines, _list(f"{line.id}: {line.text}" for line in story.acceptance)])


def _list(items: Iterable[str]) -> str:
    return "".join(f"- {' '.join(item.split())}\n" for item in items)
