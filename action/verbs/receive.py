"""receive: take over from the jobs before this one, in the hardened form (docs/using-the-action.md).

What was decided before an agent ran is compared with the hash that was put out then. Everything else is data: checked,
bounded, never run. A job that finds itself on the machine of an earlier one refuses, unless told otherwise.
"""

from __future__ import annotations

from action.context import Context, interruption
from action.gitrepo.objects import read_objects
from action.gitrepo.protected import find_refusals
from action.handover import OBJECTS, HandoverRefused, Manifest, orders_digest, unpack
from action.journal import now
from action.needs import Needs, read_needs
from action.remeasure import check_reports
from action.run import BuildOutcome, Failure, Run
from action.sharedrunner import finds_mark, identity, leave_mark
from action.verbs.handover import handover_folder
from controlplane.change import Change
from controlplane.errors import AicdError, CallerError
from controlplane.evidence import Evidence
from controlplane.states import Phase


class SharedRunner(CallerError):
    """Jobs that must not meet ran on one persistent runner."""

    default_code = "shared-runner"


def run(context: Context) -> int:
    for secret in context.settings.secrets():
        context.console.mask(secret)
    needs = read_needs(context.settings.handover.needs)
    context.folder.forget()
    (context.folder.path / OBJECTS).unlink(missing_ok=True)
    context.folder.prepare()
    here = identity(context.settings.github)
    context.console.set_output("runner", here)
    shared = needs.on_runner(here) or (["build"] if finds_mark(context.settings.github) else [])
    leave_mark(context.settings.github)
    if context.settings.run.mode == "verify":
        _refuse_shared(context, shared)
        _take_build(context, needs)
        context.folder.require("change", Change, "build")
    else:
        _receive_for_publish(context, needs, shared)
    return 0


def _receive_for_publish(context: Context, needs: Needs, shared: list[str]) -> None:
    """Noted first is which run this is, so that whatever fails later is reported."""
    try:
        _take_build(context, needs)
    except AicdError:
        context.folder.forget()
        _announce(context)
        raise
    started = context.folder.load("run", Run)
    if started is None:
        return
    context.folder.save("run", _as_seen_here(context, started, shared))
    _refuse_shared(context, shared)
    # The step that is given the token that writes waits for these.
    for name, value in {"run-id": started.run_id, "spec-id": started.spec_id, "branch": started.branch}.items():
        context.console.set_output(name, value)
    change = context.folder.load("change", Change)
    if change is not None:
        context.console.set_output("commit", change.head)
        _take_verify(context, needs, change)
        _look_again(context, change)
    ready = context.folder.load("failure", Failure) is None and context.folder.load("evidence", Evidence) is not None
    context.console.set_output("judge", "true" if ready else "false")


def _take_build(context: Context, needs: Needs) -> None:
    outputs = needs.build.outputs
    if not outputs.handover:
        raise interruption("build")
    manifest = unpack(
        handover_folder(context) / "build", context.folder.path, "build", outputs.handover, _ci_run(context)
    )
    started = context.folder.load("run", Run)
    if started is None:
        return
    asked = context.settings.run.run_id.lower()
    if asked and started.run_id != asked:
        raise HandoverRefused("What the job before handed over was refused: it is another run's.", "Run again.")
    if outputs.orders and orders_digest(context.folder.path) != outputs.orders:
        message = "What the job before handed over was refused: the run's orders were changed after they were given."
        raise HandoverRefused(message, "Look at the agent's log; something reached beyond its sandbox.")
    # Without that hash no agent ran, and there can be no change.
    if manifest.commit and outputs.orders:
        file = context.folder.path / OBJECTS
        repository = context.folder.repository
        change = read_objects(file, repository, started.base, manifest.commit, started.branch, started.below)
        context.folder.save("change", change)
    elif not context.folder.load("failure", Failure):
        raise interruption("build")


