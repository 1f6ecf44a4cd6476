"""`make bench`: every benchmark, or those named on the command line."""

from __future__ import annotations

import importlib
import sys

# One line each; the module offers `run() -> Iterable[Measure]`.
BENCHMARKS = {
    "artifacts": "bench.artifacts",
    "coldstart": "bench.coldstart",
    "evidence": "bench.evidence",
    "intake": "bench.intake",
    "reads": "bench.reads",
    "stack": "bench.stack",
    "verbs": "bench.verbs",
}


def main(names: list[str]) -> int:
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        for measure in importlib.import_module(BENCHMARKS[name]).run():
            print(measure, flush=True)
    return 0


# Processes that a benchmark starts import this file, too.
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
