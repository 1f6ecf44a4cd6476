"""The functions' verbs behind the API: who calls, what he hands in, what he is shown. Part of FunctionsStore.

A `caller` is {kind: key, user or webhook, id}, proven by the function; what he may is looked up in each verb.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from controlplane.api_keys import hash_api_key
from controlplane.errors import OutsideError
from controlplane.store.agents import MemberAgentCalls
from controlplane.store.calls import Caller
from controlplane.store.outcomes import translated
from controlplane.store.patience import patiently

if TYPE_CHECKING:
    from controlplane.store.client import Client

Row = dict[str, Any]
SPECS = "specs"
ARTIFACTS = "artifacts"


class SubmissionCalls(Caller):
    """Part of FunctionsStore."""

    def open_key_call(self, unverified_key: str) -> Row | None:
        """check_api_key's answer with `caller` and `limit` {allowed, limit, remaining, retry_after_seconds}; None for a
        key that does not count. The call is counted."""
        hashed = hash_api_key(unverified_key)
        return None if hashed is None else self._look_up("open_key_call_v1", hash=hashed)

    def open_webhook_call(self, source: str, signed: str, signatures: Sequence[str]) -> Row | None:
        """{caller, name, limit} where one of the signatures is the source's own for `signed`, base64 of
        id.timestamp.body; else None. The call is counted."""
        return self._look_up("open_webhook_call_v1", source=source, signed=signed, signatures=list(signatures))

    def check_submission(self, caller: Mapping[str, str], spec: Mapping[str, Any]) -> Row:
        """{outcome: ready, accepted, duplicate or why not, reason, spec}, before anything is stored."""
        return self._call("check_submission_v1", dict, caller=caller, spec=spec)

    def submit_spec(self, caller: Mapping[str, str], spec: Mapping[str, Any]) -> Row:
        """As `check_submission`, and takes it in. Store the object first."""
        return self._call("submit_spec_v1", dict, caller=caller, spec=spec)

    def answer_spec(self, caller: Mapping[str, str], spec_id: str, reply: Mapping[str, Any]) -> Row:
        """{id, repo, sprints: [{id, label, position, state, run_id}]}: those that go on. `reply` is {id, text,
        sprint?}. Raises NotFound, NotAllowed, and Conflict where nothing waits."""
        return self._call("answer_spec_v1", dict, caller=caller, spec_id=spec_id, reply=reply)

    def begin_upload(self, caller: Mapping[str, str], upload: Mapping[str, Any]) -> Row:
        """Announce an upload; the same id again is the same upload. Raises Conflict when too many are open."""
        return self._call("begin_upload_v1", dict, caller=caller, upload=upload)

    def describe_upload(self, caller: Mapping[str, str], upload_id: str) -> Row | None:
        """None for what is not the caller's, not there, or over."""
        return self._look_up("describe_upload_v1", caller=caller, id=upload_id)

    def sign_spec_upload(self, spec_id: str) -> Row:
        """{url, token, path}: whoever holds it stores the object once. Raises Conflict when it is stored already."""
        path = f"{spec_id}/source"

        def once() -> Row:
            with translated("signing an upload"):
                given = self._client.storage.from_(SPECS).create_signed_upload_url(path)
            return {"url": str(given["signed_url"]), "token": str(given["token"]), "path": path}

        return patiently(once)

    def search_specs(self, caller: Mapping[str, str], wanted: Mapping[str, Any], limit: int) -> list[Row]:
        return self._call("search_specs_for_v1", list, caller=caller, filter=wanted, limit=limit)

    def show_spec(self, caller: Mapping[str, str], spec_id: str) -> Row | None:
        return self._look_up("show_spec_for_v1", caller=caller, spec_id=spec_id)

    def show_plan(self, caller: Mapping[str, str], spec_id: str) -> Row | None:
        return self._look_up("show_plan_for_v1", caller=caller, spec_id=spec_id)

    def find_runs(self, caller: Mapping[str, str], wanted: Mapping[str, Any], limit: int) -> list[Row]:
        return self._call("find_runs_for_v1", list, caller=caller, filter=wanted, limit=limit)

    def record_github_event(self, delivery_id: str, event: Mapping[str, Any]) -> Row:
        """{outcome: recorded, known, replayed, unknown-repository or unknown-run, run_id}."""
        return self._call("record_github_event_v1", dict, delivery_id=delivery_id, event=event)

    def sign_artifacts(self, named: Mapping[str, str], seconds: int) -> dict[str, str]:
        """Links by storage path, from {storage path: name to save as}, in one request. What is gone has none."""
        return sign_many(self._client, ARTIFACTS, named, seconds)


class MemberCalls(MemberAgentCalls):
    """The same for a person with an account: made with a client that presents his own token, under his policies."""

    def open_member_call(self) -> Row:
        """{caller, user_id, email, limit}. Raises NotAuthenticated and NotAllowed for a token that does not count."""
        return self._call("open_member_call_v1", dict)

    def search_specs(self, wanted: Mapping[str, Any], limit: int) -> list[Row]:
        return self._call("search_specs_v1", list, filter=wanted, limit=limit)

    def show_spec(self, spec_id: str) -> Row | None:
        return self._look_up("show_spec_v1", spec_id=spec_id)

    def show_plan(self, spec_id: str) -> Row | None:
        return self._look_up("show_plan_v1", spec_id=spec_id)

    def find_runs(self, wanted: Mapping[str, Any], limit: int) -> list[Row]:
        return self._call("find_runs_v1", list, filter=wanted, limit=limit)

    def sign_artifacts(self, named: Mapping[str, str], seconds: int) -> dict[str, str]:
        """As for the functions; only what the member may read."""
        return sign_many(self._client, ARTIFACTS, named, seconds)


def sign_many(client: Client, bucket: str, named: Mapping[str, str], seconds: int) -> dict[str, str]:
    """One request for all; the names to save as are put on by us, for Storage takes one name for all."""
    if not named:
        return {}

    def once() -> dict[str, str]:
        with translated(f"signing links to {bucket}"):
            signed = client.storage.from_(bucket).create_signed_urls(list(named), seconds)
        links = {str(link["path"]): str(link["signedURL"]) for link in signed if not link["error"]}
        if any("token" not in parse_qs(urlsplit(link).query) for link in links.values()):
            raise OutsideError("Storage signed a link without a token.", fix="Try again.", code="answer-unreadable")
        return {path: f"{link}&download={quote(named[path], safe='')}" for path, link in links.items() if path in named}

    return patiently(once)
