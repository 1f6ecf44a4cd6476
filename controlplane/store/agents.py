"""What people's own agents read and say of a specification: for keys in FunctionsStore, for members in MemberCalls.

A note and a round of questions have an id that the caller makes up: the same id again is the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.store.calls import Caller

Row = dict[str, Any]


class AgentCalls(Caller):
    """Part of FunctionsStore. A `caller` is {kind, id}, proven by the function."""

    def show_dod(self, caller: Mapping[str, str], spec_id: str) -> Row | None:
        """{id, sprints: [{label, state, dod, verdict, open_run_id}]}; None for what the caller may not see."""
        return self._look_up("show_dod_for_v1", caller=caller, spec_id=spec_id)

    def record_note(self, caller: Mapping[str, str], spec_id: str, note: Mapping[str, Any]) -> Row:
        """{event_id}. `note` is {id, kind: progress, text} or {id, kind: decision, title, reason}. Raises NotFound,
        NotAllowed, Conflict."""
        return self._call("record_note_for_v1", dict, caller=caller, spec_id=spec_id, note=note)

    def ask_about_spec(self, caller: Mapping[str, str], spec_id: str, asked: Mapping[str, Any]) -> Row:
        """{sprint_id, label, state, questions}. `asked` is {id, questions: [{text, blocking}], sprint?}. Raises
        NotFound, NotAllowed, and Conflict where nobody can be asked now."""
        return self._call("ask_about_spec_for_v1", dict, caller=caller, spec_id=spec_id, asked=asked)


class MemberAgentCalls(Caller):
    """Part of MemberCalls: the same under the member's own token."""

    def show_dod(self, spec_id: str) -> Row | None:
        return self._look_up("show_dod_v1", spec_id=spec_id)

    def record_note(self, spec_id: str, note: Mapping[str, Any]) -> Row:
        return self._call("record_note_v1", dict, spec_id=spec_id, note=note)

    def ask_about_spec(self, spec_id: str, asked: Mapping[str, Any]) -> Row:
        return self._call("ask_about_spec_v1", dict, spec_id=spec_id, asked=asked)
