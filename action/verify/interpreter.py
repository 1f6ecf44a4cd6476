"""Which Python runs the target's tests: one that the sandbox's user can reach."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from action.verify.account import can_switch_user, is_reachable
from action.verify.locking import build_once

OLDEST_MINOR = 11
PROBE = "import json,sys,sysconfig,venv,ssl,sqlite3;print(json.dumps([sys.version,sysconfig.get_path('stdlib')]))"


@dataclass(frozen=True)
class Interpreter:
    """`reachable` is false when only our own user can run it; then there is no separate user."""

    executable: Path
    version: str
    reachable: bool


def find_interpreter(cache_dir: Path) -> Interpreter:
    """Our own Python where the sandbox's user can reach it, else the system's, else a private copy, else our own."""
    own = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    candidates = [own, *(Path(f"/usr/bin/python3.{minor}") for minor in range(OLDEST_MINOR + 6, OLDEST_MINOR - 1, -1))]
    if not can_switch_user():
        return Interpreter(own, sys.version, reachable=True)
    for candidate in candidates:
        version = probe(candidate)
        if version is not None:
            return Interpreter(candidate, version, reachable=True)
    copied = _copy_of_own(own, cache_dir)
    version = probe(copied) if copied else None
    if copied and version:
        return Interpreter(copied, version, reachable=True)
    return Interpreter(own, sys.version, reachable=False)


def probe(executable: Path) -> str | None:
    """The version of an interpreter that any user can run with all its library, else None."""
    if not executable.is_file() or not is_reachable(executable):
        return None
    try:
        answer = subprocess.run(
            [executable, "-I", "-S", "-c", PROBE], capture_output=True, timeout=30, check=True, env={"LANG": "C.UTF-8"}
        )
        version, library = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return str(version) if is_reachable(Path(library)) else None


def _copy_of_own(own: Path, cache_dir: Path) -> Path | None:
    """Copy our interpreter's installation into the cache; Python finds its library beside its executable."""
    prefix = Path(sys.base_prefix).resolve()
    if not own.is_relative_to(prefix) or prefix == Path("/usr"):
        return None
    name = f"python-{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"

    def copy(target: Path) -> None:
        skip = shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "idlelib", "share", "*.a")
        shutil.copytree(prefix, target, symlinks=True, ignore=skip, dirs_exist_ok=True)

    try:
        return build_once(cache_dir / name, copy) / own.relative_to(prefix)
    except OSError:
        return None
