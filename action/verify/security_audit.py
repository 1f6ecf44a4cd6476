"""Known vulnerabilities of what the product depends on: pip-audit and npm audit.

Neither is told by the change whom to ask: pip-audit asks its own service, and npm the registry of the base's `.npmrc`.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

from action.evidence.scanreport import NPM_AUDIT, PIP_AUDIT
from action.verify.bench import Bench
from action.verify.checkout import Snapshot
from action.verify.scan import Scan, tree_of

_NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
_OTHER_LOCKS = ("pnpm-lock.yaml", "yarn.lock")
_NO_NPM = "there is no npm on this machine. Install Node 20 or newer with npm"
_NOT_PINNED = (
    "security: the Python dependencies were not audited, since pip-audit is none of the repository's own pinned tools"
)
_NO_LOCK_FOR_NPM = "security: the packages of {} were not audited, since npm audit reads only npm's own lock file"


def scan_python_packages(bench: Bench) -> Scan:
    """What was installed for the repository, by its own pip-audit."""
    folder, tools = bench.environment.folder, bench.environment.tools
    if folder == tools:
        return Scan(PIP_AUDIT)
    program = folder / "bin" / "pip-audit"
    if not program.exists():
        return Scan(PIP_AUDIT, notes=(_NOT_PINNED,))
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    command = (str(program), "--path", str(packages), "--format", "json", "--progress-spinner", "off")
    return Scan(PIP_AUDIT, tree_of({}), command, needs_network=True)


def scan_node_packages(bench: Bench) -> Scan:
    """What the lock file names; nothing is installed for it."""
    contents = bench.head.contents
    lock = next((name for name in _NPM_LOCKS if name in contents), "")
    if not lock or "package.json" not in contents:
        other = next((name for name in _OTHER_LOCKS if name in contents), "")
        return Scan(NPM_AUDIT, notes=(_NO_LOCK_FOR_NPM.format(other),) if other else ())
    if not _names_packages(contents[lock]):
        return Scan(NPM_AUDIT)
    npm = shutil.which("npm")
    if npm is None:
        return Scan(NPM_AUDIT, refusal=_NO_NPM)
    command = (npm, "audit", "--json", "--package-lock-only")
    return Scan(NPM_AUDIT, tree_of(_npm_files(bench.base, bench.head, lock)), command, needs_network=True, roomy=True)


def _npm_files(base: Snapshot, head: Snapshot, lock: str) -> dict[str, bytes]:
    files = {name: head.contents[name] for name in ("package.json", lock)}
    return {**files, ".npmrc": base.contents[".npmrc"]} if ".npmrc" in base.contents else files


def _names_packages(lock: bytes) -> bool:
    """Whether a lock file names any package but the project itself; one that cannot be read is npm's to refuse."""
    try:
        document: Any = json.loads(lock)
    except (ValueError, RecursionError):
        return True
    if not isinstance(document, dict):
        return True
    packages = document.get("packages") if isinstance(document.get("packages"), dict) else {}
    return bool(document.get("dependencies")) or any(name for name in packages or {})
