"""Which programs measured, and in which versions: for the evidence bundle, so that a verdict can be reproduced.

Versions of Python packages are read from the names of what is installed; nothing of a package is run for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from action.verify.browser import find_chromium
from action.verify.environment import Environment
from action.verify.lighthouse import VERSION as LIGHTHOUSE
from action.verify.lighthouse import wanted_categories
from controlplane.dod import DefinitionOfDone

# What judges by itself or changes what is judged; every other package is in the repository's own files.
PACKAGES = ("pytest", "coverage", "pytest-cov", "pytest-xdist", "playwright", "pytest-playwright", "ruff", "flake8",
            "pylint", "mypy", "pyright", "bandit", "pip-audit")  # fmt: skip
_INSTALLED = re.compile(r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[A-Za-z0-9_.+!]{1,40})\.dist-info")
_NUMBER = re.compile(r"\d+(?:\.[0-9A-Za-z+-]+)+")
TIMEOUT_SECONDS = 20


def tool_versions(environment: Environment, dod: DefinitionOfDone, *, node: bool) -> dict[str, str]:
    """By name, sorted; a program that is not there, or says no version, is left out. `node`: it is a Node project."""
    found = {"python": environment.interpreter.version.split()[0], "git": _asked("git")}
    # The repository's own are used before ours.
    found |= dict(_installed(environment.tools)) | dict(_installed(environment.folder))
    categories = wanted_categories(dod)
    if node or categories:
        found["node"] = _asked("node")
    if dod.e2e_pass is True or categories:
        chromium = find_chromium()
        found["chromium"] = _asked(str(chromium)) if chromium else ""
    if categories:
        found["lighthouse"] = LIGHTHOUSE
    return {name: version for name, version in sorted(found.items()) if version}


def _installed(folder: Path) -> Iterator[tuple[str, str]]:
    for place in folder.glob("lib/python3*/site-packages/*.dist-info"):
        told = _INSTALLED.fullmatch(place.name)
        name = told["name"].lower().replace("_", "-") if told else ""
        if told and name in PACKAGES:
            yield name, told["version"]


def _asked(program: str) -> str:
    """The number in what `--version` prints."""
    where = shutil.which(program)
    if where is None:
        return ""
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    try:
        done = subprocess.run(
            [where, "--version"], capture_output=True, timeout=TIMEOUT_SECONDS, check=True, env=environ,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    number = _NUMBER.search(done.stdout.decode("utf-8", "replace"))
    return number.group(0) if number else ""
