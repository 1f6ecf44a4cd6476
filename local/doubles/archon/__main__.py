"""Starts the Archon double: `python -m local.doubles.archon`.

Environment: AICD_ARCHON_DOUBLE_PORT (0 takes a free port), AICD_ARCHON_DOUBLE_FRAGILE=true plays the deadlock of a
fresh V1. One JSON line says when it listens.
"""

from __future__ import annotations

import os
import sys

from local.doubles.archon.app import build_archon
from local.doubles.server import main

FRAGILE = os.environ.get("AICD_ARCHON_DOUBLE_FRAGILE", "") == "true"

if __name__ == "__main__":
    port = os.environ.get("AICD_ARCHON_DOUBLE_PORT", "0")
    sys.exit(main("archon", "AICD_ARCHON_DOUBLE_PORT", port, lambda _url: build_archon(fragile=FRAGILE).app))
