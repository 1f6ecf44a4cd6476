"""Claude Code as an agent of the loop: one narrow class that starts it, reads it, and says how it ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from action.build.agents.claude.executable import ClaudeCode, find_claude, reachable_copy
from action.build.agents.claude.invocation import (
    ALLOWED,
    Invocation,
    environment_of,
    message_of,
    system_prompt,
)
from action.build.agents.claude.key import API, Credential
from action.build.agents.claude.outcome import Ended, Judgement, judge_ending
from action.build.agents.claude.proxy import Proxy
from action.build.agents.claude.readiness import Readiness
from action.build.agents.claude.session import Session, keep, restore
from action.build.agents.claude.stream import StreamReader, servers_of
from action.build.agents.claude.toolpython import ToolPython, find_tool_python
from action.build.agents.housing import give_away, prepare_tools
from action.build.agents.seam import Attempt, Task
from action.build.mcpconfig import (
    McpConfig,
    ServerState,
    allowed_tools,
    check_required,
    probe,
    render_cli_config,
    states_after,
)
from action.build.mcpconfig.servers import OWN_NAME
from action.build.telling import Teller
from action.money import Entry, Ledger
from action.prompts import prompt_hash
from action.toolserver.entry import mcp_entry
from action.toolserver.host import ToolHost
from action.toolserver.rundesk import RunDesk
from action.verify.interpreter import find_interpreter
from action.verify.sandbox import Cell, Outcome, open_cell

MOVED = (
    "You go on with this session on another machine. The working directory is {new} now; what was in {old} is there."
)
CANNOT_TEST = "The agent could not test itself: the library `mcp` is not where its user can read it."
GO_ON = "Go on with the task where you stopped."


@dataclass(frozen=True)
class ClaudeSettings:
    """`desk` None leaves our own MCP server out; `prompt` is the project's, added to ours. `tell` gets what goes on;
    `redact` takes secrets out of a text."""

    key: Credential
    ledger: Ledger
    cache_dir: Path
    desk: RunDesk | None = None
    mcp: McpConfig = field(default_factory=McpConfig)
    model: str = ""
    path: str = ""
    prompt: str = ""
    upstream: str = API
    tell: Callable[[str], None] = field(default=lambda _: None)
    say: Callable[[str], None] = field(default=lambda _: None)
    redact: Callable[[str], str] = str


@dataclass
class _Work:
    """What one start of the program needs."""

    task: Task
    cell: Cell
    proxy: Proxy
    teller: Teller
    log: TextIO
    program: Path
    tools: ToolPython | None
    states: tuple[ServerState, ...]
    host: ToolHost | None


class ClaudeAgent:
    name = "claude"
    repeats = True

    def __init__(self, settings: ClaudeSettings, session: Session | None = None) -> None:
        """Raises UsageError at once where there is no Claude Code, or one that is too old."""
        self._settings = settings
        self.session = session or Session(str(uuid.uuid4()))
        self._system = system_prompt(settings.prompt)
        self._asked: Counter[str] = Counter()
        self.claude: ClaudeCode = find_claude(settings.path)
        settings.say(f"Claude Code {self.claude.version} at {self.claude.path}")

    def work(self, task: Task) -> Attempt:
        """Raises OutsideError when a required MCP server does not answer, before anything is spent."""
        settings = self._settings
        entries_before = len(settings.ledger.entries("builder"))
        program = reachable_copy(self.claude, settings.cache_dir)
        interpreter = find_interpreter(settings.cache_dir)
        tool_python = find_tool_python(interpreter) if settings.desk is not None else None
        tools, isolation = prepare_tools(task.scratch, [task.repository, program], settings.cache_dir, interpreter)
        with ExitStack() as stack:
            folder = task.scratch / f"attempt-{task.iteration}"
            shutil.rmtree(folder, ignore_errors=True)
            cell = stack.enter_context(open_cell(folder, tools, roomy=True))
            states = probe(settings.mcp, cell, task.repository)
            check_required(states)
            work = self._open(stack, task, cell, program, tool_python, states)
            message = self._message(task)
            judged, ended = self._run(work, message)
            if judged.name == "session-lost":
                self.session = Session(str(uuid.uuid4()))
                message = _first_message(task)
                judged, ended = self._run(work, message)
        entries = settings.ledger.entries("builder")[entries_before:]
        return self._attempt(work, isolation, message, judged, ended, entries)

    def _attempt(
        self, work: _Work, isolation: str, message: str, judged: Judgement, ended: Ended, entries: tuple[Entry, ...]
    ) -> Attempt:
        settings = self._settings
        after = states_after(settings.mcp, work.states, servers_of(ended.told.opening))
        return Attempt(
            ending=judged.ending,
            reason=settings.redact(judged.reason),
            exit_code=ended.process.exit_code,
            model=next((entry.model for entry in reversed(entries)), str(ended.told.opening.get("model") or "")),
            cost_usd=float(sum(entry.cost_usd for entry in entries)),
            input_tokens=sum(one.input_tokens + one.cache_read_tokens + one.cache_write_tokens for one in entries),
            output_tokens=sum(one.output_tokens for one in entries),
            isolation=isolation,
            resume_at=judged.resume_at.isoformat(timespec="seconds") if judged.resume_at else "",
            resume_is_told=ended.limit is None or ended.limit.is_told,
            session=self.session.id,
            error=judged.error,
            summary=settings.redact(str(ended.result.get("result") or "")) if judged.ending == "done" else "",
            notes=(
                f"Built by Claude Code {self.claude.version}.",
                *([CANNOT_TEST] if settings.desk is not None and work.host is None else []),
                *(_line(state) for state in after),
            ),
            details=self._details(work, message, judged, ended, after),
        )

    def _details(
        self, work: _Work, message: str, judged: Judgement, ended: Ended, after: tuple[ServerState, ...]
    ) -> dict[str, Any]:
        desk, repository = self._settings.desk, work.task.repository
        return {
            "outcome": judged.name,
            "claude_code": self.claude.version,
            # Together they are all that it was told: who it is, and what was asked of it this time.
            "prompt_sha256": prompt_hash(self._system),
            "message_sha256": prompt_hash(message),
            "tools": dict(ended.told.tools.most_common(50)),
            "files": [_inside(path, repository) for path in ended.told.files[:200]],
            "denied": ended.denials,
            "calls": ended.facts.calls,
            "retries": ended.told.retries,
            "turns": ended.result.get("num_turns"),
            # By the program's own count, this attempt alone: its total counts on over resumes.
            "cost_usd_by_the_program": round(self._take_own_usd(ended), 6),
            "mcp_servers": [state.model_dump(mode="json", exclude={"tools"}) for state in after],
            "decisions": [one.title for one in desk.decisions] if desk else [],
        }

    def _take_own_usd(self, ended: Ended) -> float:
        """Of the program's total what came since this was last asked; the session keeps the total."""
        said, told = _number(ended.result.get("total_cost_usd")), self.session.told_usd
        self.session.told_usd = said or told
        return max(said - told, 0.0)

    def _open(
        self,
        stack: ExitStack,
        task: Task,
        cell: Cell,
        program: Path,
        tool_python: ToolPython | None,
        states: tuple[ServerState, ...],
    ) -> _Work:
        """Proxy, tool host and transcript; all of it ends with the stack, before the sandbox does."""
        settings = self._settings
        task.log.parent.mkdir(parents=True, exist_ok=True)
        if settings.desk is not None:
            settings.desk.next_attempt()
            stack.callback(settings.desk.end_attempt)
        usable = settings.desk is not None and tool_python is not None
        host = self._host(stack) if usable else None
        if settings.desk is not None and host is None:
            settings.say(CANNOT_TEST)
        return _Work(
            task=task,
            cell=cell,
            proxy=stack.enter_context(Proxy(settings.key, settings.ledger, settings.upstream)),
            teller=stack.enter_context(Teller(settings.tell, settings.desk.pace if settings.desk else None)),
            log=stack.enter_context(task.log.open("w", encoding="utf-8", errors="replace")),
            program=program,
            tools=tool_python,
            states=states,
            host=host,
        )

    def _host(self, stack: ExitStack) -> ToolHost:
        assert self._settings.desk is not None
        return stack.enter_context(ToolHost(self._settings.desk, self._settings.redact, asked=self._asked))

    def _run(self, work: _Work, message: str) -> tuple[Judgement, Ended]:
        settings, cell, task = self._settings, work.cell, work.task
        configuration = cell.home / "claude"
        _clear(configuration)
        configuration.mkdir(mode=0o700)
        restore(self.session, configuration, task.repository, cell.owner)
        invocation = self._invocation(work)
        give_away(cell, cell.home)
        give_away(cell, task.repository)
        inside = f"{task.repository}/"
        reader = StreamReader(
            lambda line: self._write(work, line),
            lambda said: work.teller.hear(self._clean(work, said)),
            lambda text: text.replace(inside, ""),
        )
        required = self._required(work)
        readiness = Readiness(required)
        stopped: list[str] = []

        def listen(piece: bytes) -> str:
            reader.feed(piece)
            why = task.watch()
            stopped.extend([why] if why else [])
            return why or readiness.stop_for(reader.told)

        process = cell.run(
            invocation.command(),
            timeout_seconds=task.timeout_seconds,
            cwd=task.repository,
            stdin=message_of(message),
            environment=environment_of(settings.key, work.proxy.address, work.proxy.token, configuration),
            listen=listen,
        )
        if "interrupted" in stopped:
            # Whoever cancelled the job waits some seconds, and the work has still to be kept.
            work.proxy.patience_seconds = 1.0
        reader.close()
        self._write(work, f"(exit code {process.exit_code}) {_tail(process)}")
        keep(self.session, configuration, task.repository)
        ended = Ended(
            told=reader.told,
            process=process,
            facts=work.proxy.take_facts(),
            now=datetime.now(UTC),
            waits_for_answer=settings.desk is not None and settings.desk.waits_for_answer,
            stop=stopped[0] if stopped else "",
            required_servers=required,
        )
        return judge_ending(ended), ended

    def _required(self, work: _Work) -> frozenset[str]:
        named = [server.name for server in self._settings.mcp.servers if server.required]
        return frozenset([*named, *([OWN_NAME] if work.host is not None else [])])

    def _invocation(self, work: _Work) -> Invocation:
        settings, cell = self._settings, work.cell
        own = None
        if work.host is not None and work.tools is not None:
            own = work.tools.entry(mcp_entry(work.host, python=work.tools.executable, folder=cell.folder))
        config = cell.home / "mcp.json"
        _clear(config)
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(render_cli_config(settings.mcp, own, work.states))
        left = settings.ledger.left()
        allowed = [name for name in allowed_tools(settings.mcp) if own is not None or name != f"mcp__{OWN_NAME}"]
        return Invocation(
            program=work.program,
            session=self.session.id,
            resumes=self.session.is_begun,
            model=settings.model,
            mcp_config=config,
            allowed=(*ALLOWED, *allowed),
            # What the model is told that it has. Counted from this start on, also where a session goes on.
            budget_usd=None if left is None else max(float(left), 0.01),
            system=self._system,
        )

    def _message(self, task: Task) -> str:
        if not self.session.is_begun:
            return _first_message(task)
        here = str(task.repository)
        moved = MOVED.format(new=here, old=self.session.folder) if self.session.folder not in ("", here) else ""
        return "\n\n".join(part for part in (moved, task.feedback or GO_ON) if part)

    def _write(self, work: _Work, line: str) -> None:
        with contextlib.suppress(OSError):
            work.log.write(f"{datetime.now(UTC):%H:%M:%S} {self._clean(work, line)}\n")
            work.log.flush()

    def _clean(self, work: _Work, text: str) -> str:
        """Without secrets, and without the throw-away tokens: worthless later, they would only alarm whoever reads."""
        for token in (work.proxy.token, *((work.host.token,) if work.host else ())):
            text = text.replace(token, "***")
        return self._settings.redact(text)


def _line(state: ServerState) -> str:
    return f"MCP server {state.name}: {state.status}{f', {state.reason}' if state.reason else ''}."


def _first_message(task: Task) -> str:
    return f"{task.text}\n\n{task.feedback}".strip()


def _tail(process: Outcome) -> str:
    return " ".join(process.errors.decode("utf-8", "replace").split())[-1_000:]


def _clear(path: Path) -> None:
    """Remove whatever a program of the sandbox's user put there; of a link the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _inside(path: str, repository: Path) -> str:
    return path.removeprefix(f"{repository}/")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else 0.0
