"""The functions' verbs about what goes on with work, who may ask for it, and how long it is kept.

Apart from controlplane/store/functions.py, which holds intake, dispatch and notify; FunctionsStore is both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controlplane.api_keys import hash_api_key
from controlplane.store.calls import Caller
from controlplane.store.outcomes import translated
from controlplane.store.patience import patiently

Row = dict[str, Any]


class ControlCalls(Caller):
    """Part of FunctionsStore."""

    def answer_sprint(self, sprint_id: str, reply: Mapping[str, Any]) -> Row:
        """The requester's reply: {id, text, answered_by}; the same id is one answer. Raises NotFound and Conflict."""
        return self._call("answer_sprint_v1", dict, sprint_id=sprint_id, reply=reply)

    def ingest_reply(self, message: Mapping[str, Any], text: str) -> Row:
        """A mail without a specification that may answer our questions:
        {outcome: answered, no-question, duplicate or unknown-sender, message_id, sprint_id, run_id, sprints}.

        `no-question`: nothing was recorded, and the mailbox's cursor stays; the mail is something else.
        """
        return self._call("ingest_reply_v1", dict, message=message, text=text)

    def reserve_budget(self, run_id: str, max_usd: float) -> Row:
        """Set money and a place apart before a CI run is begun: {outcome: reserved, wait or refused, reserved_usd,
        code, reason, retry_after_seconds}. `max_usd` is for projects that do not say what a run may cost."""
        return self._call("reserve_budget_v1", dict, run_id=run_id, max_usd=max_usd)

    def postpone_outbox(self, outbox_id: str, lease_id: str, seconds: float, reason: str) -> Row:
        """A claimed row whose time has not come: {postponed, next_attempt_at}. The attempt does not count."""
        return self._call("postpone_outbox_v1", dict, id=outbox_id, lease_id=lease_id, seconds=seconds, reason=reason)

    def wake_sprints(self, limit: int = 100) -> list[str]:
        """Have paused sprints go on whose time has come; their new runs."""
        return self._call("wake_sprints_v1", list, limit=limit)

    def check_api_key(self, unverified_key: str) -> Row | None:
        """{key_id, organisation_id, project_id, name, scopes} of a live key; None for any other. It is not sent on."""
        hashed = hash_api_key(unverified_key)
        return None if hashed is None else self._look_up("check_api_key_v1", hash=hashed)

    def begin_request(self, caller: str, key: str, request_hash: str) -> Row:
        """Claim an idempotency key: {outcome: new, replay, in-progress or mismatch, status?, response?}.

        Only `new` may be served, and is then finished; `replay` carries the answer to give again.
        """
        return self._call("begin_request_v1", dict, caller=caller, key=key, request_hash=request_hash)

    def finish_request(
        self, caller: str, key: str, request_hash: str, status: int, response: Mapping[str, Any]
    ) -> bool:
        """Keep the answer for 24 hours; a 5xx is not kept. Whether this request held the key."""
        return self._call(
            "finish_request_v1",
            bool,
            caller=caller,
            key=key,
            request_hash=request_hash,
            status=status,
            response=dict(response),
        )

    def expire_rows(self, limit: int = 500) -> Row:
        """{rows: {table: deleted}, objects: [{bucket, path}] to be removed with `remove_objects`}."""
        return self._call("expire_rows_v1", dict, limit=limit)

    def remove_objects(self, bucket: str, paths: Sequence[str]) -> int:
        """Remove objects that retention has marked; how many went. Others, and those that are gone, are passed over."""

        def once() -> int:
            with translated(f"removing objects of {bucket}"):
                return len(self._client.storage.from_(bucket).remove(list(paths)))

        return patiently(once)
