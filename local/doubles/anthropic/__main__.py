"""Starts the double of the Messages API: `python -m local.doubles.anthropic [--scenario FILE|NAME] [--port N]`.

Without arguments: AICD_ANTHROPIC_DOUBLE_PORT (0 takes a free port) and AICD_ANTHROPIC_DOUBLE_SCENARIO (default
`demo`). One JSON line says when it listens.
"""

from __future__ import annotations

import argparse
import os
import sys

from local.doubles.anthropic.app import build_anthropic
from local.doubles.anthropic.scenario import load_scenario
from local.doubles.server import main


def _run() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.doubles.anthropic")
    parser.add_argument("--scenario", default=os.environ.get("AICD_ANTHROPIC_DOUBLE_SCENARIO") or "demo")
    parser.add_argument("--port", default=os.environ.get("AICD_ANTHROPIC_DOUBLE_PORT") or "0")
    given = parser.parse_args()
    try:
        script = load_scenario(given.scenario)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return main("anthropic", "AICD_ANTHROPIC_DOUBLE_PORT", given.port, lambda _: build_anthropic(script).app)


if __name__ == "__main__":
    sys.exit(_run())
