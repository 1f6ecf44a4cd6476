"""`aicd evidence`: what report files really contain, recounted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controlplane.errors import UsageError
from controlplane.evidence import EvidenceFile
from local.commands.output import print_json

app = typer.Typer(add_completion=False)


@app.command()
def evidence(
    paths: Annotated[list[Path], typer.Argument(help="Report files, and folders to look into.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Say what report files really contain: totals recounted from cases and lines, and every problem.

    Ends with 1 when a file that was meant as evidence cannot be read, with 2 when a path does not exist.
    """
    from action.evidence import read_reports

    require_paths(paths)
    files = read_reports(paths).files
    if json:
        print_json({"files": [file.model_dump(mode="json") for file in files]})
    else:
        for file in files:
            _tell(file)
    return 1 if any(file.could_be for file in files) or not files else 0


def require_paths(paths: list[Path]) -> None:
    """Raises UsageError for the first path that is not there."""
    for path in paths:
        if not path.is_symlink() and not path.exists():
            raise UsageError(
                f"There is no file or folder {path}.", fix="Name the report files, or the folder they are in."
            )


def _tell(file: EvidenceFile) -> None:
    print(f"{file.path}: {file.kind}{f' ({file.tool})' if file.tool and file.tool != file.kind else ''}")
    for name, figure in _figures(file):
        print(f"  {name}: {figure}")
    for problem in file.problems:
        print(f"  ! {problem}")


def _figures(file: EvidenceFile) -> list[tuple[str, Any]]:
    figures: list[tuple[str, Any]] = []
    if file.tests is not None:
        tests = file.tests
        figures.append(
            (
                "tests",
                f"{tests.total}: {tests.passed} passed, {tests.failed} failed, {tests.errors} errors, "
                f"{tests.skipped} skipped",
            )
        )
    if file.coverage is not None:
        ratio = "nothing to cover" if file.coverage.ratio is None else f"{file.coverage.ratio:.2%}"
        figures.append(("lines", f"{file.coverage.covered} of {file.coverage.total} covered ({ratio})"))
    for category, score in (file.lighthouse or {}).items():
        figures.append((category, "not measured" if score is None else score))
    if file.issues is not None:
        figures.append(("issues", file.issues))
    return figures
