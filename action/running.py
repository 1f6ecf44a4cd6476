"""Running one verb: its ending becomes an exit code, and a failure is kept for the report before that.

Beginning and end are noted in the run folder; a verb that has no end was killed, and the next one says so.
"""

from __future__ import annotations

import importlib
import traceback

from action.context import Context
from action.interruption import Cancelled
from action.released import is_released
from action.verbs import VERBS
from controlplane.errors import AicdError, BrokenPromise


def run_verb(context: Context) -> int:
    """The verb's exit code; never raises."""
    code = _run(context)
    try:
        context.folder.end(context.verb, code)
    except OSError as trouble:
        context.console.warning(f"The end of `{context.verb}` could not be noted: {trouble}")
    return code


def _run(context: Context) -> int:
    try:
        context.folder.begin(context.verb)
        if is_released(context):
            context.console.say(f"Nothing to do for `{context.verb}`: the run was set aside.")
            return 0
        code: int = importlib.import_module(VERBS[context.verb]).run(context)
        return code
    except AicdError as error:
        return _report(context, error)
    except KeyboardInterrupt:
        return _report(context, Cancelled("The run was cancelled.", "Start it again."))
    except Exception as error:  # noqa: BLE001 - whatever comes here is our bug, and the run must still be finished
        context.console.foreign("".join(traceback.format_exception(error)))
        broken = BrokenPromise(f"A bug of ours stopped `{context.verb}` ({type(error).__name__}).", "Please report it.")
        return _report(context, broken)


def _report(context: Context, error: AicdError) -> int:
    context.console.error(str(error), title=f"aicd {context.verb}")
    try:
        context.keep_failure(error)
    except (AicdError, OSError) as trouble:
        context.console.warning(f"The failure could not be kept: {trouble}")
    return error.exit_code
