"""Runs pytest inside the sandbox and tells the parent, line by line, what really happened.

Started as `python -I -P bootstrap.py CHANNEL` with one JSON object on stdin: nonce, root, paths (put on sys.path),
arguments, distributions (whose pytest plugins are loaded, and no other), coverage (null or settings). Writes no report:
the parent makes them from the stream.
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
    # Before the repository's folders come onto the path: a package's metadata in its tree may name plugins as well.
    plugins = load_plugins(set(order["distributions"]))
    os.chdir(order["root"])
    sys.path[:0] = order["paths"]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    measuring = start_coverage(order["coverage"], order["root"]) if order["coverage"] else None
    channel.send("hello", pytest=pytest.__version__)
    ours = [recorder.Recorder(channel), recorder.ReplacedOptions(), recorder.Registrar(plugins)]
    status = pytest.main(order["arguments"], plugins=ours)
    if measuring is not None:
        channel.send("coverage", files=stop_coverage(measuring))
    channel.send("end", status=int(status))
    return int(status)


def load_plugins(named: set[str]) -> dict[str, Any]:
    """The pytest plugins, by name, of the named distributions that are installed and of what these require."""
    installed = {normalise(one.metadata["Name"] or ""): one for one in importlib.metadata.distributions()}
    wanted: set[str] = set()
    pending = named & installed.keys()
    while pending:
        name = pending.pop()
        wanted.add(name)
        required = {normalise(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in installed[name].requires or ()}
        pending |= (required & installed.keys()) - wanted
    return {
        entry.name: entry.load()
        for name in sorted(wanted - REPLACED)
        for entry in installed[name].entry_points
        if entry.group == "pytest11"
    }


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
