"""`python -m action.verify.prepare`: build the shared environments now, so that later verifications need no network."""

from __future__ import annotations

import sys
from pathlib import Path

from action.verify.environment import prepare_scanners, prepare_tools
from action.verify.options import default_cache_dir
from controlplane.errors import AicdError


def main() -> int:
    """Build them and print where the tools are; 4 when the packages could not be had."""
    cache_dir = Path(sys.argv[1]) if len(sys.argv) > 1 else default_cache_dir()
    try:
        environment = prepare_tools(cache_dir)
        prepare_scanners(cache_dir)
    except AicdError as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 4
    print(environment.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
