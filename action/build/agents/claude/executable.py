"""Finding Claude Code: the input `claude-path`, PATH, or the one that the package claude-agent-sdk brings along."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from action.verify.account import is_reachable
from action.verify.locking import build_once
from controlplane.errors import UsageError

# The first that takes a message exactly as it is (`client_composed`). Before it, `@path` in a stranger's mail put that
# file into the conversation, and a line that begins with a slash was a command.
OLDEST = (2, 1, 248)
VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")


@dataclass(frozen=True)
class ClaudeCode:
    """The program and its version, for the log and the report."""

    path: Path
    version: str


def find_claude(told: str = "") -> ClaudeCode:
    """The first that is new enough; raises UsageError that names what was found and what to do."""
    seen: list[str] = []
    for path in _candidates(told):
        version = read_version(path)
        found = VERSION.search(version)
        if found and tuple(map(int, found.groups())) >= OLDEST:
            return ClaudeCode(path, found.group())
        seen.append(f"{path} is {version or 'no Claude Code'}")
    oldest = ".".join(map(str, OLDEST))
    if seen:
        raise UsageError(
            f"Claude Code {oldest} or newer is needed: {'; '.join(seen)}.",
            "Install a newer one, or leave `claude-path` blank and install requirements/agent.txt, which brings one.",
            "claude-too-old",
        )
    raise UsageError(
        "Claude Code is not installed on this runner.",
        "Install requirements/agent.txt in the environment that AICD_PYTHON names (the action does so by itself where "
        "it makes the environment), put `claude` on PATH, or set `claude-path`.",
        "claude-missing",
    )


def read_version(path: Path) -> str:
    """What `--version` prints; empty when it cannot be run."""
    try:
        told = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=20, check=True,
            env={"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return told.stdout.strip()[:80]


def reachable_copy(claude: ClaudeCode, cache_dir: Path) -> Path:
    """The program at a place that the sandbox's user can come to: a link to it in the cache, or a copy where that
    cannot be made. The path itself where neither helps."""
    if is_reachable(claude.path):
        return claude.path

    def place(target: Path) -> None:
        copy = target / "claude"
        try:
            os.link(claude.path.resolve(), copy)
        except OSError:
            shutil.copyfile(claude.path, copy)
        copy.chmod(0o755)

    try:
        copied = build_once(cache_dir / f"claude-{claude.version}", place) / "claude"
    except OSError:
        return claude.path
    return copied if is_reachable(copied) else claude.path


def _candidates(told: str) -> Iterator[Path]:
    if told:
        yield Path(told).absolute()
        return
    on_path = shutil.which("claude")
    if on_path:
        yield Path(on_path)
    sdk = importlib.util.find_spec("claude_agent_sdk")
    if sdk is not None and sdk.origin:
        bundled = Path(sdk.origin).parent / "_bundled" / "claude"
        if bundled.exists():
            yield bundled