def _take_verify(context: Context, needs: Needs, change: Change) -> None:
    """What the measuring job found, or that it found nothing; an earlier failure stays the one that counts."""
    earlier = context.folder.load("failure", Failure)
    digest = needs.verify.outputs.handover
    if digest:
        folder = handover_folder(context) / "verify"
        manifest: Manifest = unpack(folder, context.folder.path, "verify", digest, _ci_run(context))
        evidence = context.folder.load("evidence", Evidence)
        if evidence is not None:
            if manifest.commit != change.head:
                raise HandoverRefused("What was measured is not what was built.", "Run the whole workflow again.")
            check_reports(context.folder.path, evidence)
            # The job that measured could tell nobody: it holds no token.
            context.journal(context.run()).event(
                Phase.TESTING, f"{change.head[:12]} was measured in a job of its own", commit=change.head
            )
    if earlier is not None:
        context.folder.save("failure", earlier)
    elif not digest:
        ended = needs.verify.result
        context.folder.save(
            "failure",
            Failure(
                phase="TESTING",
                code="not-measured",
                message=f"The job that measures the change handed nothing over; it ended as '{ended[:20]}'.",
                fix="Its log says more: the time limit, a lost runner, or a missing tool.",
            ),
        )


def _look_again(context: Context, change: Change) -> None:
    """What may not be pushed is found here, from the objects themselves; the job of the agent is not asked."""
    outcome = context.folder.load("build", BuildOutcome)
    limit = context.settings.target.max_changed_lines
    refusals = find_refusals(change.repository, change.base, change.head, limit, context.kept_out())
    known = outcome or BuildOutcome(agent="", ended="", reason="")
    context.folder.save("build", known.model_copy(update={"refusals": refusals}))


def _as_seen_here(context: Context, started: Run, shared: list[str]) -> Run:
    """The run with what this job knows better than the one before: where to push, and how well it is kept apart."""
    github = context.settings.github
    scopes = [started.token_scope, _own_scope(context, started)]
    weakest = next((scope for scope in ("project", "both") if scope in scopes), started.token_scope)
    return started.model_copy(
        update={
            "remote_url": f"{github.server_url.rstrip('/')}/{started.repository}.git",
            "ci_url": github.run_url,
            "shared_runner": bool(shared),
            "token_scope": weakest,
        }
    )


def _own_scope(context: Context, started: Run) -> str:
    if not started.controlled:
        return ""
    if context.run_token is not None:
        try:
            context.run_token()
        except AicdError as error:
            context.console.warning(f"No token for this half of the run yet: {error}")
    return context.token_scope


def _announce(context: Context) -> None:
    """What is known of a run when nothing usable came from the job before; only the control plane waits for it."""
    run_id = context.settings.run.run_id.lower()
    if not (run_id and context.settings.uses_control_plane):
        return
    context.folder.prepare()
    context.folder.save(
        "run",
        Run(
            run_id=run_id,
            spec_id=context.settings.run.spec_id.lower(),
            sprint_label="sprint",
            correlation_id=context.settings.run.correlation_id,
            controlled=True,
            repository=context.settings.target.target_repository or context.settings.github.repository,
            remote_url="",
            branch="",
            base="",
            started_at=now(),
            ci_url=context.settings.github.run_url,
        ),
    )


def _refuse_shared(context: Context, shared: list[str]) -> None:
    if not shared:
        return
    jobs = " and ".join(shared)
    if context.settings.handover.allow_shared_runner:
        context.console.warning(f"This job is on the same runner as {jobs}: isolation is reduced.")
        return
    raise SharedRunner(
        f"This job found itself on the same persistent runner as {jobs}; what was left there could reach it.",
        "Use runners that live for one job, or own labels (`trusted-runs-on`, `publish-runs-on`), "
        "or accept it with `allow-shared-runner: true`.",
    )


def _ci_run(context: Context) -> str:
    return context.settings.github.run_id
