"""Starts the GitHub double: `python -m local.doubles.github`.

Environment: AICD_GITHUB_DOUBLE_PORT (0 takes a free port), AICD_GITHUB_DOUBLE_STATE (folder that survives restarts; the
bare repositories are in `repos/OWNER/NAME.git` below it). One JSON line says when it listens.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from starlette.applications import Starlette

from local.doubles.github.app import build_github
from local.doubles.journal import FolderInUseError
from local.doubles.server import main


def _build(base_url: str) -> Starlette:
    folder = Path(os.environ.get("AICD_GITHUB_DOUBLE_STATE") or ".aicd/github-double").resolve()
    try:
        return build_github(folder, base_url).app
    except FolderInUseError:
        sys.exit(f"{folder} belongs to a running GitHub double; stop it or set AICD_GITHUB_DOUBLE_STATE.")


if __name__ == "__main__":
    sys.exit(main("github", "AICD_GITHUB_DOUBLE_PORT", os.environ.get("AICD_GITHUB_DOUBLE_PORT", "0"), _build))
