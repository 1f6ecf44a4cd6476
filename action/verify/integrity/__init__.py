"""Integrity: whether anything that judges was weakened. One sibling per class of finding, and the tables of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from action.verify.checkout import Snapshot
from action.verify.integrity.compiled import find_compiled
from action.verify.integrity.configuration import find_relaxed_settings
from action.verify.integrity.conftest import find_conftest_changes
from action.verify.integrity.dependencies import find_dependency_changes
from action.verify.integrity.detection import find_detection, find_disguise_seen
from action.verify.integrity.difference import is_fresh
from action.verify.integrity.doctests import find_rewritten_examples
from action.verify.integrity.exclusions import find_exclusions
from action.verify.integrity.hardcoded import SpecialCase, find_hard_coded
from action.verify.integrity.harness import find_reached, find_tampered
from action.verify.integrity.outcomes import find_lost_tests
from action.verify.integrity.probes import Probed, find_subverted_equality
from action.verify.integrity.protected import find_protected
from action.verify.integrity.reports import find_mismatches
from action.verify.integrity.shadows import find_shadows
from action.verify.integrity.silencers import find_silencers
from action.verify.integrity.tests import find_weakened_tests
from action.verify.policy import Policy, read_policy
from action.verify.pytestrun import PytestRun
from action.verify.repository import Repository
from controlplane.evidence import IntegrityFinding


def inspect_change(
    repository: Path, base: str, head: str, project: Mapping[str, object] | None = None
) -> tuple[IntegrityFinding, ...]:
    """What two commits of a repository tell without running anything. Raises UsageError for an unknown commit."""
    source = Repository(repository)
    before, after = (Snapshot.load(source, source.resolve(commit)) for commit in (base, head))
    return inspect_snapshots(before, after, read_policy(before, project or {}))


def inspect_snapshots(base: Snapshot, head: Snapshot, policy: Policy) -> tuple[IntegrityFinding, ...]:
    """The static part, on what was read already."""
    fresh = is_fresh(base)
    found = (
        *find_protected(base, head),
        *find_dependency_changes(base, head, allowed=policy.dependencies_allowed, fresh=fresh),
        *find_relaxed_settings(base, head, fresh=fresh),
        *find_conftest_changes(base, head, fresh=fresh),
        *find_exclusions(base, head, fresh=fresh),
        *find_shadows(base, head),
        *find_compiled(base, head),
        *find_silencers(base, head),
        *find_detection(base, head, fresh=fresh),
        *find_weakened_tests(base, head),
        *policy.describe_misread(),
    )
    return tuple(policy.apply(finding) for finding in found)


def inspect_runs(
    base: Snapshot,
    head: Snapshot,
    runs: Mapping[str, PytestRun],
    before: PytestRun | None,
    probed: Probed,
    special: dict[str, SpecialCase],
    examples: PytestRun | None = None,
) -> tuple[IntegrityFinding, ...]:
    """What the runs tell.

    `before` are the base's tests on the base itself, where there was a reason to run them; `probed` what came of them
    in disguise; `special` the answers that the change holds ready for just what a test asks; `examples` the base's
    doctests in the change's code.
    """
    laid_over = runs.get("base-tests")
    return (
        *find_mismatches(runs),
        *find_lost_tests(base, head, runs, before),
        *find_subverted_equality(probed.subverted),
        *find_disguise_seen(probed.seen_through),
        *find_rewritten_examples(examples),
        *find_reached(base, head, laid_over),
        *find_tampered(laid_over, before),
        *find_hard_coded(special, laid_over, before),
    )
