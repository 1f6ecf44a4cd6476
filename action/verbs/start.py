"""start: learn which run this is, get its specification, clone the repository, and find where work begins."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

from pydantic import Field

from action.build.takeover import take_over
from action.context import Context
from action.gitrepo.clone import Wish, fetch_repository, joined_commits
from action.gitrepo.git import Remote
from action.gitrepo.merge import Needed
from action.journal import now
from action.plan.dialogue import Dialogue, read_dialogue
from action.run import Run
from action.sharedrunner import identity, leave_mark
from controlplane.errors import BrokenPromise, CallerError, Conflict, UsageError
from controlplane.noun import Noun
from controlplane.plan import Sprint
from controlplane.spec import Spec, SpecCheck
from controlplane.specfile import check_spec

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/aicd/run")
OVER = {
    "already-running": "Another workflow run is at this piece of work already.",
    "finished": "This run has its result already.",
    "cancelled": "This run was cancelled.",
}


class Order(Noun):
    """What is to be done, before the repository has been looked at."""

    run_id: str
    spec_id: str
    correlation_id: str = ""
    controlled: bool
    sprint_label: str
    sprint: Sprint | None = None
    spec: Spec
    policy: dict[str, Any] = Field(default_factory=dict)
    default_branch: str = ""
    previous_branch: str = ""
    previous_commit: str = ""
    dialogue: Dialogue = Dialogue()
    needed: tuple[Needed, ...] = ()
    sprint_id: str = ""
    session: dict[str, Any] = Field(default_factory=dict)


def run(context: Context) -> int:
    for secret in context.settings.secrets():
        context.console.mask(secret)
    if context.settings.control_plane.token_url and not context.settings.exchanges_identity:
        context.console.warning("`token-url` is not used: the job lacks `permissions: id-token: write`.")
    context.folder.forget()
    context.folder.prepare()
    if context.settings.handover.handover:
        context.console.set_output("runner", identity(context.settings.github))
        leave_mark(context.settings.github)
    order = _order_from_control_plane(context) if context.settings.uses_control_plane else _order_from_file(context)
    if order is None:
        context.console.set_output("proceed", "false")
        return 0
    begin(context, order)
    return 0


def begin(context: Context, order: Order) -> Run:
    """Clone, and write run.json and spec.json. The run is noted first, so that whatever fails later is reported."""
    started = _describe(context, order)
    context.folder.save("run", started)
    context.folder.save("spec", order.spec)
    context.folder.save("dialogue", order.dialogue)
    if order.sprint is not None:
        context.folder.save("sprint", order.sprint)
    for name, value in {"proceed": "true", "run-id": started.run_id, "spec-id": started.spec_id}.items():
        context.console.set_output(name, value)
    with context.console.group(f"Fetch {started.repository}"):
        remote = Remote(started.remote_url, context.settings.target.github_token)
        point = fetch_repository(remote, context.folder.repository, _wish(context, order, started), started.trailers())
    started = started.model_copy(update=point.model_dump())
    left = take_over(context, order.session, started.base)
    if left is not None:
        # The work goes on from where it was begun, although the target may have moved since.
        below = joined_commits(context.folder.repository, left.base) if started.below else ()
        started = started.model_copy(update={"base": left.base, "below": below})
        context.console.say(f"Going on with what run {left.run_id or '?'} left at {left.head[:12]}")
    context.folder.save("run", started)
    context.console.set_output("branch", started.branch)
    context.console.say(f"Work begins at {started.base[:12]}, on branch {started.branch}")
    return started


def _order_from_control_plane(context: Context) -> Order | None:
    settings, store = context.settings, context.store
    assert store is not None
    run_id = settings.run.run_id.lower()
    if not run_id:
        raise UsageError("input 'run-id' is missing beside 'supabase-url'.", "Pass the workflow's input on.")
    ci_run = settings.github.run_id or f"local-{run_id}"
    answer = store.start_run(run_id, ci_run, settings.github.run_attempt)
    outcome = answer["outcome"]
    if outcome != "started":
        context.console.say(f"Nothing to do: {OVER.get(outcome, outcome)}")
        return None
    # From here on the control plane waits for a result, whatever happens.
    context.folder.save("run", _announced(context, answer))
    found = _checked_spec(context, store.get_spec(answer["spec_id"]), answer["spec"].get("name") or "")
    if found.sha256 != answer["spec"]["sha"]:
        raise BrokenPromise(
            "The stored specification is not the one that was received: its SHA-256 differs.",
            "Send it again.",
            "spec-changed",
        )
    found = _placed(found, answer["project"]["repo"], answer["spec"].get("title") or "")
    previous = answer.get("previous") or {}
    plan = answer["sprint"].get("plan_json")
    return Order(
        run_id=run_id,
        spec_id=answer["spec_id"],
        correlation_id=answer.get("correlation_id") or settings.run.correlation_id,
        controlled=True,
        sprint_label=answer["sprint"]["label"],
        sprint=Sprint.model_validate(plan) if plan else None,
        spec=found,
        policy=answer["project"].get("policy") or {},
        default_branch=answer["project"].get("default_branch") or "",
        previous_branch=previous.get("branch") or "",
        previous_commit=previous.get("commit") or "",
        dialogue=read_dialogue(answer["sprint"]),
        needed=tuple(
            Needed(label=one["label"], branch=one.get("branch") or "", commit=one["commit"])
            for one in answer["sprint"].get("depends_on") or ()
            if one.get("commit")
        ),
        sprint_id=answer["sprint_id"],
        session=answer["sprint"].get("session") or {},
    )


def _placed(found: Spec, repo: str, title: str) -> Spec:
    """A letter that names no repository is for the one that the front door found for it; its title is the mail's."""
    if found.repo and found.repo.lower() != repo.lower():
        raise Conflict(f"The specification is for {found.repo}, its project for {repo}.")
    facts = {"repo": repo, "project": found.project or repo.partition("/")[2]}
    if found.format == "text" and title:
        facts["title"] = title
    return found.model_copy(update=facts)


