"""The target's environment: our pinned tools, and over them the repository's own dependencies. Cached by content."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from action.verify.dependencies import Dependencies
from action.verify.interpreter import Interpreter, find_interpreter
from action.verify.locking import build_once, mark_used
from controlplane.errors import AicdError, OutsideError

_PINS = Path(__file__).parents[2] / "requirements"
# A wheel carries the pins inside the package; a checkout and a published action have them beside it.
_SHIPPED = not (_PINS / "verify.txt").exists()
TOOL_REQUIREMENTS = Path(__file__).with_name("requirements.txt") if _SHIPPED else _PINS / "verify.txt"
SCANNER_REQUIREMENTS = Path(__file__).with_name("requirements-security.txt") if _SHIPPED else _PINS / "security.txt"
INSTALL_TIMEOUT_SECONDS = 600
# What pip may know of our environment: its own settings, the way to the network, certificates. No secret of ours.
PIP_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")
PIP_PREFIXES = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass
class InstallFailed(AicdError):
    """The target's dependencies could not be installed."""

    default_code = "install-failed"


@dataclass(frozen=True)
class Environment:
    """`folder` holds the repository's own dependencies, `tools` our pinned ones; they are one when it has none."""

    folder: Path
    tools: Path
    interpreter: Interpreter

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def path(self) -> str:
        folders = dict.fromkeys([self.folder / "bin", self.tools / "bin", *map(Path, ("/usr/local/bin", "/usr/bin"))])
        return os.pathsep.join([*map(str, folders), "/bin"])

    def program(self, name: str) -> Path:
        """A tool's executable: the repository's own pinned one if it has one, else ours."""
        own = self.folder / "bin" / name
        return own if own.exists() else self.tools / "bin" / name


def prepare_tools(cache_dir: Path) -> Environment:
    """The shared environment of our tools, built on first use. Raises InstallFailed."""
    return _prepare_own(cache_dir, "tools", TOOL_REQUIREMENTS)


def prepare_scanners(cache_dir: Path) -> Environment:
    """The security scanners, apart from what the repository's tests can import. Raises InstallFailed."""
    return _prepare_own(cache_dir, "scanners", SCANNER_REQUIREMENTS)


def _prepare_own(cache_dir: Path, name: str, requirements: Path) -> Environment:
    interpreter = find_interpreter(cache_dir)
    key = _key(interpreter.version, str(interpreter.executable), platform.machine(), requirements.read_text())

    def build(folder: Path) -> None:
        _make_venv(interpreter, folder)
        _pip(folder, "--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(requirements))

    folder = build_once(cache_dir / "environments" / f"{name}-{key}", build)
    mark_used(folder)
    return Environment(folder, folder, interpreter)


def prepare_environment(cache_dir: Path, dependencies: Dependencies, *, trusted: bool) -> Environment:
    """The environment of a target. `trusted` dependencies (the base's own) may be built from source.

    Others, named only by the change, are installed from wheels or not at all: building a source distribution runs its
    code as us. Raises InstallFailed.
    """
    tools = prepare_tools(cache_dir)
    if not dependencies:
        return tools
    lines = (*dependencies.plain, "--hashed--", *dependencies.hashed, *dependencies.constraints, str(trusted))
    key = _key(tools.folder.name, *lines)

    def build(folder: Path) -> None:
        _make_venv(tools.interpreter, folder)
        _site_packages(folder).joinpath("zz-tools.pth").write_text(f"{_site_packages(tools.folder)}\n")
        for name, requirements in (("plain", dependencies.plain), ("hashed", dependencies.hashed)):
            if requirements:
                pins = dependencies.constraints if name == "plain" else ()
                _install(folder, name, requirements, pins, trusted=trusted)

    folder = build_once(cache_dir / "environments" / f"target-{key}", build)
    mark_used(folder)
    return Environment(folder, tools.folder, tools.interpreter)


def pip_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables pip gets: the user's configuration of pip holds, our secrets do not."""
    chosen = {
        name: value
        for name, value in inherited.items()
        if name in PIP_VARIABLES or name.upper().startswith(PIP_PREFIXES)
    }
    return {**chosen, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _install(
    folder: Path, name: str, requirements: tuple[str, ...], constraints: tuple[str, ...], *, trusted: bool
) -> None:
    listing, pins = folder / f"requirements-{name}.txt", folder / "constraints.txt"
    listing.write_text("".join(f"{line}\n" for line in requirements))
    choice = ["--prefer-binary"] if trusted else ["--only-binary", ":all:"]
    if constraints:
        pins.write_text("".join(f"{line}\n" for line in constraints))
        choice += ["--constraint", str(pins)]
    _pip(folder, *choice, "-r", str(listing))


def _make_venv(interpreter: Interpreter, folder: Path) -> None:
    # A venv of another interpreter than ours must be made by that interpreter.
    command = [str(interpreter.executable), "-I", "-m", "venv", "--without-pip", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode != 0:
        raise InstallFailed(
            f"No virtual environment could be made with {interpreter.executable}: {_last_line(result)}",
            fix="Install the venv module of that Python (on Debian: the package python3-venv).",
        )


def _pip(folder: Path, *arguments: str) -> None:
    command = [_python_with_pip(), "-I", "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    started = time.monotonic()
    try:
        result = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            cwd=folder,
            env=pip_environment(os.environ),
            timeout=INSTALL_TIMEOUT_SECONDS,
            umask=0o022,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallFailed(
            f"Installing dependencies took longer than {INSTALL_TIMEOUT_SECONDS} s.",
            fix="Check the way to the package index that pip is configured for.",
        ) from error
    if result.returncode != 0:
        raise InstallFailed(
            f"pip could not install what the target needs ({time.monotonic() - started:.0f} s): {_last_line(result)}",
            fix="Try the same requirements with pip by hand; `pip config list` shows where it looks.",
            details={"log": (result.stdout + result.stderr)[-20_000:]},
        )


def _python_with_pip() -> str:
    if importlib.util.find_spec("pip") is not None:
        return sys.executable
    base = str(getattr(sys, "_base_executable", sys.executable))
    check = subprocess.run([base, "-I", "-m", "pip", "--version"], capture_output=True, check=False)
    if check.returncode == 0:
        return base
    raise OutsideError(
        "There is no pip here to build the target's environment with.",
        fix=f"Run `{sys.executable} -m ensurepip`, or install pip beside this Python.",
        code="no-pip",
    )


def _site_packages(folder: Path) -> Path:
    return next((folder / "lib").glob("python3*")) / "site-packages"


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _last_line(result: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1].strip()[:300]
