"""Any program as an agent: `agent: command`, `agent-command: …`.

The program runs by `sh -c` in the repository's folder, in the same sandbox that tests run in: its own user where we
can switch, an environment made from nothing, a clock, a bounded output, and no process of it alive afterwards. It is
told:

| variable | holds |
|---|---|
| `AICD_TASK_FILE` | a Markdown file: goals, stories with the ids of their acceptance lines, Definition of Done |
| `AICD_FEEDBACK_FILE` | from the second attempt on: what failed, word for word; not set before |
| `AICD_ITERATION` | 1, 2, 3 … |
| `AICD_MCP_CONFIG_FILE` | our MCP server, by which it tests itself: `{"mcpServers": {…}}`; not set if it cannot run |
| what the maintainer hands on | by the names without AICD_AGENT_; whatever runs in the sandbox can read it |

What it leaves in the folder is its work. It may write a JSON object to `$AICD_USAGE_FILE`
(`{"cost_usd", "input_tokens", "output_tokens", "model"}`), which is recorded as what the program itself claims.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from action.build.agents.housing import give_away, prepare_tools
from action.build.agents.seam import Attempt, Task
from action.verify.interpreter import Interpreter, find_interpreter
from action.verify.sandbox import Cell, Outcome, open_cell
from controlplane.errors import UsageError

if TYPE_CHECKING:
    from action.build.agents.claude.toolpython import ToolPython
    from action.toolserver.host import ToolHost
    from action.toolserver.rundesk import RunDesk

MAX_USAGE_BYTES = 64 * 1024
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
# RUNNER_TRACKING_ID lets GitHub's runner end what survives even us.
KEPT_VARIABLES = ("TZ", "RUNNER_TRACKING_ID", "SSL_CERT_FILE", "SSL_CERT_DIR", *PROXIES)
UNMETERED = (
    "Unmetered: the command said nothing about its use in $AICD_USAGE_FILE, so the budget of this run did not hold it."
)


@dataclass(frozen=True)
class CommandSettings:
    """`variables` are handed to the program by these names. `desk` None leaves our MCP server out. `redact` takes
    secrets out of a text. `has_budget`: somebody counts on being told what it cost."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    desk: RunDesk | None = None
    redact: Callable[[str], str] = str
    has_budget: bool = False


@dataclass(frozen=True)
class OwnServer:
    """Our MCP server's door, and the Python that the program starts the server with."""

    host: ToolHost
    python: ToolPython


class CommandAgent:
    name = "command"
    repeats = True

    def __init__(self, command: str, cache_dir: Path, settings: CommandSettings | None = None) -> None:
        if not command.strip():
            raise UsageError("`agent: command` needs `agent-command`.", "Write the command line to run.", "no-command")
        self._command = command
        self._cache_dir = cache_dir
        self._settings = settings or CommandSettings()
        self._asked: Counter[str] = Counter()

    def work(self, task: Task) -> Attempt:
        needed = [task.repository, *_paths_in(self._command)]
        interpreter = find_interpreter(self._cache_dir)
        tools, isolation = prepare_tools(task.scratch, needed, self._cache_dir, interpreter)
        folder = task.scratch / f"attempt-{task.iteration}"
        shutil.rmtree(folder, ignore_errors=True)
        with ExitStack() as stack:
            # Roomy: many of these programs are Node, which reserves more addresses than it uses.
            cell = stack.enter_context(open_cell(folder, tools, roomy=True))
            variables = {**self._settings.variables, **_hand_over(task, cell)}
            host = self._open_tools(stack, interpreter)
            variables |= _tell_of(host, cell) if host else {}
            give_away(cell, task.repository)
            outcome = cell.run(
                ["/bin/sh", "-c", self._command],
                timeout_seconds=task.timeout_seconds,
                cwd=task.repository,
                environment=variables,
                listen=lambda _: task.watch(),
            )
        task.log.write_bytes(self._clean(outcome.output + outcome.errors, host))
        return self._attempt(outcome, isolation, _usage(Path(variables["AICD_USAGE_FILE"])))

    def _attempt(self, outcome: Outcome, isolation: str, usage: dict[str, Any]) -> Attempt:
        told = usage.keys() & {"cost_usd", "input_tokens", "output_tokens"}
        notes = (UNMETERED,) if self._settings.has_budget and not told else ()
        ending, reason = _ending(outcome)
        desk = self._settings.desk
        if desk is not None and desk.waits_for_answer and ending in ("done", "failed"):
            ending, reason = "needs-input", "The requester has to answer first."
        return Attempt.model_validate(
            {
                "ending": ending,
                "reason": reason,
                "exit_code": outcome.exit_code,
                "isolation": isolation,
                "notes": notes,
                **usage,
            }
        )

    def _open_tools(self, stack: ExitStack, interpreter: Interpreter) -> OwnServer | None:
        """Our MCP server behind a throw-away token; None where nothing could start it."""
        desk = self._settings.desk
        if desk is None:
            return None
        # Late: the tool server brings libraries along that no other command needs.
        from action.build.agents.claude.toolpython import find_tool_python
        from action.toolserver.host import ToolHost

        python = find_tool_python(interpreter)
        if python is None:
            return None
        desk.next_attempt()
        stack.callback(desk.end_attempt)
        host = ToolHost(desk, self._settings.redact, asked=self._asked)
        return OwnServer(stack.enter_context(host), python)

    def _clean(self, output: bytes, server: OwnServer | None) -> bytes:
        """Byte for byte what it printed, without secrets, and without a token that would only alarm whoever reads."""
        text = output.decode("utf-8", "surrogateescape")
        text = text.replace(server.host.token, "***") if server else text
        return self._settings.redact(text).encode("utf-8", "surrogateescape")


def _tell_of(server: OwnServer, cell: Cell) -> dict[str, str]:
    """Only the sandbox's user may read how it is started: the token is in it."""
    from action.build.mcpconfig.servers import OWN_NAME
    from action.toolserver.entry import mcp_entry

    entry = server.python.entry(mcp_entry(server.host, python=server.python.executable, folder=cell.folder))
    # Some programs keep `type` for servers elsewhere; a command says enough.
    del entry["type"]
    config = cell.home / "mcp.json"
    config.touch(0o600)
    config.write_text(json.dumps({"mcpServers": {OWN_NAME: entry}}), encoding="utf-8")
    give_away(cell, cell.home)
    return {"AICD_MCP_CONFIG_FILE": str(config)}


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


def _ending(outcome: Outcome) -> tuple[str, str]:
    """(ending, reason)."""
    if outcome.reason in ("cancelled", "out-of-money"):
        return outcome.reason, f"The command was stopped: {outcome.reason}."
    if outcome.reason:
        return ("timed-out" if outcome.timed_out else "stopped"), f"The command was stopped: {outcome.reason}."
    if outcome.exit_code == 0:
        return "done", ""
    return "failed", f"The command ended with {outcome.exit_code}."


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
    usage = {key: said[key] for key in ("cost_usd",) if _is_amount(said.get(key))}
    usage |= {key: int(said[key]) for key in ("input_tokens", "output_tokens") if _is_amount(said.get(key))}
    model = said.get("model")
    return {**usage, **({"model": model[:100]} if isinstance(model, str) else {})}


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
