"""Where things of this machine live.

As root the places are system-wide, because the database runs as another user and that user can rarely enter root's
home. `AICD_STATE_HOME` overrides them; the command line reads it once and passes it down.
"""

from __future__ import annotations

import os
from pathlib import Path

# The rooms lie side by side, in a checkout as well as where a wheel was installed.
REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
_IN_WHEEL = Path(__file__).resolve().parents[1] / "_shipped"


def shipped(name: str) -> Path:
    """What is no Python and yet needed: action.yml, examples/…, requirements/…, supabase/migrations/…

    In a checkout it lies beside the rooms; a wheel carries it inside `local`, because a folder named `supabase` in
    site-packages would hide the official client.
    """
    packed = _IN_WHEEL / name
    return packed if packed.exists() else REPOSITORY_ROOT / name


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