def _announced(context: Context, answer: dict[str, Any]) -> Run:
    """As much of the run as is known before its specification was read."""
    return Run(
        run_id=answer["run_id"],
        spec_id=answer["spec_id"],
        sprint_id=answer["sprint_id"],
        sprint_label=answer["sprint"]["label"],
        correlation_id=answer.get("correlation_id") or "",
        controlled=True,
        repository=answer["project"]["repo"],
        remote_url="",
        branch="",
        base="",
        started_at=now(),
        ci_url=context.settings.github.run_url,
        spec_sha256=answer["spec"]["sha"],
        title=answer["spec"].get("title") or "",
        token_scope=context.token_scope,
        ci_attempt=context.settings.github.run_attempt,
    )


def _order_from_file(context: Context) -> Order:
    inputs = context.settings.run
    if not inputs.spec_path:
        raise UsageError(
            "There is nothing to build: neither `supabase-url` with `run-id`, nor `spec-path`.",
            "Set `spec-path` to a specification in the repository, or connect the control plane.",
            "no-spec",
        )
    path = context.settings.github.workspace / context.settings.judge.working_directory / inputs.spec_path
    try:
        data = path.read_bytes()
    except OSError as error:
        fix = "`spec-path` is relative to the checked out workspace; is there a checkout step before?"
        raise UsageError(f"There is no specification at {inputs.spec_path}: {error.strerror}.", fix) from error
    found = _checked_spec(context, data, path.name)
    labels = [sprint.label for sprint in found.plan.sprints] if found.plan else []
    if inputs.sprint and inputs.sprint not in labels:
        known = ", ".join(labels) or "it has none"
        raise UsageError(f"The specification has no sprint '{inputs.sprint}'.", f"Its sprints: {known}.", "no-sprint")
    spec_id = inputs.spec_id.lower() or str(uuid.uuid5(NAMESPACE, f"spec/{found.sha256}"))
    ci = f"{context.settings.github.run_id}/{context.settings.github.run_attempt}"
    return Order(
        run_id=inputs.run_id.lower()
        or str(uuid.uuid5(uuid.UUID(spec_id), f"run/{ci if ci != '/1' else uuid.uuid4()}")),
        spec_id=spec_id,
        correlation_id=inputs.correlation_id,
        controlled=False,
        sprint_label=inputs.sprint or (labels[0] if labels else "sprint"),
        spec=found,
    )


def _checked_spec(context: Context, data: bytes, name: str) -> Spec:
    """The specification, or CallerError with the first problems; each is told in the log with line and column."""
    check: SpecCheck = check_spec(data, name)
    if check.spec is not None and check.valid:
        for note in check.notes:
            context.console.say(f"note: {note}")
        digest = hashlib.sha256(data).hexdigest()
        return check.spec if check.spec.sha256 == digest else check.spec.model_copy(update={"sha256": digest})
    shown = [
        f"line {problem.line}: {problem.message}" if problem.line else problem.message for problem in check.problems
    ]
    for line in shown:
        context.console.error(line, title="specification")
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    raise CallerError(
        f"The specification cannot be built: {'; '.join(shown[:5])}{more}.",
        "Correct it and send it again; `aicd spec check FILE` shows every problem.",
        "spec-invalid",
    )


def _describe(context: Context, order: Order) -> Run:
    repository, url = _target(context, order)
    return Run(
        run_id=order.run_id,
        spec_id=order.spec_id,
        sprint_id=order.sprint_id,
        sprint_label=order.sprint_label,
        correlation_id=order.correlation_id,
        controlled=order.controlled,
        repository=repository,
        remote_url=url,
        branch=branch_of(order.spec, order.spec_id, order.sprint_label),
        base="",
        started_at=now(),
        ci_url=context.settings.github.run_url,
        spec_sha256=order.spec.sha256,
        title=order.spec.title or order.spec.project,
        policy=order.policy,
        token_scope=context.token_scope if order.controlled else "",
        ci_attempt=context.settings.github.run_attempt,
    )


def branch_of(spec: Spec, spec_id: str, sprint_label: str) -> str:
    """The branch that a sprint is built on."""
    return spec.policies.branch or f"aicd/{spec_id[:8]}/{sprint_label}"


def _target(context: Context, order: Order) -> tuple[str, str]:
    """(name, URL). A path of this machine is a target too, for `aicd deliver`; the control plane's word is final."""
    asked = context.settings.target.target_repository
    if asked.startswith(("/", "./", "../")) and not order.controlled:
        path = Path(asked).resolve()
        return path.name, str(path)
    if asked and order.controlled and asked.lower() != order.spec.repo.lower():
        raise Conflict(
            f"`target-repository` is {asked}, the specification is for {order.spec.repo}.",
            "Leave the input out; the project decides.",
        )
    repository = asked or order.spec.repo
    return repository, f"{context.settings.github.server_url.rstrip('/')}/{repository}.git"


def _wish(context: Context, order: Order, started: Run) -> Wish:
    target = context.settings.target.target_branch or order.spec.branch or order.default_branch
    return Wish(
        branch=started.branch,
        branch_is_named=order.spec.policies.branch is not None,
        target=target,
        previous_branch=order.previous_branch,
        previous_commit=order.previous_commit,
        needed=order.needed,
    )
