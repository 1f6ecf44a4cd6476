"""What every verb is given: settings, run folder, console, and the way to the control plane."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from action.console import Console
from action.interruption import Interruption
from action.journal import Journal
from action.run import Failure, Run
from action.runfolder import RunFolder
from action.settings import Settings
from controlplane.errors import AicdError, BrokenPromise

if TYPE_CHECKING:
    from action.identity import RunToken
    from controlplane.store import RunnerStore


@dataclass(frozen=True)
class Context:
    """`verb` is the verb being run: the phase of a failure."""

    verb: str
    settings: Settings
    folder: RunFolder
    console: Console
    interruption: Interruption = field(default_factory=Interruption)

    @cached_property
    def store(self) -> RunnerStore | None:
        """The control plane's client; None when the action works alone."""
        if not self.settings.uses_control_plane:
            return None
        from controlplane.store import Connection, RunnerStore, connect

        inputs = self.settings.control_plane
        where = Connection(
            url=inputs.supabase_url, publishable_key=inputs.supabase_publishable_key, token=inputs.supabase_token
        )
        return RunnerStore(connect(where, self.run_token))

    @cached_property
    def run_token(self) -> RunToken | None:
        """Exchanges this job's identity at the first request to the control plane, in memory only, and again in time.

        None where `supabase-token` serves instead.
        """
        if not self.settings.exchanges_identity:
            return None
        from action.identity import Exchange, RunToken
        from action.identity.github import IdentityService

        github = self.settings.github
        service = IdentityService(github.id_token_url, github.id_token_request_token)
        url, run_id = self.settings.control_plane.token_url, self.settings.run.run_id.lower()
        return RunToken(Exchange(url, run_id, service, self.console.keep_secret))

    @property
    def token_scope(self) -> str:
        """How far this run's token reaches: build, publish, both, or project for a secret that is none run's own."""
        if not self.settings.uses_control_plane:
            return ""
        return self.run_token.scope if self.run_token else "project"

    def run(self) -> Run:
        """The run that `start` began; raises BrokenPromise when it did not."""
        return self.folder.require("run", Run, "start")

    def journal(self, run: Run) -> Journal:
        records = self.store if run.controlled else None
        return Journal(self.folder, self.console, run.run_id, records, run.ci_attempt)

    def kept_out(self) -> tuple[str, ...]:
        """The secrets that no commit may hold, those among them that became known on the way."""
        plain = self.settings.plain_values()
        return tuple(secret for secret in self.console.secrets if secret not in plain)

    def keep_interruption(self) -> bool:
        """Note as a failure that a verb before this one was killed: a cancel, a time limit, or the machine. Whatever
        the verdict, what was promised for it may not be there. True when one was."""
        killed = self.folder.find_interrupted(self.verb)
        if killed:
            self.keep_failure(interruption(killed))
        return bool(killed)

    def keep_failure(self, error: AicdError) -> None:
        """Note what went wrong for the report; the first failure is the one that counts."""
        if self.folder.load("failure", Failure) is None:
            said = [self.console.redact(text) for text in (error.message, error.fix)]
            failure = Failure(phase=PHASES.get(self.verb, self.verb), code=error.code, message=said[0], fix=said[1])
            self.folder.prepare()
            self.folder.save("failure", failure)


def interruption(verb: str) -> BrokenPromise:
    """What is said of a run whose `verb` has no end."""
    message = f"The run was ended from outside during `{verb}`: cancelled, out of time, or the runner was lost."
    return BrokenPromise(message, "Start it again; its log says more.", "interrupted")


# The words of status_events for what a verb does.
PHASES = {
    "receive": "TESTING",
    "start": "PLANNING",
    "plan": "PLANNING",
    "build": "BUILD",
    "verify": "TESTING",
    "handover": "BUILD",
    "gate": "TESTING",
    "publish": "PUBLISH",
    "finish": "FINISH",
}
