"""How verbs speak: one JSON document on stdout with --json, tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
from typing import Any


def print_json(document: Any) -> None:
    """Print one JSON document, and nothing else ever, on stdout."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def say(line: str = "") -> None:
    """One line for a person, on stderr, so that stdout stays for results."""
    print(line, file=sys.stderr, flush=True)
