"""The Definition of Done, from a file: alone, under a key `dod`, or inside a specification with a single sprint."""

from __future__ import annotations

import re
from pathlib import Path

from controlplane.dod import DefinitionOfDone
from controlplane.errors import CallerError, UsageError
from controlplane.spec import Problem
from controlplane.specfile import check_dod, check_spec

DOD_BYTES = 256 * 1024
_SPEC_KEYS = frozenset(("planning", "meta"))
_PROBLEMS_TOLD = 10


class InvalidDefinitionOfDone(CallerError):
    """The Definition of Done cannot be read."""

    default_code = "invalid-dod"


def load_dod(path: Path) -> DefinitionOfDone:
    """Raises UsageError where there is no such file, InvalidDefinitionOfDone with line and column where it is wrong."""
    data = _read(path)
    if path.suffix.lower() in (".md", ".markdown") or (data.lstrip().startswith(b"---\n") and data.count(b"\n---") > 1):
        return _from_spec(path, data)
    check = check_dod(data, path.name)
    if check.dod is not None and _SPEC_KEYS & set(check.dod.unknown_keys()):
        return _from_spec(path, data)
    if check.dod is None:
        raise _invalid(path, check.problems)
    return _without_blanks(path, check.dod, data)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", fix="Give the Definition of Done with --dod FILE.")
    try:
        with path.open("rb") as stream:
            data = stream.read(DOD_BYTES + 1)
    except OSError as error:
        raise InvalidDefinitionOfDone(
            f"{path} cannot be read: {error.strerror}.", fix="Check its permissions."
        ) from error
    if len(data) > DOD_BYTES:
        raise InvalidDefinitionOfDone(
            f"{path} is larger than {DOD_BYTES // 1024} KiB.", fix="A Definition of Done is a dozen lines: cut it down."
        )
    return data


def _from_spec(path: Path, data: bytes) -> DefinitionOfDone:
    check = check_spec(data, path.name)
    if check.spec is None or check.problems:
        raise _invalid(path, check.problems)
    sprints = check.spec.plan.sprints if check.spec.plan else ()
    if len(sprints) != 1:
        raise InvalidDefinitionOfDone(
            f"{path} is a specification with {len(sprints)} sprints, so it is not clear which one's is meant.",
            fix="Write the one to judge by into a file of its own.",
        )
    return _without_blanks(path, sprints[0].dod, data)


def _without_blanks(path: Path, dod: DefinitionOfDone, data: bytes) -> DefinitionOfDone:
    """A key without a value asks for nothing, which is surely not what was meant."""
    blank = sorted(key for key in dod.model_fields_set if getattr(dod, key) is None)
    if blank:
        raise _invalid(path, tuple(_blank_problem(key, data.decode("utf-8", "replace")) for key in blank))
    return dod


def _blank_problem(key: str, text: str) -> Problem:
    found = re.search(rf"""^(.*?)["']?\b{re.escape(key)}["']?\s*:""", text, re.MULTILINE)
    line = text.count("\n", 0, found.start()) + 1 if found else None
    column = len(found.group(1)) + 1 if found else None
    return Problem(
        path=key, line=line, column=column, message=f"'{key}' has no value. Write one, or take the line out."
    )


def _invalid(path: Path, problems: tuple[Problem, ...]) -> InvalidDefinitionOfDone:
    told = [_as_text(problem) for problem in problems[:_PROBLEMS_TOLD]]
    return InvalidDefinitionOfDone(
        f"{path} is no Definition of Done we can judge by. " + " ".join(told),
        fix="Mend the lines named; docs/writing-a-specification.md explains the keys.",
        details={"problems": [problem.model_dump(mode="json") for problem in problems]},
    )


def _as_text(problem: Problem) -> str:
    place = f"line {problem.line}, column {problem.column}: " if problem.line else ""
    where = f"{problem.path}: " if problem.path else ""
    return f"{place}{where}{problem.message}"
