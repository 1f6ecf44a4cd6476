"""Lines that the change excuses from coverage, and warnings it silences."""

from __future__ import annotations

import re
from collections.abc import Iterator

from action.verify.checkout import Snapshot
from action.verify.coveragesettings import PRAGMA
from action.verify.integrity.difference import added_lines, changed_paths
from controlplane.evidence import IntegrityFinding

SILENCER = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore|mypy:|ruff:|pylint:\s*disable)", re.IGNORECASE)


def find_exclusions(base: Snapshot, head: Snapshot, *, fresh: bool) -> Iterator[IntegrityFinding]:
    """New `pragma: no cover` fails (its lines count as missing anyway); a new `noqa` and its like is noted."""
    for path in changed_paths(base, head):
        if not path.endswith(".py") or path not in head.contents:
            continue
        texts = _new_texts(base.text(path), head.text(path))
        excused = [number for number, text in texts if re.search(PRAGMA, text)]
        silenced = [number for number, text in texts if SILENCER.search(text)]
        if excused:
            yield IntegrityFinding(
                kind="coverage-exclusion",
                fails=not fresh,
                file=path,
                reason=f"new `pragma: no cover` on {_numbers(excused)}; what it excuses counts as missing",
            )
        if silenced:
            yield IntegrityFinding(
                kind="warning-silenced", fails=False, file=path, reason=f"a checker is silenced on {_numbers(silenced)}"
            )


def _new_texts(before: str, after: str) -> list[tuple[int, str]]:
    """New lines whose text the file did not hold before: moved ones are not new."""
    known = {line.strip() for line in before.splitlines()}
    lines = after.splitlines()
    numbers = sorted(added_lines(before, after))
    return [(number, lines[number - 1]) for number in numbers if lines[number - 1].strip() not in known]


def _numbers(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{' …' if len(numbers) > 10 else ''}"
