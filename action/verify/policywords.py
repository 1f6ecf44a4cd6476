"""The words that an `.aicd.yml` may hold. Any other has no effect, and is told with the one that was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.specfile.tree import shown
from controlplane.specfile.wording import closest

# Each section with its keys; the whole file first.
KEYS: dict[str, tuple[str, ...]] = {
    "": ("dependencies", "integrity", "tests", "app"),
    "integrity": ("allow",),
    "tests": ("unit", "e2e", "commands", "shards"),
    "app": ("command", "url", "ready_seconds"),
}
DEPENDENCIES = ("allow", "deny")
# What a maintainer can allow; other findings only ever are notes.
KINDS = (
    "answer-hard-coded", "config-relaxed", "coverage-exclusion", "dependency-changed", "equality-subverted",
    "harness-reached", "module-shadowed", "protected-path", "report-mismatch", "test-data-changed", "test-detected",
    "test-failed", "test-moved", "test-skipped", "test-vanished", "test-weakened", "test-xfailed", "warning-silenced",
)  # fmt: skip
# Notes of ours: allowing them changes nothing, and is no mistake.
ONLY_NOTED = ("config-added", "config-changed", "test-changed")


def describe_unknown(document: Any, where: str) -> tuple[str, ...]:
    """Each key that nothing reads."""
    if not isinstance(document, Mapping):
        return ()
    sections = {name: document if not name else document.get(name) for name in KEYS}
    return tuple(
        _unknown(f"{where}: '{shown(f'{name}.{key}' if name else str(key))}' is read by nothing", str(key), KEYS[name])
        for name, section in sections.items()
        if isinstance(section, Mapping)
        for key in section
        if key not in KEYS[name]
    )


def describe_values(document: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Values of another shape than is read: they allow nothing."""
    notes = []
    asked = document.get("dependencies")
    if asked is not None and asked not in DEPENDENCIES:
        start = f"{where}: dependencies is '{shown(str(asked))}', which allows nothing"
        notes.append(_unknown(start, str(asked), DEPENDENCIES))
    integrity = document.get("integrity")
    if integrity is not None and not isinstance(integrity, Mapping):
        notes.append(f"{where}: integrity is no mapping and allows nothing; write `integrity: {{allow: [KIND]}}`")
    elif integrity and integrity.get("allow") is not None and not isinstance(integrity["allow"], list):
        notes.append(f"{where}: integrity.allow is no list and allows nothing; write `allow: [KIND]`")
    return tuple(notes)


def describe_kind(kind: str, where: str) -> tuple[str, ...]:
    """A kind that no finding has allows nothing."""
    if kind in (*KINDS, *ONLY_NOTED):
        return ()
    return (_unknown(f"{where}: integrity.allow: no finding is of the kind '{shown(kind)}'", kind, KINDS),)


def _unknown(start: str, word: str, known: Iterable[str]) -> str:
    meant = closest(word, known)
    return f"{start}; did you mean {meant}?" if meant else f"{start}; what is known: {', '.join(known)}"
