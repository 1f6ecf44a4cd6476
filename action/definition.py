"""The Definition of Done as an input: a file of the workspace, or the text itself."""

from __future__ import annotations

from action.context import Context
from action.gate.dodfile import load_dod
from controlplane.dod import DefinitionOfDone
from controlplane.errors import UsageError
from controlplane.specfile import check_dod


def read_dod(context: Context) -> DefinitionOfDone:
    """From input `dod`: a value with a line break or a colon is the text itself, anything else a path.

    Raises UsageError that names line and column of what is wrong.
    """
    given = context.settings.judge.dod
    if not given.strip():
        raise UsageError("There is no Definition of Done.", "Set the input `dod` to a file or to YAML.", "no-dod")
    if "\n" not in given and ":" not in given:
        root = context.settings.github.workspace / context.settings.judge.working_directory
        return load_dod(root / given.strip())
    check = check_dod(given.encode(), "dod.yaml")
    if check.dod is None or check.problems:
        words = [
            f"line {one.line}, column {one.column}: {one.message}" if one.line else one.message
            for one in check.problems
        ]
        raise UsageError(f"The Definition of Done is not usable: {'; '.join(words[:5])}.", "Correct it.", "dod-invalid")
    for note in check.notes:
        context.console.say(f"note: {note}")
    return check.dod
