"""The run folder: how verbs hand their nouns on (docs/architecture.md). One process at a time writes it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from controlplane.errors import BrokenPromise

Model = TypeVar("Model", bound=BaseModel)


FOLDERS = ("repository", "agent", "agent-logs", "iterations", "reports", "logs", "report")
NOUNS = (
    "run", "spec", "dialogue", "plan", "planned", "sprint", "released", "resume", "build", "change", "evidence",
    "verdict", "failure", "published", "earlier",
)  # fmt: skip
FILES = (
    *(f"{noun}.json" for noun in NOUNS),
    "events.jsonl",
    "executions.jsonl",
    "ledger.jsonl",
    "session.jsonl",
    "verbs.jsonl",
)


class RunFolder:
    """Files of one run. Reading a noun that is not there gives None: the verb before it did not get so far."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def repository(self) -> Path:
        """The clone we trust: bare, and no agent ever works in it."""
        return self.path / "repository"

    @property
    def report(self) -> Path:
        return self.path / "report"

    @property
    def agent_logs(self) -> Path:
        """What the agent printed; `reports/` and `logs/` beside it are verify's, which empties them when it begins."""
        return self.path / "agent-logs"

    def prepare(self) -> None:
        """Make the folder, for its owner only."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.report, self.agent_logs):
            folder.mkdir(mode=0o700, exist_ok=True)

    def begin(self, verb: str) -> None:
        """Note that a verb begins, so that a later one can tell when it was killed."""
        self.append("verbs.jsonl", {"verb": verb})

    def end(self, verb: str, code: int) -> None:
        """Note that a verb came to its end, whatever the end was."""
        self.append("verbs.jsonl", {"verb": verb, "exit_code": code})

    def find_interrupted(self, besides: str) -> str:
        """The first verb that began and never ended; `besides` is the one that asks. Empty when there is none."""
        try:
            lines = (self.path / "verbs.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ""
        running: dict[str, None] = {}
        for entry in map(json.loads, lines):
            if "exit_code" in entry:
                running.pop(entry["verb"], None)
            else:
                running[entry["verb"]] = None
        return next((verb for verb in running if verb not in (besides, "deliver")), "")

    def forget(self) -> None:
        """Remove what an earlier run left here: its nouns must never be taken for this one's.

        Only names that are ours are removed, since AICD_RUN_DIR may be any folder.
        """
        for name in FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in FILES:
            (self.path / name).unlink(missing_ok=True)

    def save(self, name: str, noun: BaseModel) -> None:
        """Write `NAME.json` whole or not at all."""
        self.save_text(f"{name}.json", json.dumps(to_plain(noun), indent=1, ensure_ascii=False) + "\n")

    def save_text(self, name: str, text: str) -> Path:
        target = self.path / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = target.with_name(target.name + ".half")
        half.write_text(text, encoding="utf-8")
        half.replace(target)
        return target

    def load(self, name: str, model: type[Model]) -> Model | None:
        """The noun, or None when it was never written; raises BrokenPromise when it is not what we wrote."""
        try:
            text = (self.path / f"{name}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            return model.model_validate(json.loads(text))
        except (ValidationError, ValueError) as error:
            raise BrokenPromise(f"The run folder's {name}.json cannot be read.", "Start the run again.") from error

    def require(self, name: str, model: type[Model], verb: str) -> Model:
        """The noun; raises BrokenPromise that names the verb which should have run before."""
        noun = self.load(name, model)
        if noun is None:
            raise BrokenPromise(
                f"The run folder has no {name}.json.", f"Run `{verb}` first; AICD_RUN_DIR must be the same for all."
            )
        return noun

    def append(self, name: str, entry: Mapping[str, Any]) -> None:
        """One line of JSON at the end of `NAME`."""
        self.prepare()
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False, default=str) + os.linesep)


def to_plain(value: Any) -> Any:
    """A noun as JSON that its model reads back whole: also the fields that its public form leaves out.

    Computed fields are not written: they would be refused on the way back, and are computed again.
    """
    if isinstance(value, BaseModel):
        return {name: to_plain(item) for name, item in value}  # iterates fields and extras, excluded ones too
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, str | int | float | bool | None) else str(value)
