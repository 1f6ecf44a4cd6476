"""The `aicd` command: the table of verbs, and how each way of ending becomes an exit code (design: the command).

A verb's module is imported only when it is called, so that `aicd gate` does not pay for the embedded stack. Each
module offers `app`, a Typer application with one or several commands.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from importlib import metadata

from controlplane.errors import AicdError, BrokenPromise, UsageError

# verb → (module, sentence). The order is the order of the help text.
VERBS: dict[str, tuple[str, str]] = {
    "demo": (
        "local.commands.demo",
        "The main job on this machine: a mail goes in, a pull request and a report come out.",
    ),
    "up": ("local.commands.up", "Start the embedded stack and keep it running until stopped."),
    "send": ("local.commands.send", "Send a mail through the running stack and wait for what comes of it."),
    "submit": ("local.commands.submit", "Hand a specification in through the API, and wait for what becomes of it."),
    "deliver": ("local.commands.deliver", "Build, verify and judge a specification in a local repository."),
    "verify": ("local.commands.verify", "Measure and judge a change in a local repository."),
    "gate": ("local.commands.gate", "Judge reports against a Definition of Done."),
    "evidence": ("local.commands.evidence", "Say what report files really contain."),
    "verify-bundle": ("local.commands.verify_bundle", "Check an evidence bundle: signature, hashes, verdict."),
    "spec": ("local.commands.spec", "Check a specification, or print its JSON Schema."),
    "mail": ("local.commands.mail", "Check a mail as the front door would."),
    "gmail": ("local.commands.gmail", "Authorise a mailbox at Google, or check that its credentials work."),
    "outbox": ("local.commands.outbox", "Show the work that waits or died, and requeue or drop it."),
    "token": ("local.commands.token", "Mint or revoke a role token."),
    "project": ("local.commands.project", "Say in which repositories things are built, and what holds there."),
    "sprint": ("local.commands.sprint", "Show what waits or failed; approve, answer, retry or cancel it."),
    "member": ("local.commands.member", "Let people into organisations and projects, or take them out."),
    "sender": ("local.commands.sender", "Let people have things built by mail: how many, and for how much money."),
    "ledger": ("local.commands.ledger", "Show what was spent."),
    "retention": ("local.commands.retention", "Say how long rows and stored objects are kept."),
    "key": ("local.commands.key", "Make, revoke or list API keys."),
    "init": ("local.commands.init", "Add the workflow and the configuration to a repository."),
    "doctor": ("local.commands.doctor", "Name each missing thing on this machine, and its fix."),
}

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> None:
    """Run one verb and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """Run one verb; the exit code is 0 yes, 1 no or invalid, 2 usage, 3 our bug, 4 try again."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        print(f"aicd {version()}")
        return 0
    verb, rest = argv[0], argv[1:]
    if verb not in VERBS:
        print(f"aicd: there is no verb '{verb}'.\n\n{usage()}", file=sys.stderr)
        return 2
    return _call(verb, rest)


def usage() -> str:
    """The first screen."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {sentence}" for verb, (_, sentence) in VERBS.items()]
    return "\n".join(["usage: aicd VERB [OPTIONS]", "", *lines, "", "`aicd VERB --help` explains a verb."])


def version() -> str:
    """The installed version, or `unreleased` in a checkout that was never installed."""
    try:
        return metadata.version("aicd")
    except metadata.PackageNotFoundError:
        return "unreleased"


def _call(verb: str, rest: list[str]) -> int:
    import typer
    from typer.exceptions import Abort, TyperException

    try:
        command = typer.main.get_command(importlib.import_module(VERBS[verb][0]).app)
        code = command.main(rest, prog_name=f"aicd {verb}", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except Abort:
        return INTERRUPTED
    except TyperException as error:  # typer brings a click of its own, so click's exceptions catch nothing here
        message = error.format_message().replace("Value error, ", "").rstrip(".")
        # typer shows a group's help where its command is missing, and has no words of its own for that.
        message = message or f"a command is missing: {', '.join(getattr(command, 'commands', ()))}"
        return _refuse(verb, rest, UsageError(f"{message}.", fix=f"`aicd {verb} --help` shows the options."))
    except KeyboardInterrupt:
        return INTERRUPTED
    except AicdError as error:
        if isinstance(error, BrokenPromise):
            traceback.print_exc()
        return _refuse(verb, rest, error)
    except BrokenPipeError:
        return 1
    except Exception:  # noqa: BLE001 - the last line of defence: whatever comes here is our bug, and says so
        traceback.print_exc()
        print(f"aicd {verb}: this is a bug of ours; please report it with the lines above.", file=sys.stderr)
        return 3


def _refuse(verb: str, rest: list[str], error: AicdError) -> int:
    """Say it to the person on stderr; whoever asked for JSON gets the same as the one document on stdout."""
    print(f"aicd {verb}: {error}", file=sys.stderr)
    if "--json" in rest:
        from local.commands.output import print_json

        print_json({"errors": [{"code": error.code, "message": error.message, "fix": error.fix}]})
    return error.exit_code
