"""`python -m action VERB`: the entry point. It reads the environment, and turns every ending into an exit code.

0 done · 1 the answer is no, or the input is invalid · 2 usage · 3 our bug · 4 try again (design: the command).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from action.console import Console
from action.context import Context
from action.interruption import Interruption
from action.runfolder import RunFolder
from action.running import run_verb
from action.settings import GitHubContext, read_settings
from action.verbs import VERBS
from controlplane.errors import AicdError


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run one verb; never raises."""
    console = Console(GitHubContext(actions=environment.get("GITHUB_ACTIONS", "") == "true"))
    if len(arguments) != 1 or arguments[0] not in VERBS:
        console.error(f"usage: python -m action {{{'|'.join(VERBS)}}}")
        return 2
    try:
        settings = read_settings(environment)
    except AicdError as error:
        console.error(str(error))
        return error.exit_code
    console = Console(settings.github, settings.secrets())
    for secret in settings.handed_secrets():
        console.mask(secret)
    interruption = Interruption()
    interruption.listen()
    return run_verb(Context(arguments[0], settings, RunFolder(settings.run_directory), console, interruption))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
