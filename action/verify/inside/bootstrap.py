"""Runs pytest inside the sandbox and tells the parent, line by line, what really happened.

Started as `python -I -P bootstrap.py CHANNEL` with one JSON object on stdin: nonce, root, paths (put on sys.path),
arguments, distributions (whose pytest plugins are loaded by name), coverage (null or settings). Writes no report: the
parent makes them from the stream.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

# Loaded before the repository's folders come onto the path, so that none of its names can stand in for ours.
import pytest

sys.path.append(str(Path(__file__).parent))
import recorder  # type: ignore[import-not-found]  # beside this file, which is no package where it runs

sys.path.pop()

# Their work is done by the parent or not at all; loading them would fight with it.
REPLACED = {"pytest-cov", "pytest-xdist"}


def main() -> int:
    order = json.load(sys.stdin)
    channel = recorder.Channel(int(sys.argv[-1]), order.pop("nonce"))
    os.chdir(order["root"])
    sys.path[:0] = order["paths"]
    measuring = start_coverage(order["coverage"], order["root"]) if order["coverage"] else None
    channel.send("hello", pytest=pytest.__version__)
    status = pytest.main(
        [*plugin_arguments(order["distributions"]), *order["arguments"]],
        plugins=[recorder.Recorder(channel), recorder.ReplacedOptions()],
    )
    if measuring is not None:
        channel.send("coverage", files=stop_coverage(measuring))
    channel.send("end", status=int(status))
    return int(status)


def plugin_arguments(distributions: list[str]) -> list[str]:
    """`-p NAME` for every pytest plugin of the named distributions that is installed."""
    wanted = set(distributions) - REPLACED
    arguments = []
    for distribution in importlib.metadata.distributions():
        if normalise(distribution.metadata["Name"] or "") in wanted:
            for entry in distribution.entry_points:
                if entry.group == "pytest11":
                    arguments += ["-p", entry.name]
    return arguments


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def start_coverage(settings: dict[str, Any], root: str) -> Any:
    import coverage

    measuring = coverage.Coverage(
        data_file=settings["data_file"],
        data_suffix=True,
        config_file=settings["config_file"],
        include=[f"{root}/*"],
        messages=False,
    )
    measuring.set_option("run:disable_warnings", ["no-data-collected", "module-not-measured", "already-imported"])
    measuring.start()
    return measuring


def stop_coverage(measuring: Any) -> dict[str, list[int]]:
    """Lines that ran, by absolute path; what subprocesses left beside our data is added."""
    measuring.stop()
    measuring.save()
    measuring.combine(strict=False)
    data = measuring.get_data()
    return {name: sorted(data.lines(name) or ()) for name in data.measured_files()}


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)
