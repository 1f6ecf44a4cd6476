"""How the agent's program is told of our server: one entry of its `--mcp-config`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from action.toolserver.host import ToolHost

CHILD = Path(__file__).resolve().with_name("child.py")


def mcp_entry(host: ToolHost, *, python: Path | None = None, folder: Path | None = None) -> dict[str, Any]:
    """The value for `mcpServers["aicd-controlplane"]`.

    `python` must have the `mcp` library (ours, if not told); `folder` is where a copy of the server is put that the
    agent's own user can read, else it is started from where it lies.
    """
    script = CHILD
    if folder is not None:
        script = folder / "aicd_tools.py"
        shutil.copyfile(CHILD, script)
        script.chmod(0o644)
    return {
        "type": "stdio",
        "command": str(python or sys.executable),
        # Isolated: no PYTHONPATH, no module out of the repository that the agent works in.
        "args": ["-I", str(script)],
        "env": {"AICD_TOOLS_URL": host.address, "AICD_TOOLS_TOKEN": host.token},
    }
