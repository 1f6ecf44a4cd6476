"""How Claude Code is called: its command line, its environment, and the message it gets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from action.build.agents.claude.key import Credential

SYSTEM = Path(__file__).parent / "prompts" / "system.md"
# Without the web, without sub-agents, without skills: what a sprint needs, and nothing that reaches out by itself.
TOOLS = ("Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "TodoWrite", "Write")
# `Write` and `Edit` are not among them on purpose: acceptEdits lets them write below the working directory only.
ALLOWED = ("Bash", "Glob", "Grep", "Read", "TodoWrite")
# A turn is one answer of the model. Longer work is ended by money and by our clock; this ends a loop that is cheap.
MOST_TURNS = 250
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
# RUNNER_TRACKING_ID lets GitHub's runner end what survives even us.
KEPT_VARIABLES = ("TZ", "RUNNER_TRACKING_ID", "SSL_CERT_FILE", "SSL_CERT_DIR", *PROXIES)
LOOPBACK = "127.0.0.1,localhost,::1"


@dataclass(frozen=True)
class Invocation:
    """One start of the program. `session` is a uuid; with `resumes` it is one that has been begun before."""

    program: Path
    session: str
    resumes: bool
    model: str
    mcp_config: Path
    allowed: tuple[str, ...]
    budget_usd: float | None
    system: str

    def command(self) -> list[str]:
        words = [
            str(self.program), "--print", "--verbose",
            "--input-format", "stream-json", "--output-format", "stream-json",
            "--permission-mode", "acceptEdits",
            "--setting-sources", "",
            "--disable-slash-commands",
            "--strict-mcp-config", "--mcp-config", str(self.mcp_config),
            "--tools", ",".join(TOOLS),
            "--allowedTools", ",".join(self.allowed),
            "--max-turns", str(MOST_TURNS),
            "--append-system-prompt", self.system,
            *(["--resume"] if self.resumes else ["--session-id"]), self.session,
        ]  # fmt: skip
        if self.budget_usd is not None:
            words += ["--max-budget-usd", f"{self.budget_usd:.4f}"]
        return words + (["--model", self.model] if self.model else [])


def environment_of(
    key: Credential, address: str, token: str, configuration: Path, ours: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Made from nothing: what the program needs, and what keeps it quiet and at home."""
    given = os.environ if ours is None else ours
    kept = {name: given[name] for name in KEPT_VARIABLES if name in given}
    besides = given.get("NO_PROXY") or given.get("no_proxy") or ""
    no_proxy = ",".join(part for part in (LOOPBACK, besides) if part)
    return {
        **kept,
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "ANTHROPIC_BASE_URL": address,
        key.variable: token,
        "CLAUDE_CONFIG_DIR": str(configuration),
        # Without it the program reports events and looks for news on the internet.
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        # By default ten retries take minutes with a key that is refused.
        "CLAUDE_CODE_MAX_RETRIES": "3",
        "API_TIMEOUT_MS": "600000",
        # Tools of MCP servers are named at once, instead of being searched for.
        "ENABLE_TOOL_SEARCH": "false",
        # check_dod measures for as long as tests take.
        "MCP_TIMEOUT": "30000",
        "MCP_TOOL_TIMEOUT": "1200000",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "CI": "true",
        "NO_COLOR": "1",
    }


def message_of(text: str) -> bytes:
    """One line for stdin. `client_composed`: taken as written, no `@path` opened and no `/command` obeyed in it."""
    message = {
        "type": "user",
        "session_id": "",
        "parent_tool_use_id": None,
        "client_composed": True,
        "message": {"role": "user", "content": text},
    }
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def system_prompt(projects: str = "") -> str:
    """Ours, and after it the project's own: what keeps a stranger's wishes from being orders always stands there."""
    ours = SYSTEM.read_text(encoding="utf-8")
    if not projects.strip():
        return ours
    return f"{ours}\nThe maintainers of this repository say besides:\n\n{projects.strip()}\n"
