"""Runs pytest inside the sandbox and tells the parent, line by line, what really happened.

Started as `python -I -P bootstrap.py CHANNEL` with one JSON object on stdin: nonce, root, paths (put on sys.path),
arguments, distributions (whose pytest plugins are loaded, and no other), coverage (null or settings), tests (what
belongs to the tests), disguised, hidden and shard. Writes no report: the parent makes them from the stream.

A disguised run hides what it can of being a test run, so that code which behaves only while it is tested shows itself;
it is started without -I -P, and `hidden` are variables that it takes out of its environment.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).parent)
# Python itself puts a script's folder first, unless it is isolated.
sys.path[:] = [path for path in sys.path if path != HERE]
# Loaded before the repository's folders come onto the path, so that none of its names can stand in for ours.
import _pytest.config  # noqa: E402
import pytest  # noqa: E402

sys.path.append(HERE)
import recorder  # type: ignore[import-not-found]  # noqa: E402 - beside this file, which is no package where it runs
import seal  # type: ignore[import-not-found]  # noqa: E402
import tripwire  # type: ignore[import-not-found]  # noqa: E402

sys.path.pop()
# Not to be had by name: whoever wants to change them has to reach for them, and that is heard.
OURS = [sys.modules.pop(name) for name in ("recorder", "probe", "seal", "tripwire")]

# Their work is done by the parent or not at all; loading them would fight with it.
REPLACED = {"pytest-cov", "pytest-xdist"}


def main() -> int:
    order = json.load(sys.stdin)
    channel = recorder.Channel(int(sys.argv.pop()), order.pop("nonce"))
    # Before the repository's folders come onto the path: a package's metadata in its tree may name plugins as well.
    plugins = load_plugins(set(order["distributions"]))
    for name in _pytest.config.builtin_plugins:
        importlib.import_module(f"_pytest.{name}")
    watch = recorder.Watch(
        judges=seal.seal_judges(*OURS),
        calls=seal.seal_calls(*OURS),
        wire=tripwire.Tripwire(order["root"], order["tests"]),
        disguised=order["disguised"],
        shard=order["shard"],
    )
    if order["disguised"]:
        sys.argv[:] = ["app"]
    for name in order["hidden"]:
        os.environ.pop(name, None)
    os.chdir(order["root"])
    sys.path[:0] = order["paths"]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    measuring = start_coverage(order["coverage"], order["root"]) if order["coverage"] else None
    channel.send("hello", pytest=pytest.__version__)
    watch.wire.arm()
    ours = [recorder.Recorder(channel, watch), recorder.ReplacedOptions(), recorder.Registrar(plugins)]
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
