"""Where an agent's program runs: what its sandbox needs, and the repository handed to the sandbox's user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from action.verify.account import is_reachable
from action.verify.area import account_locks
from action.verify.interpreter import Interpreter, find_interpreter
from action.verify.sandbox import Cell, Tools, describe_isolation

LAUNCHER = Path(__file__).resolve().parents[2] / "verify" / "inside" / "launch.py"


def prepare_tools(
    scratch: Path, needed: Sequence[Path], cache_dir: Path, interpreter: Interpreter | None = None
) -> tuple[Tools, str]:
    """What the sandbox needs, and what the report says of it. Another user must be able to come to all of `needed`."""
    scratch.mkdir(parents=True, exist_ok=True)
    launcher = scratch / "launch.py"
    shutil.copyfile(LAUNCHER, launcher)
    launcher.chmod(0o644)
    interpreter = interpreter or find_interpreter(cache_dir)
    closed = [path.name for path in (launcher, *needed) if not is_reachable(path)]
    closed += [] if interpreter.reachable else [interpreter.executable.name]
    tools = Tools(
        python=interpreter.executable,
        launcher=launcher,
        # Last, so that the runner's own Python comes first where the agent's user can reach it.
        path=os.pathsep.join([os.environ.get("PATH", os.defpath), str(interpreter.executable.parent)]),
        lock_folder=account_locks(),
        reachable=not closed,
    )
    why = f" (another user cannot come to {', '.join(closed)})" if closed and os.geteuid() == 0 else ""
    return tools, describe_isolation(reachable=not closed) + why


def give_away(cell: Cell, folder: Path) -> None:
    """Hand the folder and all in it to the sandbox's user, where it has one."""
    if cell.owner is None:
        return
    os.chown(folder, cell.owner, cell.owner)
    for root, directories, files in os.walk(folder):
        for name in (*directories, *files):
            os.chown(Path(root) / name, cell.owner, cell.owner, follow_symlinks=False)
