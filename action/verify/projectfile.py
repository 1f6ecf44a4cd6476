"""What a project tells about itself: its test commands, and the app that a browser needs (`.aicd.yml`, the spec)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from action.verify.checkout import Snapshot
from action.verify.policy import POLICY_FILES, load_document
from controlplane.spec import TestCommands

DEFAULT_READY_SECONDS, LONGEST_READY_SECONDS = 60.0, 600.0
LONGEST_COMMAND = 4000
MOST_COMMANDS = 20
MOST_SHARDS = 16
LOOPBACK = ("127.0.0.1", "localhost")
# Our own pytest stands for these: it runs the same tests, and its report cannot be written by them.
_RUNNER = r"((uv|poetry|pdm|pipenv|hatch)\s+run\s+)?(python3?\s+-[mI]+\s+)?"
PYTEST = re.compile(rf"^\s*{_RUNNER}(pytest|py\.test)\b[^;&|<>]*$")
NODE = re.compile(r"^\s*(npm|npx|pnpm|yarn|node)\b")


@dataclass(frozen=True)
class App:
    """How the product is started for a browser. `{port}` in both texts is a free port, also told as PORT."""

    command: str
    url: str
    ready_seconds: float = DEFAULT_READY_SECONDS


@dataclass(frozen=True)
class Told:
    """Commands as they are to be run; empty where our own runs stand for them. `notes` tell what came of the rest.

    `shards` is in how many processes the tests run at once.
    """

    unit: str = ""
    e2e: str = ""
    commands: tuple[str, ...] = ()
    app: App | None = None
    shards: int = 1
    notes: tuple[str, ...] = ()


def read_told(base: Snapshot, head: Snapshot, spec: TestCommands | None) -> Told:
    """Join the specification's `tests` (which goes first) with the base's `.aicd.yml`.

    A base that tells of no app lets the change say how its own product is started: nothing else of the change's file
    counts.
    """
    of_base, notes = _document(base)
    of_head, _ = _document(head)
    tests = _mapping(of_base.get("tests"))
    app, problem = _app(of_base.get("app"), "the base's .aicd.yml")
    if app is None and not problem and of_head.get("app") is not None:
        app, problem = _app(of_head.get("app"), "the change's .aicd.yml")
    shards, unsplit = read_shards(tests.get("shards"))
    commands = spec.commands if spec and spec.commands else _commands(tests.get("commands"))
    told = Told(
        unit=(spec.unit if spec else None) or _text(tests.get("unit")),
        e2e=(spec.e2e if spec else None) or _text(tests.get("e2e")),
        commands=tuple(commands[:MOST_COMMANDS]),
        app=app,
        shards=shards,
        notes=tuple(note for note in (*notes, problem, unsplit) if note),
    )
    return _without_ours(told)


def read_shards(value: Any) -> tuple[int, str]:
    """`tests.shards` as a number, and why not."""
    if value is None:
        return 1, ""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_SHARDS:
        return 1, f"tests.shards is not a whole number from 1 to {MOST_SHARDS}, so the tests ran in one process"
    return value, ""


def _without_ours(told: Told) -> Told:
    """Leave out what our own pytest does anyway, and say so."""
    notes = list(told.notes)
    kept = {}
    for name in ("unit", "e2e"):
        command = getattr(told, name)
        if PYTEST.match(command):
            notes.append(f"tests.{name}: `{command.strip()}` is run as our own pytest runs it")
        kept[name] = "" if PYTEST.match(command) else command
    ours = [command for command in told.commands if PYTEST.match(command)]
    notes += [f"tests.commands: `{command.strip()}` is run as our own pytest runs it" for command in ours]
    commands = tuple(command for command in told.commands if command not in ours)
    return replace(told, unit=kept["unit"], e2e=kept["e2e"], commands=commands, notes=tuple(notes))


def _document(snapshot: Snapshot) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The file's mapping; what makes it unreadable is already told by the policy."""
    for name in POLICY_FILES:
        if name in snapshot.contents:
            document, _ = load_document(snapshot.contents[name])
            return _mapping(document), ()
    return {}, ()


def _app(value: Any, where: str) -> tuple[App | None, str]:
    if value is None:
        return None, ""
    settings = _mapping(value)
    command, url = _text(settings.get("command")), _text(settings.get("url"))
    if not command or not url:
        return None, f"{where}: app needs `command` and `url`, so no app was started"
    problem = _wrong_address(url)
    if problem:
        return None, f"{where}: app.url {problem}, so no app was started"
    seconds = settings.get("ready_seconds", DEFAULT_READY_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_READY_SECONDS:
        return None, f"{where}: app.ready_seconds is not a number up to {LONGEST_READY_SECONDS:.0f}"
    return App(command, url, float(seconds)), ""


def _wrong_address(url: str) -> str:
    """Only this machine is asked: whoever writes the file must not make us call anybody else."""
    try:
        parts = urlsplit(url.replace("{port}", "80"))
        port = parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme != "http" or parts.hostname not in LOOPBACK or parts.username is not None:
        return "is not http://127.0.0.1 or http://localhost"
    return "" if port else "names no port (write {port} for a free one)"


def _commands(value: Any) -> tuple[str, ...]:
    return tuple(text for item in value if (text := _text(item))) if isinstance(value, list) else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST_COMMAND else ""
