"""The Python that starts our MCP server for the agent: it needs the library `mcp`, and the sandbox's user must come to
both. Our own environment serves where it is open to others; else a system Python of the same version with its packages.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from action.verify.account import can_switch_user, is_reachable
from action.verify.interpreter import Interpreter

RUN_WITH = "import sys,runpy;sys.path.append({packages!r});runpy.run_path({script!r},run_name='__main__')"


@dataclass(frozen=True)
class ToolPython:
    """`packages` is where `mcp` lies, where the executable does not find it by itself; None: there is none."""

    executable: Path
    packages: Path | None = None

    def entry(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The server's entry for the agent's program, started with this Python."""
        if self.packages is None:
            return {**entry, "command": str(self.executable)}
        code = RUN_WITH.format(packages=str(self.packages), script=entry["args"][-1])
        return {**entry, "command": str(self.executable), "args": ["-I", "-c", code]}


def find_tool_python(interpreter: Interpreter) -> ToolPython | None:
    """None where `mcp` is not installed, or the sandbox's user could not come to it."""
    found = importlib.util.find_spec("mcp")
    if found is None or not found.origin:
        return None
    packages = Path(found.origin).resolve().parents[1]
    if not can_switch_user() or (is_reachable(Path(sys.executable)) and is_reachable(packages)):
        return ToolPython(Path(sys.executable))
    ours = ".".join(map(str, sys.version_info[:2]))
    same = interpreter.version.startswith(f"{ours}.") and interpreter.reachable
    return ToolPython(interpreter.executable, packages) if same and is_reachable(packages) else None
