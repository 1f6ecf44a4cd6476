"""Who does the thinking in a demo: a recording of ours, or Claude; and what the stack has to be told for it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from local.stack.places import shipped

MATERIAL = shipped("examples/demo")
# No key of anybody's: the double of the Messages API lets every key in.
DOUBLES_KEY = "sk-ant-double-of-the-messages-api"


@dataclass(frozen=True)
class DemoAgent:
    """`mail` is what the requester sends; `variables` and `secrets` are the customer repository's at GitHub.

    `uses_double` says that the model's answers are played by the double of the Messages API, `said` says so to whoever
    watches.
    """

    mail: Path
    said: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    runner_environment: dict[str, str] = field(default_factory=dict)
    plans: bool = False
    uses_double: bool = False

    def install(self, folder: Path) -> None:
        """Copy the recording to where the agent's own user can read it. Claude needs none."""
        if "AICD_AGENT_COMMAND" not in self.variables:
            return
        shutil.copytree(MATERIAL / "recording", folder / "recording", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(MATERIAL / "replay.sh", folder / "replay.sh")
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)


def recording(folder: Path) -> DemoAgent:
    """A specification with its plan, and an agent that replays two attempts from `folder`."""
    return DemoAgent(
        mail=MATERIAL / "mail.eml",
        said=(
            "the mail brings a specification with its plan",
            "the agent is a recording of two attempts, replayed; the first one misses its Definition of Done",
        ),
        variables={"AICD_AGENT": "command", "AICD_AGENT_COMMAND": f"sh {folder / 'replay.sh'}"},
    )


def claude(api_key: str, base_url: str = "") -> DemoAgent:
    """A letter in plain words, planned by Claude and built by Claude Code; without a key both ask the double."""
    if api_key:
        said = "Claude plans and builds, with your ANTHROPIC_API_KEY; this costs money"
    else:
        said = "no ANTHROPIC_API_KEY: the real Claude Code asks a double of the Messages API, which plays Claude's part"
    return DemoAgent(
        mail=MATERIAL / "letter.eml",
        said=("the mail is a letter in plain words", said),
        variables={"AICD_AGENT": "claude"},
        secrets={"ANTHROPIC_API_KEY": api_key or DOUBLES_KEY},
        runner_environment={"ANTHROPIC_BASE_URL": base_url} if api_key and base_url else {},
        plans=True,
        uses_double=not api_key,
    )
