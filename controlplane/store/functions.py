"""The functions' side of the database: one method per verb of role aicd_functions.

Arguments and answers are those of docs/architecture.md, "Verbs"; rows are plain dictionaries as the verb made them.
Every method raises OutsideError when Supabase cannot be reached, and NotAuthenticated when the token is dead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controlplane.store.agents import AgentCalls
from controlplane.store.control import ControlCalls
from controlplane.store.letters import LetterCalls
from controlplane.store.submissions import SubmissionCalls

Row = dict[str, Any]
SPECS = "specs"
ARTIFACTS = "artifacts"


class FunctionsStore(AgentCalls, ControlCalls, LetterCalls, SubmissionCalls):
    """Intake, dispatch, notify and tick speak to Supabase through this."""

    def open_mailbox(self, email: str) -> Row | None:
        """The mailbox of this address, None when it is not ours. Records that a push came."""
        return self._look_up("open_mailbox_v2", email=email)

    def list_mailboxes(self) -> list[Row]:
        return self._call("list_mailboxes_v1", list)

    def advance_mailbox(self, mailbox_id: str, history_id: str) -> str:
        """The cursor as it is now: never further back, maybe further on than asked."""
        return self._call("advance_mailbox_v1", str, mailbox_id=mailbox_id, history_id=history_id)

    def renew_mailbox(self, mailbox_id: str, history_id: str, watch_expires_at: str) -> None:
        self._call(
            "renew_mailbox_v1", object, mailbox_id=mailbox_id, history_id=history_id, watch_expires_at=watch_expires_at
        )

    def fail_mailbox(self, mailbox_id: str, error: str, fix: str, retry_after_seconds: float | None = None) -> None:
        """With the seconds that Google asked for, nobody asks it for this mailbox before they are over."""
        given = {"mailbox_id": mailbox_id, "error": error, "fix": fix}
        self._call("fail_mailbox_v2", object, **given, retry_after_seconds=retry_after_seconds)

    def heal_mailbox(self, mailbox_id: str) -> bool:
        """The mailbox works again; False when nothing was wrong, or when a mail was given up within a day."""
        return self._call("heal_mailbox_v2", bool, mailbox_id=mailbox_id)

    def note_fetch_failure(self, mailbox_id: str, gmail_id: str) -> Row:
        """{failures, seconds}: how often Gmail could not hand this mail over, once a minute, and since when."""
        return self._call("note_fetch_failure_v1", dict, mailbox_id=mailbox_id, gmail_id=gmail_id)

    def give_up_message(self, message: Mapping[str, Any], error: str, fix: str) -> Row:
        """Record a mail that cannot be fetched, and say so of its mailbox."""
        return self._call("give_up_message_v1", dict, message=message, error=error, fix=fix)

    def hold_message(self, mailbox_id: str, gmail_id: str) -> None:
        """Remember a mail that was fetched and cannot be judged now."""
        self._call("hold_message_v1", object, mailbox_id=mailbox_id, gmail_id=gmail_id)

    def known_messages(self, mailbox_id: str, gmail_ids: Sequence[str]) -> Row:
        """{known, held}: those of at most five hundred mails that were dealt with before, and that are held back."""
        return self._call("known_messages_v2", dict, mailbox_id=mailbox_id, gmail_ids=list(gmail_ids))

    def record_message(self, message: Mapping[str, Any]) -> Row:
        """For REFUSED, IGNORED and INVALID mail."""
        return self._call("record_message_v1", dict, message=message)

    def ingest_message(self, message: Mapping[str, Any], specs: Sequence[Mapping[str, Any]]) -> Row:
        """Everything that a mail with specifications sets going, in one transaction. Store the objects first."""
        return self._call("ingest_message_v1", dict, message=message, specs=list(specs))

    def claim_outbox(self, kinds: Sequence[str], limit: int, lease_seconds: int) -> list[Row]:
        return self._call("claim_outbox_v1", list, kinds=list(kinds), limit=limit, lease_seconds=lease_seconds)

    def finish_outbox(self, outbox_id: str, lease_id: str, result: Mapping[str, Any]) -> bool:
        """False when the lease was lost to another worker."""
        return self._call("finish_outbox_v1", bool, id=outbox_id, lease_id=lease_id, result=result)

    def retry_outbox(self, outbox_id: str, lease_id: str, error: str, retry_after_seconds: float | None = None) -> Row:
        return self._call(
            "retry_outbox_v1",
            dict,
            id=outbox_id,
            lease_id=lease_id,
            error=error,
            retry_after_seconds=retry_after_seconds,
        )

    def bury_outbox(self, outbox_id: str, lease_id: str, error: str) -> Row:
        """A claimed row that no further try could carry out: {dead}, false when the lease was lost."""
        return self._call("bury_outbox_v1", dict, id=outbox_id, lease_id=lease_id, error=error)

    def describe_run(self, run_id: str) -> Row:
        """Raises NotFound."""
        return self._call("describe_run_v1", dict, run_id=run_id)

    def bind_run(self, run_id: str, ci_run_id: str, url: str) -> str:
        """The CI run that the run is bound to: another than ours when somebody was faster."""
        return str(self._call("bind_run_v1", dict, run_id=run_id, ci_run_id=ci_run_id, url=url)["ci_run_id"])

    def describe_run_trust(self, run_id: str) -> Row | None:
        """Whose identity token may be exchanged for a token of this run; None when there is no such run."""
        return self._look_up("describe_run_trust_v1", run_id=run_id)

    def claim_identity(self, claim: Mapping[str, Any]) -> str:
        """Claim an identity before a token is minted for it. Mint only when the outcome is `claimed`."""
        return str(self._call("claim_identity_v1", dict, claim=claim)["outcome"])

    def abandon_run(self, run_id: str, code: str, reason: str) -> Row:
        return self._call("abandon_run_v1", dict, run_id=run_id, code=code, reason=reason)

    def close_dead_runs(self, older_than_seconds: int) -> int:
        return self._call("close_dead_runs_v1", int, older_than_seconds=older_than_seconds)

    def describe_notice(self, outbox_id: str) -> Row:
        """Raises NotFound."""
        return self._call("describe_notice_v1", dict, outbox_id=outbox_id)

    def copy_notice(self, outbox_id: str, channel: str) -> bool:
        """Have a notice told in a channel, too, by a row of its own; False where it is told there already."""
        return self._call("copy_notice_v1", bool, outbox_id=outbox_id, channel=channel)

    def put_spec(self, spec_id: str, content: bytes, content_type: str) -> str:
        """Store a specification as received; its path. Raises Conflict when other bytes have this id."""
        path = f"{spec_id}/source"
        self._put(SPECS, path, content, content_type)
        return path

    def get_spec(self, spec_id: str) -> bytes:
        """Raises NotFound."""
        return self._get(SPECS, f"{spec_id}/source")

    def sign_artifact(self, path: str, seconds: int, download_name: str) -> str:
        """A link that needs no token and ends after so many seconds. `path` is the artifact row's storage_path."""
        return self._sign(ARTIFACTS, path, seconds, download_name)
