"""What stands behind the tools: reads as the caller who has proven himself, a member by his own token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from controlplane.errors import NotFound
from functions._shared.api.callers import ApiCaller, presenting

Row = Mapping[str, Any]
Found = TypeVar("Found")
MOST_EVENTS = 60


class KeyReads(Protocol):
    """What an API key's reads need."""

    def search_specs(self, caller: Mapping[str, str], wanted: Row, limit: int) -> Sequence[Row]: ...

    def show_spec(self, caller: Mapping[str, str], spec_id: str) -> Row | None: ...

    def show_plan(self, caller: Mapping[str, str], spec_id: str) -> Row | None: ...

    def find_runs(self, caller: Mapping[str, str], wanted: Row, limit: int) -> Sequence[Row]: ...


class MemberReads(Protocol):
    """The same with a client that presents the member's own token."""

    def search_specs(self, wanted: Row, limit: int) -> Sequence[Row]: ...

    def show_spec(self, spec_id: str) -> Row | None: ...

    def show_plan(self, spec_id: str) -> Row | None: ...

    def find_runs(self, wanted: Row, limit: int) -> Sequence[Row]: ...


@dataclass(frozen=True)
class Desk:
    """One caller's. What is not his to see looks like what is not there: NotFound."""

    caller: ApiCaller
    keys: KeyReads
    members: MemberReads

    def list_specs(self, asked: dict[str, Any]) -> Row:
        limit = asked.pop("limit")
        rows = self._read(
            lambda: self.keys.search_specs(self.caller.as_json(), asked, limit),
            lambda: self.members.search_specs(asked, limit),
        )
        return {"specs": [dict(row) for row in rows]}

    def get_spec(self, spec_id: str) -> Row:
        row = self._read(
            lambda: self.keys.show_spec(self.caller.as_json(), spec_id), lambda: self.members.show_spec(spec_id)
        )
        shown = _there(row)
        artifacts = [{"run_id": one["run_id"], "kind": one["kind"], "name": one["name"]} for one in shown["artifacts"]]
        # The end of the story is what an agent asks for; its files are opened with the links of GET /specs/{id}.
        return {**shown, "artifacts": artifacts, "events": list(shown["events"])[-MOST_EVENTS:]}

    def get_plan(self, spec_id: str) -> Row:
        row = self._read(
            lambda: self.keys.show_plan(self.caller.as_json(), spec_id), lambda: self.members.show_plan(spec_id)
        )
        return _there(row)

    def search_runs(self, asked: dict[str, Any]) -> Row:
        limit = asked.pop("limit")
        rows = self._read(
            lambda: self.keys.find_runs(self.caller.as_json(), asked, limit),
            lambda: self.members.find_runs(asked, limit),
        )
        return {"runs": [dict(row) for row in rows]}

    def _read(self, by_key: Callable[[], Found], by_member: Callable[[], Found]) -> Found:
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
