"""What it means to relax a setting: one table of rules, and the comparison by them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

# Words in pytest's addopts that take tests away, or switch off what judges them.
REMOVING = re.compile(
    r"^(--ignore(-glob)?|--deselect|-k|-m|--collect-only|--co|--last-failed|--lf|--no-cov|--runxfail$|--noconftest|"
    r"-W=?ignore|(-p)?no:(?!cacheprovider|warnings))"
)
Direction = Literal["more", "less", "off", "on", "lower", "options", "changed", "set", "narrows"]


@dataclass(frozen=True)
class Rule:
    """`direction` is the way of relaxing: `more` entries, `less` entries, switched `off` or `on`, a `lower` number,
    `options` of a command line, any that is `changed`, any that is `set`, or entries that `narrow` what was everything;
    those of `whole` then say what everything was.
    """

    key: str
    direction: Direction
    whole: tuple[str, ...] = ()


def words(value: Any) -> tuple[str, ...]:
    """A setting's entries, whether it is written as a list or as text."""
    if isinstance(value, str):
        return tuple(part.strip() for part in re.split(r"[\n,]|(?<!,)\s+", value) if part.strip())
    if isinstance(value, dict):
        return tuple(f"{key}={entry}" for key, entries in value.items() for entry in (words(entries) or (entries,)))
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def lines(value: Any) -> tuple[str, ...]:
    """A setting whose entries may hold blanks: one on each line."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.splitlines() if part.strip())
    return words(value)


def relaxations(rules: tuple[Rule, ...], before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for every setting that `after` relaxes against `before`. Absent on both sides is no change."""
    for rule in rules:
        old, new = before.get(rule.key), after.get(rule.key)
        if old != new:
            if rule.direction == "narrows":
                yield from _narrows(rule, old, new)
            else:
                yield from _CHECKS[rule.direction](rule.key, old, new)


def _more(key: str, old: Any, new: Any) -> Iterator[str]:
    added = [entry for entry in lines(new) if entry not in lines(old)]
    if added:
        yield f"`{key}` now has {', '.join(added[:5])}"


def _less(key: str, old: Any, new: Any) -> Iterator[str]:
    if new is None and old is not None:
        yield f"`{key}` was removed"
        return
    gone = [entry for entry in words(old) if entry not in words(new)]
    if gone:
        yield f"`{key}` lost {', '.join(gone[:5])}"


def _narrows(rule: Rule, old: Any, new: Any) -> Iterator[str]:
    """Entries where there were none before: fewer than everything, unless they cover it."""
    if old is not None:
        yield from _less(rule.key, old, new)
        return
    entries = words(new)
    missing = [part for part in rule.whole or ("everything",) if not any(part.startswith(one) for one in entries)]
    if missing and "ALL" not in entries:
        yield f"`{rule.key}` now leaves out {', '.join(missing)}"


def _on(key: str, old: Any, new: Any) -> Iterator[str]:
    if _is_on(new) and not _is_on(old):
        yield f"`{key}` was switched on"


def _set(key: str, _old: Any, new: Any) -> Iterator[str]:
    if new is not None:
        yield f"`{key}` is now {new}"


def _off(key: str, old: Any, new: Any) -> Iterator[str]:
    if (_is_on(old) and not _is_on(new)) or (old is None and _is_explicitly_off(new)):
        yield f"`{key}` was switched off"


def _lower(key: str, old: Any, new: Any) -> Iterator[str]:
    before, after = _number(old), _number(new)
    if before is not None and (after is None or after < before):
        yield f"`{key}` went from {old} to {new}"


def _options(key: str, old: Any, new: Any) -> Iterator[str]:
    before, after = _split(old), _split(new)
    added = [word for word in after if word not in before and REMOVING.match(word)]
    # Words that only change what is shown are nobody's judge.
    quiet = re.compile(r"^(-[vqrsl]|--tb|--color|--durations|--show|-n|--numprocesses|--cov-report|--junit|--html)")
    gone = [word for word in before if word.startswith("-") and word not in after and not quiet.match(word)]
    if added:
        yield f"`{key}` now has {' '.join(added[:5])}"
    if gone:
        yield f"`{key}` lost {' '.join(gone[:5])}"


def _changed(key: str, old: Any, new: Any) -> Iterator[str]:
    if old is not None:
        yield f"`{key}` went from {old} to {new}"


_CHECKS = {
    "more": _more,
    "less": _less,
    "off": _off,
    "on": _on,
    "lower": _lower,
    "options": _options,
    "changed": _changed,
    "set": _set,
}


def _is_on(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() in ("1", "true", "yes", "on"))


def _is_explicitly_off(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() in ("0", "false", "no", "off"))


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _split(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    try:
        return shlex.split(str(value or ""))
    except ValueError:
        return str(value).split()
