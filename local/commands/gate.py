"""`aicd gate`: reports against a Definition of Done. Starts nothing, asks nobody: files in, verdict out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.errors import UsageError
from controlplane.states import Result
from local.commands.evidence import require_paths
from local.commands.output import print_json

if TYPE_CHECKING:
    from controlplane.dod import DefinitionOfDone
    from controlplane.evidence import Evidence

app = typer.Typer(add_completion=False)


@app.command()
def gate(
    dod: Annotated[Path, typer.Option(help="The Definition of Done: YAML or JSON, alone or in a specification.")],
    reports: Annotated[list[Path], typer.Option(help="Report files and folders; several may follow.")],
    # click's options take one value each; what follows the first path of --reports arrives here.
    more: Annotated[list[Path] | None, typer.Argument(hidden=True, metavar="[PATH]...")] = None,
    repo: Annotated[Path | None, typer.Option(help="The repository, for criteria that look at the change.")] = None,
    base: Annotated[str | None, typer.Option(help="The commit or branch that the change started from.")] = None,
    head: Annotated[str | None, typer.Option(help="The commit or branch to judge. Default: HEAD.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Judge reports against a Definition of Done. Ends with 0 when it is met, with 1 when it is not."""
    from action.evidence import read_reports
    from action.gate.dodfile import load_dod
    from action.gate.judge import judge

    paths = [*reports, *(more or [])]
    _check_change(repo, base, head)
    require_paths(paths)
    asked = load_dod(dod)
    evidence = read_reports(paths)
    if repo is not None and base is not None:
        evidence = _look_at_change(asked, evidence, repo, base, head or "HEAD")
    verdict = judge(asked, evidence)
    if json:
        print_json(verdict.as_json())
    else:
        from local.commands.verdict_table import print_verdict

        print_verdict(verdict)
    return 0 if verdict.result is Result.PASSED else 1


def _check_change(repo: Path | None, base: str | None, head: str | None) -> None:
    if (repo is None) != (base is None) or (head is not None and base is None):
        raise UsageError("--repo and --base belong together.", fix="Give both: --repo PATH --base REF [--head REF].")
    if repo is not None and not repo.is_dir():
        raise UsageError(f"There is no folder {repo}.", fix="Give the repository's working tree with --repo PATH.")


def _look_at_change(asked: DefinitionOfDone, evidence: Evidence, repo: Path, base: str, head: str) -> Evidence:
    """Only what is asked for: reports alone are judged the same in any checkout."""
    seen: dict[str, object] = {}
    if asked.diff_coverage_min is not None:
        from action.gate.diff import changed_lines

        seen["changed_lines"] = changed_lines(repo, base, head)
    if asked.integrity:
        from action.verify.integrity import inspect_change

        seen["integrity"] = inspect_change(repo, base, head)
    return evidence.model_copy(update=seen)
