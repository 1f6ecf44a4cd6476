"""Lighthouse with the machine's own Chromium, against the running app; its JSON report is kept as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from action.verify.account import is_reachable
from action.verify.bench import Bench
from action.verify.browser import NO_BROWSER, find_chromium
from action.verify.npm import NpmFailed, install_tool
from action.verify.sandbox import Outcome
from controlplane.dod import DefinitionOfDone

VERSION = "12.8.2"  # the last one for Node 20
LONGEST_SECONDS = 180.0
CHROME_FLAGS = "--headless=new --no-sandbox --disable-dev-shm-usage"
NO_APP = "nobody told how the app is started; add `app: {command, url}` to .aicd.yml"
NO_NODE = "there is no Node on this machine; install Node 20 or newer"


def wanted_categories(dod: DefinitionOfDone) -> tuple[str, ...]:
    """The categories that are asked for; none where Lighthouse is not."""
    performance = {"performance"} if dod.lighthouse_min is not None else set()
    return tuple(sorted({*performance, *(dod.lighthouse or {})}))


def measure_lighthouse(bench: Bench, categories: tuple[str, ...]) -> None:
    """Load the app's page once. What stands in the way is kept as the run's reason."""
    bench.say("running Lighthouse")
    chromium, node = find_chromium(), shutil.which("node")
    if bench.told.app is None or chromium is None or node is None:
        reason = NO_APP if bench.told.app is None else NO_BROWSER if chromium is None else NO_NODE
        bench.keeper.keep_unrun("lighthouse", "lighthouse", reason)
        return
    try:
        program = find_lighthouse(bench.cache_dir)
    except NpmFailed as error:
        bench.keeper.keep_unrun("lighthouse", "lighthouse", f"Lighthouse could not be installed: {error}")
        return
    with bench.app("lighthouse") as serving:
        assert serving is not None
        if serving.problem:
            bench.keeper.keep_unrun("lighthouse", "app", serving.problem)
            return
        command = (node, str(program), serving.url, *_options(categories))
        bench.keeper.keep_lighthouse(command, _run(bench, command, chromium))


def find_lighthouse(cache_dir: Path) -> Path:
    """Lighthouse's script: of the machine if everybody may read it, else ours, installed on first use."""
    found = shutil.which("lighthouse")
    if found and is_reachable(Path(found)):
        return Path(found)
    return install_tool(cache_dir, "lighthouse", VERSION) / "lighthouse" / "cli" / "index.js"


def _options(categories: tuple[str, ...]) -> tuple[str, ...]:
    return (
        "--quiet",
        "--output=json",
        "--output-path=stdout",
        "--disable-full-page-screenshot",
        f"--only-categories={','.join(categories)}",
        f"--chrome-flags={CHROME_FLAGS}",
        "--no-enable-error-reporting",
    )


def _run(bench: Bench, command: tuple[str, ...], chromium: Path) -> Outcome:
    seconds = min(bench.left(), LONGEST_SECONDS)
    with bench.cell("lighthouse", roomy=True) as cell:
        environment = {"CHROME_PATH": os.fspath(chromium)}
        return cell.run(command, timeout_seconds=seconds, cwd=cell.home, environment=environment)
