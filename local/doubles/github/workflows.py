"""Workflow files, read from the repository: what starts them, which inputs they take, what their runs are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from local.doubles.github.git import Git

FOLDER = ".github/workflows"
MAX_INPUTS = 25


@dataclass(frozen=True)
class Workflow:
    """One workflow file at one commit. `triggers` maps an event to its settings; unreadable files have none."""

    path: str
    name: str
    triggers: Mapping[str, Any]
    run_name: str | None


class InputsRefusedError(Exception):
    """The inputs do not fit workflow_dispatch; the message is GitHub's."""


def read_workflows(git: Git, sha: str) -> list[Workflow]:
    entries = [e for e in git.tree(sha, FOLDER) if e.kind == "blob" and e.path.endswith((".yml", ".yaml"))]
    return [parse_workflow(entry.path, git.blob(entry.sha)) for entry in entries]


def read_workflow(git: Git, sha: str, path: str) -> Workflow | None:
    entry = git.entry(sha, path)
    return parse_workflow(path, git.blob(entry.sha)) if entry and entry.kind == "blob" else None


def parse_workflow(path: str, source: bytes) -> Workflow:
    """Never raises; what is no workflow has no triggers. YAML 1.2 keeps `on` a word."""
    try:
        document = YAML(typ="safe", pure=True).load(source.decode("utf-8"))
    except (YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        document = None
    if not isinstance(document, dict):
        return Workflow(path, path, {}, None)
    events = document.get("on", {})
    if isinstance(events, str):
        events = {events: None}
    elif isinstance(events, list):
        events = dict.fromkeys(map(str, events))
    elif not isinstance(events, dict):
        events = {}
    return Workflow(path, str(document.get("name") or path), events, document.get("run-name"))


def check_inputs(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, str]:
    """All inputs as the strings that a job sees, defaults filled in. Raises InputsRefusedError."""
    settings = workflow.triggers.get("workflow_dispatch") or {}
    declared: Mapping[str, Any] = settings.get("inputs") or {}
    if unexpected := [name for name in given if name not in declared]:
        raise InputsRefusedError(f"Unexpected inputs provided: {str(unexpected).replace(chr(39), chr(34))}")
    inputs = {}
    for name, raw in declared.items():
        rule = raw if isinstance(raw, dict) else {}
        value = _text(given[name]) if name in given else None
        if not value and rule.get("required") is True and rule.get("default") is None:
            raise InputsRefusedError(f"Required input '{name}' not provided")
        options = [_text(option) for option in rule.get("options", [])]
        if value and rule.get("type") == "choice" and value not in options:
            raise InputsRefusedError(f"Provided value '{value}' for input '{name}' not in the list of allowed values")
        if value and rule.get("type") == "boolean" and value not in ("true", "false"):
            raise InputsRefusedError(f"Provided value '{value}' for input '{name}' is not a boolean")
        inputs[name] = value if value is not None else _text(rule.get("default", ""))
    return inputs


def title_of(workflow: Workflow, context: Mapping[str, Any], usual: str) -> str:
    """The run's display title: `run-name` with its expressions filled in.

    Understood are property paths (`inputs.run-id`, `github.event.client_payload.x`, `inputs['x']`), string literals and
    `||`; anything else stays as it is written.
    """
    if not workflow.run_name:
        return usual
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: _evaluate(found[1], context, found[0]), str(workflow.run_name)
    ).strip()


def _evaluate(expression: str, context: Mapping[str, Any], source: str) -> str:
    for alternative in expression.split("||"):
        term = alternative.strip()
        if literal := re.fullmatch(r"'((?:[^']|'')*)'", term):
            return literal[1].replace("''", "'")
        steps = re.sub(r"\['([^']+)'\]", r".\1", term).split(".")
        if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step) for step in steps):
            return source
        value: Any = context
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value:
            return _text(value)
    return ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
