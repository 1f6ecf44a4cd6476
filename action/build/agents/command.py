"""Any program as an agent: `agent: command`, `agent-command: …`.

The program runs by `sh -c` in the repository's folder, in the same sandbox that tests run in: its own user where we
can switch, an environment made from nothing, a clock, a bounded output, and no process of it alive afterwards. It is
told:

| variable | holds |
|---|---|
| `AICD_TASK_FILE` | a Markdown file: goals, stories with the ids of their acceptance lines, Definition of Done |
| `AICD_FEEDBACK_FILE` | from the second attempt on: what failed, word for word; not set before |
| `AICD_ITERATION` | 1, 2, 3 … |

What it leaves in the folder is its work. It may write a JSON object to `$AICD_USAGE_FILE`
(`{"cost_usd", "input_tokens", "output_tokens", "model"}`), which is recorded as what the program itself claims.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

from action.build.agents.housing import give_away, prepare_tools
from action.build.agents.seam import Attempt, Task
from action.verify.sandbox import Cell, Outcome, open_cell
from controlplane.errors import UsageError

MAX_USAGE_BYTES = 64 * 1024
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
# RUNNER_TRACKING_ID lets GitHub's runner end what survives even us.
KEPT_VARIABLES = ("TZ", "RUNNER_TRACKING_ID", "SSL_CERT_FILE", "SSL_CERT_DIR", *PROXIES)


class CommandAgent:
    name = "command"
    repeats = True

    def __init__(self, command: str, cache_dir: Path) -> None:
        if not command.strip():
            raise UsageError("`agent: command` needs `agent-command`.", "Write the command line to run.", "no-command")
        self._command = command
        self._cache_dir = cache_dir

    def work(self, task: Task) -> Attempt:
        needed = [task.repository, *_paths_in(self._command)]
        tools, isolation = prepare_tools(task.scratch, needed, self._cache_dir)
        folder = task.scratch / f"attempt-{task.iteration}"
        shutil.rmtree(folder, ignore_errors=True)
        with open_cell(folder, tools) as cell:
            variables = _hand_over(task, cell)
            give_away(cell, task.repository)
            outcome = cell.run(
                ["/bin/sh", "-c", self._command],
                timeout_seconds=task.timeout_seconds,
                cwd=task.repository,
                environment=variables,
                listen=lambda _: task.watch(),
            )
        task.log.write_bytes(outcome.output + outcome.errors)
        return _attempt(outcome, isolation, _usage(Path(variables["AICD_USAGE_FILE"])))


def _hand_over(task: Task, cell: Cell) -> dict[str, str]:
    """Write what the agent is told into its home, and name it by variables."""
    given = {"TASK": cell.folder / "task.md"}
    given["TASK"].write_text(task.text, encoding="utf-8")
    if task.feedback:
        given["FEEDBACK"] = cell.folder / "feedback.md"
        given["FEEDBACK"].write_text(task.feedback, encoding="utf-8")
    for path in given.values():
        path.chmod(0o644)
    given["USAGE"] = cell.home / "usage.json"
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    named = {f"AICD_{name}_FILE": str(path) for name, path in given.items()}
    return {**kept, **named, "AICD_ITERATION": str(task.iteration), "CI": "true", "NO_COLOR": "1"}


def _paths_in(command: str) -> list[Path]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return [Path(word) for word in words if word.startswith("/") and Path(word).exists()]


def _attempt(outcome: Outcome, isolation: str, usage: dict[str, Any]) -> Attempt:
    if outcome.reason in ("cancelled", "out-of-money"):
        ending, reason = outcome.reason, f"The command was stopped: {outcome.reason}."
    elif outcome.reason:
        ending, reason = (
            ("timed-out" if outcome.timed_out else "stopped"),
            f"The command was stopped: {outcome.reason}.",
        )
    else:
        ending = "done" if outcome.exit_code == 0 else "failed"
        reason = "" if outcome.exit_code == 0 else f"The command ended with {outcome.exit_code}."
    return Attempt.model_validate(
        {"ending": ending, "reason": reason, "exit_code": outcome.exit_code, "isolation": isolation, **usage}
    )


def _usage(path: Path) -> dict[str, Any]:
    """What the program says it used, where that can be read as numbers; anything else counts as not said."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            said = json.loads(file.read(MAX_USAGE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    numbers = {key: said.get(key) for key in ("cost_usd", "input_tokens", "output_tokens")}
    usage = {key: value for key, value in numbers.items() if _is_amount(value)}
    model = said.get("model")
    return {**usage, **({"model": model[:100]} if isinstance(model, str) else {})}


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
