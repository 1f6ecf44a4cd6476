"""What stands behind the tools: the verbs as the caller who has proven himself, a member by his own token."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from controlplane.errors import NotFound
from functions._shared.api.callers import ApiCaller, presenting
from functions.mcp.ports import KeyCalls, MembersCalls, Row

Found = TypeVar("Found")
MOST_EVENTS = 60
NOT_MEASURED_HERE = (
    "Nothing was measured for this answer: each verdict is what a finished run found in its commit, null where it "
    "is not there. To measure your own work, save a sprint's `dod` as dod.json and run, in a clone of the repository: "
    "aicd verify --repo . --base BRANCH --dod dod.json"
)


@dataclass(frozen=True)
class Desk:
    """One caller's. What is not his to see looks like what is not there: NotFound."""

    caller: ApiCaller
    keys: KeyCalls
    members: MembersCalls

    def list_specs(self, asked: dict[str, Any]) -> Row:
        limit = asked.pop("limit")
        rows = self._call(
            lambda: self.keys.search_specs(self.caller.as_json(), asked, limit),
            lambda: self.members.search_specs(asked, limit),
        )
        return {"specs": [dict(row) for row in rows]}

    def get_spec(self, spec_id: str) -> Row:
        row = self._call(
            lambda: self.keys.show_spec(self.caller.as_json(), spec_id), lambda: self.members.show_spec(spec_id)
        )
        shown = _there(row)
        artifacts = [{"run_id": one["run_id"], "kind": one["kind"], "name": one["name"]} for one in shown["artifacts"]]
        # The end of the story is what an agent asks for; its files are opened with the links of GET /specs/{id}.
        return {**shown, "artifacts": artifacts, "events": list(shown["events"])[-MOST_EVENTS:]}

    def get_plan(self, spec_id: str) -> Row:
        row = self._call(
            lambda: self.keys.show_plan(self.caller.as_json(), spec_id), lambda: self.members.show_plan(spec_id)
        )
        return _there(row)

    def check_dod(self, spec_id: str, sprint: str | None) -> Row:
        row = self._call(
            lambda: self.keys.show_dod(self.caller.as_json(), spec_id), lambda: self.members.show_dod(spec_id)
        )
        shown = _there(row)
        sprints = [one for one in shown["sprints"] if sprint in (None, one["label"])]
        if not sprints:
            raise NotFound(
                "This specification has no such sprint.",
                fix=f"It has: {', '.join(one['label'] for one in shown['sprints'])}.",
                code="sprint-not-found",
            )
        return {**shown, "sprints": sprints, "measured": NOT_MEASURED_HERE}

    def search_runs(self, asked: dict[str, Any]) -> Row:
        limit = asked.pop("limit")
        rows = self._call(
            lambda: self.keys.find_runs(self.caller.as_json(), asked, limit),
            lambda: self.members.find_runs(asked, limit),
        )
        return {"runs": [dict(row) for row in rows]}

    def note(self, spec_id: str, note: dict[str, Any]) -> Row:
        """Keeps an event of the specification. Raises NotAllowed and Conflict, as does `ask`."""
        self.caller.require("specs:write")
        given = {"id": str(uuid.uuid4()), **note}
        return self._call(
            lambda: self.keys.record_note(self.caller.as_json(), spec_id, given),
            lambda: self.members.record_note(spec_id, given),
        )

    def ask(self, spec_id: str, asked: dict[str, Any]) -> Row:
        """Has the requester asked by mail."""
        self.caller.require("specs:write")
        given = {"id": str(uuid.uuid4()), **asked}
        return self._call(
            lambda: self.keys.ask_about_spec(self.caller.as_json(), spec_id, given),
            lambda: self.members.ask_about_spec(spec_id, given),
        )

    def _call(self, by_key: Callable[[], Found], by_member: Callable[[], Found]) -> Found:
        if self.caller.token is None:
            return by_key()
        with presenting(self.caller.token):
            return by_member()


def _there(row: Row | None) -> Row:
    if row is None:
        raise NotFound(
            "There is no such specification for you.",
            fix="Check its id, and that your key or your role in its project is for reading it.",
            code="spec-not-found",
        )
    return dict(row)
