"""How an attempt ended, as a table: the first row that applies is the answer. The exit code and `subtype` say nothing
that can be relied on: a run that the API refused has the subtype "success", and one that was told no ends with 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from action.build.agents.claude.limits import LimitSeen, find_reset
from action.build.agents.claude.proxy import Facts
from action.build.agents.claude.readiness import find_down
from action.build.agents.claude.stream import Told
from action.build.agents.seam import Ending
from action.verify.sandbox import Outcome

MOST_REASON = 300
DEFAULT_PAUSE = timedelta(minutes=5)
NO_SESSION = "No conversation found"


@dataclass(frozen=True)
class Ended:
    """Everything that is known when the program has ended. `stop` is why we stopped it, where we did."""

    told: Told
    process: Outcome
    facts: Facts
    now: datetime
    waits_for_answer: bool = False
    stop: str = ""
    required_servers: frozenset[str] = frozenset()

    @property
    def result(self) -> dict[str, Any]:
        return self.told.result

    @property
    def has_succeeded(self) -> bool:
        """Whether the program came to its own end. What the API refused on the way is over then, and what the result
        says is the agent's words about its work."""
        return bool(self.result) and not self.result.get("is_error")

    @property
    def status(self) -> int | None:
        """The API's status of a failure, by the program's word, else by what passed through our proxy last."""
        if self.has_succeeded:
            return None
        said = self.result.get("api_error_status")
        if isinstance(said, int):
            return said
        return self.facts.statuses[-1] if self.facts.statuses else None

    @property
    def said(self) -> str:
        errors = self.result.get("errors")
        listed = [str(one) for one in errors] if isinstance(errors, list) else []
        text = str(self.result.get("result") or "") or "; ".join(listed)
        return " ".join((text or self.process.errors.decode("utf-8", "replace")).split())[:MOST_REASON]

    @property
    def denials(self) -> list[str]:
        listed = self.result.get("permission_denials")
        found = (
            [str(one.get("tool_name", "?")) for one in listed if isinstance(one, dict)]
            if isinstance(listed, list)
            else []
        )
        return sorted(set(found))

    @property
    def down(self) -> list[str]:
        """Required servers that the program could not use."""
        return list(find_down(self.told, self.required_servers))

    @property
    def limit(self) -> LimitSeen | None:
        if self.facts.limit is not None:
            return self.facts.limit
        at = find_reset(self.said, self.now)
        return LimitSeen(self.status or 429, at or self.now + DEFAULT_PAUSE, at is not None)


@dataclass(frozen=True)
class Row:
    """`error` is a code where trying again in this run is of no use."""

    name: str
    applies: Callable[[Ended], bool]
    ending: Ending
    reason: Callable[[Ended], str]
    error: str = ""


@dataclass(frozen=True)
class Judgement:
    name: str
    ending: Ending
    reason: str
    error: str = ""
    resume_at: datetime | None = None


def _is_limit(ended: Ended) -> bool:
    if ended.has_succeeded:
        return False
    return ended.status in (429, 529) or ("hit your" in ended.said and "limit" in ended.said)


def _is_unanswered(ended: Ended) -> bool:
    return not ended.has_succeeded and (bool(ended.status and ended.status >= 500) or ended.facts.unreachable)


def _denied(ended: Ended) -> str:
    return f"Not allowed, and not done: {', '.join(ended.denials)}." if ended.denials else ""


TABLE: tuple[Row, ...] = (
    Row("cancelled", lambda e: e.stop == "cancelled", "cancelled", lambda _: "The specification was cancelled."),
    Row(
        "money",
        lambda e: e.facts.refused_for_money or e.stop == "out-of-money"
        or e.result.get("terminal_reason") == "budget_exhausted" or e.result.get("subtype") == "error_max_budget_usd",
        "out-of-money",
        lambda _: "The budget is spent.",
    ),
    Row("question", lambda e: e.waits_for_answer, "needs-input", lambda _: "The requester has to answer first."),
    Row(
        "server-down", lambda e: bool(e.down), "failed",
        lambda e: f"A required MCP server could not be used: {', '.join(e.down)}.", "mcp-server-down",
    ),
    Row("clock", lambda e: e.process.timed_out, "timed-out", lambda e: f"Claude Code was stopped: {e.process.reason}."),
    Row(
        "stopped", lambda e: bool(e.stop or e.process.reason), "stopped",
        lambda e: f"Claude Code was stopped: {e.stop or e.process.reason}.",
    ),
    # Before the rows that read a status: the last one that passed is not why it ended.
    Row(
        "turns", lambda e: "max_turns" in (e.result.get("terminal_reason"), str(e.result.get("subtype"))[6:]),
        "stopped", lambda e: f"Claude Code used all {e.result.get('num_turns')} turns.",
    ),
    Row(
        "session-lost", lambda e: not e.has_succeeded and NO_SESSION in e.said, "failed",
        lambda _: "The session cannot be continued.",
    ),
    Row("limit", _is_limit, "paused", lambda e: f"The API limits the use of this key ({e.status}).", ""),
    Row(
        "key", lambda e: e.status in (401, 403), "failed",
        lambda e: f"Claude did not accept the key ({e.status}).", "anthropic-key-refused",
    ),
    Row(
        "credit", lambda e: e.status == 402 or (e.status == 400 and "credit" in e.said.lower()), "failed",
        lambda _: "The Claude account has no credit left.", "anthropic-credit",
    ),
    Row("model", lambda e: e.status == 404, "failed", lambda _: "Claude has no such model.", "model-unknown"),
    Row(
        "server-error", _is_unanswered, "failed",
        lambda e: f"The Claude API does not answer ({e.status or 'no connection'}).", "claude-unavailable",
    ),
    Row(
        "silent", lambda e: not e.result, "failed",
        lambda e: f"Claude Code ended without a result (exit code {e.process.exit_code}). {e.said}".strip(),
    ),
    Row(
        "not-logged-in", lambda e: bool(e.result.get("is_error")) and not e.facts.calls, "failed",
        lambda e: f"Claude Code made no call: {e.said}", "claude-not-started",
    ),
    Row("error", lambda e: bool(e.result.get("is_error")), "failed", lambda e: f"Claude Code failed: {e.said}"),
    Row("broken", lambda e: e.facts.broken, "failed", lambda _: "The API's last answer broke off."),
    Row(
        "empty", lambda e: not e.said and not e.told.tools, "failed",
        lambda _: "Claude Code said nothing and did nothing.",
    ),
    Row("denied", lambda e: bool(e.denials), "done", _denied),
    Row("done", lambda _: True, "done", lambda _: ""),
)  # fmt: skip


def judge_ending(ended: Ended) -> Judgement:
    """The first row of the table that applies."""
    row = next(row for row in TABLE if row.applies(ended))
    resume_at = ended.limit.resume_at if row.ending == "paused" and ended.limit else None
    reason = row.reason(ended)
    if row.name not in ("denied", "done") and ended.denials:
        reason = f"{reason} {_denied(ended)}"
    return Judgement(row.name, row.ending, reason, row.error, resume_at)
