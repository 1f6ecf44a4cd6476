"""npm, as we call it: packages only, no script of theirs, no secret of ours; what it installs is cached."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from action.verify.locking import build_once, mark_used
from controlplane.errors import AicdError

INSTALL_TIMEOUT_SECONDS = 600
# What npm may know of our environment: its own settings, the way to the network, certificates.
VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")
PREFIXES = ("NPM_CONFIG_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS")
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@dataclass
class NpmFailed(AicdError):
    """Packages from npm could not be installed."""

    default_code = "npm-failed"


def install_tool(cache_dir: Path, name: str, version: str) -> Path:
    """The node_modules folder that holds one pinned tool, installed on first use. Raises NpmFailed."""

    def build(folder: Path) -> None:
        (folder / "package.json").write_text("{}\n")
        run_npm(folder, "install", "--no-save", f"{name}@{version}")

    folder = build_once(cache_dir / "node" / f"{name}-{version}", build)
    mark_used(folder)
    return folder / "node_modules"


def run_npm(folder: Path, *arguments: str, program: str = "npm") -> None:
    """Run npm, or `program` of its kind, in a folder of ours. Raises NpmFailed."""
    npm = shutil.which(program)
    if npm is None:
        raise NpmFailed(f"There is no {program} on this machine.", fix=f"Install Node 20 or newer with {program}.")
    try:
        done = subprocess.run(
            [npm, *arguments, *(QUIET if program == "npm" else ("--ignore-scripts",))],
            cwd=folder,
            env=npm_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_SECONDS,
            umask=0o022,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NpmFailed(
            f"{program} took longer than {INSTALL_TIMEOUT_SECONDS} s.",
            fix="Check the registry that it is configured for.",
        ) from error
    if done.returncode != 0:
        lines = [line.removeprefix("npm error").strip() for line in done.stderr.splitlines()]
        told = " ".join([line for line in lines if line][:4])[:400]
        raise NpmFailed(
            f"{program} {arguments[0]} failed: {told or 'it said nothing'}",
            fix="Try the same by hand in a copy of the repository.",
            details={"log": done.stderr[-20_000:]},
        )


def npm_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    chosen = {
        name: value for name, value in inherited.items() if name in VARIABLES or name.upper().startswith(PREFIXES)
    }
    return {
        **chosen,
        "NO_UPDATE_NOTIFIER": "1",
        "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1",
        "PUPPETEER_SKIP_DOWNLOAD": "1",
    }
