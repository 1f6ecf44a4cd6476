"""The words the model is given: our prompt, or the project's own, and the message with all that it is to plan from.

Whichever prompt it was, its hash is recorded with the plan.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path

from action.plan.nouns import PlanRequest
from action.plan.plaintext import marked, one_line, visible
from action.plan.repository import RepositoryView
from action.prompts import Prompt as Prompt
from action.prompts import prompt_hash as prompt_hash
from action.prompts import read_own_prompt
from controlplane.errors import CallerError

FOLDER = Path(__file__).parent / "prompts"
MOST_LETTER_CHARACTERS = 60_000
MOST_OTHER_CHARACTERS = 20_000


def load_prompt(repository: Path, base: str) -> Prompt:
    """The project's own where its base holds one. Raises CallerError for one that is no text or too long."""
    ours = Prompt(text=(FOLDER / "plan.md").read_text(encoding="utf-8"))
    return read_own_prompt(repository, base, "plan.md") or ours


def repair_words(problems: tuple[str, ...]) -> str:
    """The one chance to mend an answer that breaks a rule."""
    listed = "\n".join(f"- {one_line(problem, 500)}" for problem in problems)
    return (FOLDER / "repair.md").read_text(encoding="utf-8").replace("{problems}", listed)


def repository_words(view: RepositoryView) -> str:
    """The repository as data; always the same for the same commit, so that it can be cached."""
    mark = hashlib.sha256(f"{view.commit}{view.model_dump_json()}".encode()).hexdigest()[:16]
    if not view.files:
        return "The repository is empty: nothing has been committed yet."
    languages = ", ".join(f"{name} {size} bytes" for name, size in view.languages.items()) or "none that we know"
    listed = "\n".join(json.dumps(name, ensure_ascii=False) for name in view.names)
    left = f"\n({view.files - len(view.names)} more files are not listed)" if view.files > len(view.names) else ""
    parts = [
        f"Languages: {languages}. Files: {view.files}. Files with tests: {view.tests}.",
        marked("file-names", listed + left, mark),
    ]
    for file in view.shown:
        heading = f"{json.dumps(file.name, ensure_ascii=False)}{' (its beginning)' if file.cut else ''}:"
        parts.append(f"{heading}\n{marked('file', file.text, mark)}")
    return "\n\n".join(parts)


def letter_words(request: PlanRequest) -> str:
    """The letter and what was asked and answered about it. Raises CallerError for one that is too long to plan."""
    letter = visible(request.spec.letter).strip()
    if len(letter) > MOST_LETTER_CHARACTERS:
        raise CallerError(
            f"The letter has {len(letter)} characters; at most {MOST_LETTER_CHARACTERS} can be planned at once.",
            "Send it in several mails, or attach a specification with its sprints.",
            "letter-too-long",
        )
    mark = secrets.token_hex(8)
    parts = [marked("letter", letter or one_line(request.spec.title, 500), mark)]
    other = _other_wishes(request)
    if other:
        parts.append("What the requester wrote in the specification beside it:\n" + marked("written", other, mark))
    if request.spec.dod is not None:
        parts.append("The requester's own Definition of Done is added to every sprint; do not repeat or relax it.")
    if request.spec.policies.branch:
        parts.append("All sprints share one branch: each must depend on the one before it.")
    if request.questions:
        asked = "\n".join(f"{question.id}: {visible(question.text)}" for question in request.questions)
        parts.append("You asked before:\n" + marked("questions", asked[:MOST_OTHER_CHARACTERS], mark))
    for answer in request.answers:
        text = visible(answer.text)[:MOST_OTHER_CHARACTERS]
        parts.append("The requester answered:\n" + marked("answer", text, mark))
    parts.append(f"Plan what stands between the lines <letter {mark}> and </letter {mark}>.")
    return "\n\n".join(parts)


def _other_wishes(request: PlanRequest) -> str:
    """What a structured specification without sprints says: keys that we know and keys that we do not."""
    spec = request.spec
    known = {
        "title": spec.title,
        "runtime": spec.runtime,
        "tests": spec.tests.model_dump(exclude_defaults=True),
        "dod": spec.dod.model_dump(exclude_unset=True) if spec.dod else {},
        "files": [file.path for file in spec.files],
        "other": spec.unknown,
    }
    if spec.format == "text":
        return ""
    text = json.dumps({key: value for key, value in known.items() if value}, ensure_ascii=False, default=str)
    return visible(text)[:MOST_OTHER_CHARACTERS]
