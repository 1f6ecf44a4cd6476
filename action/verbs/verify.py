"""verify: measure the change once more from a clean checkout. What the loop saw on the way counts for nothing."""

from __future__ import annotations

from pathlib import Path

from action.context import Context
from action.definition import read_dod
from action.gitrepo.git import git, text
from action.measure import measure_change
from action.run import Run
from controlplane.change import Change
from controlplane.errors import UsageError
from controlplane.plan import Sprint
from controlplane.states import Phase


def run(context: Context) -> int:
    from action.verify.policy import find_misread

    context.folder.prepare()
    started = context.folder.load("run", Run)
    change = context.folder.load("change", Change) or _change_of_workspace(context)
    sprint = context.folder.load("sprint", Sprint)
    dod = sprint.dod if sprint else read_dod(context)
    if started is not None:
        message = f"Measuring {change.head[:12]} from a clean checkout"
        context.journal(started).event(Phase.TESTING, message, commit=change.head)
    with context.console.group("Measure"):
        evidence = measure_change(
            context, change, dod, work_dir=context.folder.path, seconds=_seconds(context), policy=started
        )
    for problem in find_misread(evidence):
        context.console.warning(problem)
    context.folder.save("change", change)
    context.folder.save("evidence", evidence)
    counted = [file.tests for file in evidence.files if file.tests is not None]
    total, passed = sum(one.total for one in counted), sum(one.passed for one in counted)
    context.console.say(f"{passed} of {total} tests passed; isolation: {evidence.isolation}")
    return 0


def _seconds(context: Context) -> float:
    return max(300.0, context.settings.agent.timeout_minutes * 60)


def _change_of_workspace(context: Context) -> Change:
    """`mode: verify` in a repository's own workflow: from `base` to the checked out commit."""
    workspace = (context.settings.github.workspace / context.settings.judge.working_directory).resolve()
    wanted = context.settings.judge.base or context.settings.github.base_ref
    if not wanted:
        raise UsageError(
            "`mode: verify` needs to know what the change is measured against.",
            "Set `base` to a branch or commit, for example ${{ github.event.pull_request.base.sha }}.",
            "no-base",
        )
    inside = workspace / ".git"
    if git(inside, "rev-parse", "--git-dir", check=False).returncode != 0:
        raise UsageError("The working directory is no git repository.", "Check the repository out first.", "no-git")
    base = next((found for name in (wanted, f"origin/{wanted}") if (found := _commit(inside, name))), "")
    if not base:
        raise UsageError(
            f"The base '{wanted}' is not in the checkout.", "Check out with `fetch-depth: 0`.", "base-missing"
        )
    head = text(inside, "rev-parse", "HEAD")
    shared = git(inside, "merge-base", base, head, check=False).stdout.decode().strip() or base
    return Change(repository=workspace, base=shared, head=head)


def _commit(inside: Path, name: str) -> str:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return git(inside, *asked, check=False).stdout.decode().strip()
