"""What the maintainers allow: read from the base's `.aicd.yml` and the project, never from the change itself."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from action.verify.checkout import Snapshot
from action.verify.policywords import describe_kind, describe_unknown, describe_values
from controlplane.evidence import Evidence, IntegrityFinding

POLICY_FILES = (".aicd.yml", ".aicd.yaml")
LARGEST_POLICY = 64_000
# The note of the integrity criterion about what in a policy could not be understood.
MISREAD = "policy-not-understood"


@dataclass(frozen=True)
class Allowance:
    """A class of finding that is allowed, on these paths; without paths, everywhere.

    A path is a file, a folder (with or without a `/` at its end; all that is below it) or a pattern with `*`.
    """

    kind: str
    paths: tuple[str, ...] = ()

    def covers(self, finding: IntegrityFinding) -> bool:
        if finding.kind != self.kind:
            return False
        return not self.paths or any(_lies_in(finding.file, pattern) for pattern in self.paths)


def _lies_in(file: str, pattern: str) -> bool:
    return fnmatch.fnmatch(file, pattern) or fnmatch.fnmatch(file, f"{pattern.rstrip('/')}/*")


@dataclass(frozen=True)
class Policy:
    """`notes` tell what in the policy could not be understood; it then allows nothing."""

    dependencies_allowed: bool = False
    exceptions: tuple[Allowance, ...] = ()
    notes: tuple[str, ...] = ()

    def may_rewrite(self, path: str) -> bool:
        """Whether a change may rewrite this test file: then the base's version no longer judges it."""
        kinds = ("test-failed", "test-vanished", "test-weakened")
        probe = (IntegrityFinding(kind=kind, fails=True, file=path) for kind in kinds)
        return any(exception.covers(finding) for finding in probe for exception in self.exceptions)

    def may_silence(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of the paths in which a change may silence a checker."""
        probes = (IntegrityFinding(kind="warning-silenced", fails=True, file=path) for path in paths)
        return frozenset(probe.file for probe in probes if any(one.covers(probe) for one in self.exceptions))

    def describe_misread(self) -> tuple[IntegrityFinding, ...]:
        """One note with all of `notes`, so that verdict and report say why nothing was allowed."""
        told = "; ".join(self.notes)
        return (IntegrityFinding(kind=MISREAD, fails=False, reason=told),) if told else ()

    def apply(self, finding: IntegrityFinding) -> IntegrityFinding:
        """A finding that is allowed becomes a note that says so."""
        allowed = finding.fails and any(exception.covers(finding) for exception in self.exceptions)
        if not allowed:
            return finding
        reason = f"{finding.reason} (allowed by the maintainers' policy)"
        return finding.model_copy(update={"fails": False, "reason": reason})


def find_misread(evidence: Evidence) -> tuple[str, ...]:
    """What in the policy could not be understood, in words: for a log that somebody reads before the verdict."""
    return tuple(finding.reason for finding in evidence.integrity or () if finding.kind == MISREAD)


def read_policy(base: Snapshot, project: Mapping[str, Any]) -> Policy:
    """Join the base's file and the project's own settings."""
    policies = [_parse(dict(project), "the project's policy")]
    for name in POLICY_FILES:
        if name in base.contents:
            document, problem = load_document(base.contents[name])
            policies.append(_parse(document, name) if not problem else Policy(notes=(f"{name}: {problem}",)))
            policies.append(Policy(notes=describe_unknown(document, name)))
    return Policy(
        dependencies_allowed=any(policy.dependencies_allowed for policy in policies),
        exceptions=tuple(exception for policy in policies for exception in policy.exceptions),
        notes=tuple(note for policy in policies for note in policy.notes),
    )


def load_document(data: bytes) -> tuple[Any, str]:
    """The document of an `.aicd.yml`, and else why it cannot be had."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(data) > LARGEST_POLICY:
        return None, f"it is larger than {LARGEST_POLICY} bytes, and was not read"
    try:
        return YAML(typ="safe", pure=True).load(data.decode("utf-8")), ""
    except (YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return None, f"it cannot be read ({type(error).__name__}), so it allows nothing"


def _parse(document: Any, where: str) -> Policy:
    if document is None:
        return Policy()
    if not isinstance(document, dict):
        return Policy(notes=(f"{where}: it is not a mapping, so it allows nothing",))
    integrity = document.get("integrity")
    entries = integrity.get("allow") if isinstance(integrity, dict) else None
    exceptions, notes = [], list(describe_values(document, where))
    for entry in entries if isinstance(entries, list) else []:
        exception = _exception(entry)
        if exception is None:
            notes.append(f"{where}: an entry of integrity.allow is neither a kind nor {{kind, paths}}")
            continue
        exceptions.append(exception)
        notes += describe_kind(exception.kind, where)
    return Policy(document.get("dependencies") == "allow", tuple(exceptions), tuple(notes))


def _exception(entry: Any) -> Allowance | None:
    if isinstance(entry, str):
        return Allowance(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        return None
    paths = entry.get("paths", [])
    listed = [paths] if isinstance(paths, str) else paths
    if not isinstance(listed, list) or not all(isinstance(path, str) for path in listed):
        return None
    return Allowance(entry["kind"], tuple(listed))
