"""Answers as a model would write them, and a repository to plan for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.spec import Spec
from controlplane.specfile import check_spec
from tests.unit.action.conftest import run_git

LETTER = "repository: acme/calc\n\nHello,\n\nplease let the calculator subtract.\n\nAda\n"


def plan_answer(**changes: Any) -> dict[str, Any]:
    """A plan of one sprint; `changes` go to its top."""
    return {
        "epics": [{"title": "Arithmetic", "sprints": [sprint_answer()]}],
        "confidence": 0.9,
        "estimate_cost_usd": 1.234,
        "estimate_minutes": 8.0,
        "questions": [],
        **changes,
    }


def sprint_answer(**changes: Any) -> dict[str, Any]:
    return {
        "label": "subtract",
        "goals": ["The calculator subtracts"],
        "stories": [story_answer()],
        "dod": [criterion("coverage_min", "0.8"), criterion("tests_min", "2"), criterion("acceptance_traced", "true")],
        "depends_on": [],
        **changes,
    }


def story_answer(**changes: Any) -> dict[str, Any]:
    return {
        "id": "US1",
        "as_a": "user",
        "want": "to subtract",
        "so_that": "I need no paper",
        "acceptance": ["subtract(2, 1) is 1.", "subtract(1, 2) is -1."],
        **changes,
    }


def criterion(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}


def question(text: str, *, blocking: bool = True) -> dict[str, Any]:
    return {"text": text, "blocking": blocking}


def written(answer: dict[str, Any]) -> str:
    return json.dumps(answer)


def letter_spec(text: str = LETTER) -> Spec:
    found = check_spec(text.encode(), "letter.txt").spec
    assert found is not None
    return found


Commit = Callable[[dict[str, str | bytes]], tuple[Path, str]]


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """A bare repository with these files in one commit; (its path, the commit)."""

    def make(files: dict[str, str | bytes]) -> tuple[Path, str]:
        work = tmp_path / "work"
        run_git(tmp_path, "init", "-q", "-b", "main", str(work))
        for name, content in files.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        run_git(work, "add", "-A")
        run_git(work, "commit", "-qm", "Begin")
        return work / ".git", run_git(work, "rev-parse", "HEAD")

    return make
