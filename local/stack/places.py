"""Where things of this machine live.

As root the places are system-wide, because the database runs as another user and that user can rarely enter root's
home. `AICD_STATE_HOME` overrides them; the command line reads it once and passes it down.
"""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


def state_home(environ: dict[str, str]) -> Path:
    """Where stacks keep their data and their state files."""
    if environ.get("AICD_STATE_HOME"):
        return Path(environ["AICD_STATE_HOME"]).expanduser().resolve()
    if os.geteuid() == 0:
        return Path("/var/lib/aicd")
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".local" / "state")
    return Path(base) / "aicd"


def make_private(folder: Path, *, traversable: bool = False) -> Path:
    """Make a folder of ours. `traversable` lets another user pass through it (not list it) to what he owns below."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711 if traversable else 0o700)
    return folder
