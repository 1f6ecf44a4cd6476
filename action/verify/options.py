"""What a caller may choose when a change is verified."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from action.verify.sandbox import never
from controlplane.spec import TestCommands


def be_silent(_line: str) -> None:
    """The progress callback of a caller who wants none."""


@dataclass(frozen=True)
class VerifyOptions:
    """`work_dir` receives reports/ and logs/, and the checkouts while they are needed.

    `cache_dir` holds target environments between runs; None means `default_cache_dir()`. `policy` is the project's own
    (`dependencies: allow`, `integrity: {allow: […]}`), added to what the base's `.aicd.yml` says. With `network` false
    the tests see no network where the machine lets us take it away. Once `is_over`, what runs is stopped and the
    evidence is worth nothing.
    """

    work_dir: Path
    cache_dir: Path | None = None
    timeout_seconds: float = 1800.0
    tests: TestCommands | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    progress: Callable[[str], None] = be_silent
    network: bool = True
    is_over: Callable[[], bool] = never


def default_cache_dir(environment: Mapping[str, str] | None = None) -> Path:
    """Where target environments are kept.

    Root keeps them under /var/cache, since root's home is closed to the sandbox's user on most machines.
    """
    chosen = os.environ if environment is None else environment
    if os.geteuid() == 0:
        return Path("/var/cache/aicd")
    home = chosen.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "aicd"
