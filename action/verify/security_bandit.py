"""bandit on the product's Python, with the base's configuration and without the exceptions that the change makes.

A `# nosec` that the base has anywhere is the maintainers' word; one that the change brings would be the accused's.
"""

from __future__ import annotations

import re
from pathlib import Path

from action.evidence.scanreport import BANDIT
from action.verify.bench import Bench
from action.verify.checkout import Snapshot
from action.verify.environment import prepare_scanners
from action.verify.layout import is_source, read_ini, read_toml, table
from action.verify.scan import Scan, tree_of
from controlplane.errors import AicdError

_EXCEPTION = re.compile(rb"(#\s*)nosec", re.IGNORECASE)
_SAYS_SOMETHING = re.compile(rb"[^#]*\w")
_DISARMED = rb"\1not believed: no-sec"
# By itself bandit leaves out every path that holds `CVS`, `.tox` and the like, wherever; no path holds this.
_EXCLUDE_NOTHING = "//"


def scan_python_code(bench: Bench) -> Scan:
    sources = _sources(bench.head)
    if not sources:
        return Scan(BANDIT)
    try:
        program = _program(bench)
    except AicdError as error:
        return Scan(BANDIT, refusal=str(error))
    contents, disarmed = _without_new_exceptions(sources, _sources(bench.base))
    settings, files = _settings(bench.base)
    command = (str(program), "--recursive", "--format", "json", "--quiet", "--number", "1", *settings, ".")
    notes = (f"{disarmed} marks `# nosec` that the base does not have were not believed",) if disarmed else ()
    return Scan(BANDIT, tree_of({**contents, **files}), command, notes=notes)


def _sources(snapshot: Snapshot) -> dict[str, bytes]:
    files = snapshot.pytest_config.python_files
    return {
        path: data
        for path, data in snapshot.contents.items()
        if is_source(path, files) and snapshot.entries[path].is_file
    }


def _program(bench: Bench) -> Path:
    """The repository's own pinned one if it has one, else ours. Raises InstallFailed."""
    own = bench.environment.folder / "bin" / "bandit"
    return own if own.exists() else prepare_scanners(bench.cache_dir).folder / "bin" / "bandit"


def _without_new_exceptions(head: dict[str, bytes], base: dict[str, bytes]) -> tuple[dict[str, bytes], int]:
    """The head's sources with the exceptions disarmed that the base does not have, and how many these were.

    A line may have moved here from any file of the base, unless it is a bare bracket: that one would end any statement.
    """
    moved = {line for data in base.values() for line in _exceptions(data) if _SAYS_SOMETHING.match(line)}
    count = 0

    def disarm(line: bytes, known: set[bytes]) -> bytes:
        nonlocal count
        if line.strip() in known or not _EXCEPTION.search(line):
            return line
        count += 1
        return _EXCEPTION.sub(_DISARMED, line)

    def disarm_file(path: str, data: bytes) -> bytes:
        known = moved | _exceptions(base.get(path, b""))
        return b"".join(disarm(line, known) for line in data.splitlines(keepends=True))

    contents = {path: disarm_file(path, data) if _EXCEPTION.search(data) else data for path, data in head.items()}
    return contents, count


def _exceptions(data: bytes) -> set[bytes]:
    return {line.strip() for line in data.splitlines() if _EXCEPTION.search(line)}


def _settings(base: Snapshot) -> tuple[tuple[str, ...], dict[str, bytes]]:
    """Arguments, and the files that they name: the base's `.bandit`, and `[tool.bandit]` of its pyproject.toml."""
    arguments: list[str] = []
    files: dict[str, bytes] = {}
    ini = base.contents.get(".bandit")
    if ini is not None:
        files[".bandit"] = ini
        arguments += ["--ini", ".bandit"]
    if ini is None or not read_ini(ini).has_option("bandit", "exclude"):
        arguments += ["--exclude", _EXCLUDE_NOTHING]
    pyproject = base.contents.get("pyproject.toml")
    if table(read_toml(pyproject), "tool", "bandit"):
        files["pyproject.toml"] = pyproject or b""
        arguments += ["--configfile", "pyproject.toml"]
    return tuple(arguments), files
