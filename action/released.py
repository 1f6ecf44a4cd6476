"""The runner given back before there is anything to judge: the work goes on later, with another run, on any runner.

The control plane has set the run aside by then. The verbs that are left of it find `released.json` and do nothing:
there is no change to measure, no verdict to give, and nobody is owed a report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from controlplane.noun import Noun

if TYPE_CHECKING:
    from action.context import Context

NAME = "released"
# What may still run after a release: beginning anew in a folder that another run has left.
NEVER_IDLE = ("start", "receive", "deliver")
WORDS = {
    "PAUSED": "Paused",
    "NEEDS_INPUT": "The requester is asked",
    "NEEDS_APPROVAL": "The plan waits for approval",
}


class Released(Noun):
    """`resume_at` is ISO 8601 in UTC where the work goes on by itself, else empty."""

    status: Literal["PAUSED", "NEEDS_INPUT", "NEEDS_APPROVAL"]
    reason: str
    resume_at: str = ""


def release(context: Context, released: Released) -> None:
    """Note it for the verbs that follow, for the workflow (output `proceed`), and for whoever reads the summary."""
    context.folder.save(NAME, released)
    context.console.set_output("proceed", "false")
    later = f" It goes on at {released.resume_at}." if released.resume_at else ""
    said = context.console.redact(f"{WORDS[released.status]}: {released.reason}{later}")
    context.console.say(said)
    context.console.write_summary(f"### {WORDS[released.status]}\n\n{said}\n")


def is_released(context: Context) -> bool:
    """Whether this verb has nothing to do because an earlier one gave the runner back."""
    return context.verb not in NEVER_IDLE and context.folder.load(NAME, Released) is not None
