"""POST: an answer to what a specification's sprints wait to be told."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane import ids
from controlplane.errors import NotAllowed
from functions._shared.api.asked import NewAnswer
from functions._shared.api.callers import ApiCaller
from functions._shared.api.idempotency import origin_of
from functions._shared.api.jsonbody import parse_body
from functions._shared.api.ports import AnswerStore
from functions._shared.api.told import AnsweredSpec
from functions._shared.api.views import as_json, build, path_of
from functions._shared.endpoint import Call, CallerNotAllowed
from functions._shared.envelope import Answer


@dataclass(frozen=True)
class Answering:
    """Whoever may have something built in the project may answer, whatever door the specification came by."""

    store: AnswerStore

    def post_answer(self, call: Call, caller: ApiCaller, spec_id: str) -> Answer:
        """POST /specs/{id}/answers."""
        asked = parse_body(NewAnswer, call)
        reply = {"id": ids.answer_id(spec_id, origin_of(call, caller)), **asked.model_dump(exclude_none=True)}
        try:
            told = self.store.answer_spec(caller.as_json(), spec_id, reply)
        except NotAllowed as error:
            if error.code != "not-developer":
                raise
            raise CallerNotAllowed(error.message, error.fix, error.code) from error
        facts = {**told, "spec_id": told["id"], "links": {"self": path_of(spec_id)}}
        return Answer(data=as_json(build(AnsweredSpec, facts)))
