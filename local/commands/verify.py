"""`aicd verify`: measure and judge a change of a local repository, isolated as on the runner."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from controlplane.errors import UsageError
from controlplane.states import Result
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False)

PREFIX = "aicd-reports-"
KEPT_REPORTS = 5
LONGEST_CALL_SECONDS = 24 * 3600


@app.command()
def verify(
    repo: Annotated[Path, typer.Option(help="The repository: a clone, or a bare one.")],
    base: Annotated[str, typer.Option(help="The commit or branch that the change started from.")],
    dod: Annotated[Path, typer.Option(help="The Definition of Done: YAML or JSON, alone or in a specification.")],
    head: Annotated[str, typer.Option(help="The commit or branch to judge.")] = "HEAD",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Where reports and logs are kept. Default: a new folder, for some days.")
    ] = None,
    timeout_seconds: Annotated[float, typer.Option(min=1, help="The longest time that all runs may take.")] = 1800,
    network: Annotated[bool, typer.Option(help="Whether the tests may use the network.")] = True,
) -> int:
    """Run a change's tests and checks in a sandbox and judge them. Ends with 0 when the DoD is met, else with 1."""
    from action.gate.dodfile import load_dod
    from action.gate.judge import judge
    from action.verify.options import VerifyOptions
    from action.verify.policy import find_misread
    from action.verify.verify import verify_change
    from controlplane.change import Change
    from local.worktree import describe_unjudged

    asked = load_dod(dod)
    folder = _output_folder(output)
    options = VerifyOptions(
        work_dir=folder,
        timeout_seconds=timeout_seconds,
        network=network,
        progress=say if sys.stderr.isatty() else _keep_quiet,
    )
    evidence = verify_change(Change(repository=repo, base=base, head=head), asked, options)
    verdict = judge(asked, evidence)
    for problem in find_misread(evidence):
        say(f"warning: {problem}")
    for note in describe_unjudged(repo, base, head):
        say(f"note: {note}")
    say(f"isolation: {evidence.isolation}")
    say(f"reports and logs: {folder}")
    if json:
        print_json(verdict.as_json())
    else:
        from local.commands.verdict_table import print_verdict

        print_verdict(verdict)
    return 0 if verdict.result is Result.PASSED else 1


def _output_folder(output: Path | None) -> Path:
    if output is None:
        forget_old_reports(Path(tempfile.gettempdir()))
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        folder.chmod(0o755)  # the sandbox's user works below it
        return folder
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is not a folder.", fix="Name a folder, or one that is still to be made.")
    return output.absolute()


def forget_old_reports(folder: Path) -> None:
    """Remove what earlier calls of ours left, but for the newest and what another call may be writing."""
    old = [path for path in folder.glob(f"{PREFIX}*") if path.is_dir() and not path.is_symlink() and _is_ours(path)]
    over = time.time() - LONGEST_CALL_SECONDS
    for path in sorted(old, key=lambda one: one.stat().st_mtime, reverse=True)[KEPT_REPORTS:]:
        if path.stat().st_mtime < over:
            shutil.rmtree(path, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    return path.stat().st_uid == os.getuid()


def _keep_quiet(_line: str) -> None:
    """Progress is for a terminal; elsewhere the end is said once."""
