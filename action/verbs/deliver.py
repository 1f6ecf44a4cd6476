"""deliver: all verbs in their order, in one process; what action.yml does step by step."""

from __future__ import annotations

from dataclasses import replace

from action.context import Context
from action.run import Run
from action.running import run_verb

WORK = ("start", "plan", "build", "verify", "gate")
CLOSING = ("publish", "finish")


def run(context: Context) -> int:
    """The exit code of finish, or of the first verb that failed for another reason than a verdict."""
    first = 0
    for verb in WORK:
        first = _call(context, verb)
        if first or (verb == "start" and context.folder.load("run", Run) is None):
            break
    if context.folder.load("run", Run) is None:
        return first
    codes = [_call(context, verb) for verb in CLOSING]
    return first or next((code for code in codes if code), 0)


def _call(context: Context, verb: str) -> int:
    with context.console.group(verb):
        return run_verb(replace(context, verb=verb))
