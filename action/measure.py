"""Measuring and judging a change: the same two calls in the repair loop, in verify and in gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from action.context import Context
from action.gitrepo.protected import Refusal
from action.run import Run
from action.verify.options import VerifyOptions
from action.verify.sandbox import never
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import Evidence
from controlplane.spec import Spec
from controlplane.verdict import Criterion, Verdict


def measure_change(
    context: Context,
    change: Change,
    dod: DefinitionOfDone,
    *,
    work_dir: Path,
    seconds: float,
    policy: Run | None,
    is_over: Callable[[], bool] = never,
) -> Evidence:
    """Verify the change; `policy` is the run whose project says what is allowed."""
    from action.verify.verify import verify_change

    spec = context.folder.load("spec", Spec)
    options = VerifyOptions(
        work_dir=work_dir,
        cache_dir=context.settings.cache_directory,
        timeout_seconds=seconds,
        tests=spec.tests if spec else None,
        policy=policy.policy if policy else {},
        progress=context.console.say,
        is_over=is_over,
    )
    return _as_seen_from(work_dir, verify_change(change, dod, options))


def _as_seen_from(work_dir: Path, evidence: Evidence) -> Evidence:
    """The evidence with its files named from its own folder: a verdict must not depend on where a runner keeps it."""

    def shorten(path: str) -> str:
        return path.removeprefix(f"{work_dir}/")

    return evidence.model_copy(
        update={
            "files": tuple(file.model_copy(update={"path": shorten(file.path)}) for file in evidence.files),
            "runs": tuple(
                run.model_copy(update={"report": shorten(run.report), "log": shorten(run.log)}) for run in evidence.runs
            ),
            "mutation": evidence.mutation
            and evidence.mutation.model_copy(update={"report": shorten(evidence.mutation.report)}),
            "looked_in": tuple(shorten(path) for path in evidence.looked_in),
        }
    )


def hold_refusals(verdict: Verdict, refusals: Sequence[Refusal]) -> Verdict:
    """The verdict with a criterion of its own for what may not be pushed at all, when there is such a thing."""
    if not refusals:
        return verdict
    refused = Criterion(
        id="push_allowed",
        required=True,
        actual=False,
        status="failed",
        reason="The change holds what a run may not push.",
        evidence=tuple(f"{one.code} {one.path}: {one.reason}" for one in refusals),
    )
    return verdict.model_copy(update={"criteria": (*verdict.criteria, refused)})
