"""The runner's side of the database: one method per verb of role aicd_runner, for the one run of its token.

Arguments and answers are those of docs/architecture.md, "Verbs". Every method raises OutsideError when Supabase cannot
be reached, NotAuthenticated when the token is dead, NotFound when the run is not the token's, and NotAllowed when the
token's scope is the other half's.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controlplane.errors import Conflict
from controlplane.store.calls import Caller
from controlplane.store.functions import ARTIFACTS, SPECS

Row = dict[str, Any]
SESSIONS = "sessions"
MOST_SESSIONS = 9


class RunnerStore(Caller):
    """The action speaks to Supabase through this."""

    def start_run(self, run_id: str, ci_run_id: str, ci_attempt: int) -> Row:
        """Asks to be let in; look at `outcome` before doing anything else."""
        return self._call("start_run_v1", dict, run_id=run_id, ci_run_id=ci_run_id, ci_attempt=ci_attempt)

    def record_event(
        self, run_id: str, phase: str, message: str, metadata: Mapping[str, Any], event_id: str | None = None
    ) -> str:
        """The event's id. It is made up before the first try, so that a repeated call is one event."""
        event_id = event_id or str(uuid.uuid4())
        arguments = {"run_id": run_id, "phase": phase, "message": message, "metadata": metadata, "event_id": event_id}
        return self._call("record_event_v1", str, **arguments)

    def search_runs(self, run_id: str, query: str = "", limit: int = 5) -> list[Row]:
        """Finished runs of this run's own specification that hold every word of the query, newest first."""
        return self._call("search_runs_v1", list, run_id=run_id, query=query, limit=limit)

    def record_execution(self, run_id: str, execution: Mapping[str, Any]) -> str:
        """The execution's id. Written at its start and again at its end, when `id` is given."""
        execution = {"id": str(uuid.uuid4()), **execution}
        return self._call("record_execution_v1", str, run_id=run_id, execution=execution)

    def record_artifact(self, run_id: str, artifact: Mapping[str, Any]) -> str:
        """The artifact's id. Store its bytes first: a row never names an object that is not there."""
        return self._call("record_artifact_v1", str, run_id=run_id, artifact=artifact)

    def record_artifacts(self, run_id: str, artifacts: Sequence[Mapping[str, Any]]) -> list[str]:
        """Their ids, as `record_artifact` each; one that is refused refuses all."""
        return self._call("record_artifacts_v1", list, run_id=run_id, artifacts=list(artifacts))

    def describe_earlier_run(self, run_id: str, base: str) -> Row | None:
        """The figures of the run that made `base`, else of the last one that passed for the same branch."""
        return self._look_up("describe_earlier_run_v1", run_id=run_id, base=base)

    def record_pull_request(self, run_id: str, pull_request: Mapping[str, Any]) -> None:
        """Without a `url` only branch and commit are recorded."""
        self._call("record_pull_request_v1", object, run_id=run_id, pull_request=pull_request)

    def keep_session(self, run_id: str, session: Mapping[str, Any] | None) -> Row:
        """Say where the sprint goes on if this run breaks off; nothing ends by it. None: the sprint begins anew.

        What was named before is removed. With `is_spent` in it, it is forgotten as soon as the run's verdict says no.
        """
        return self._call("keep_session_v1", dict, run_id=run_id, session=session)

    def pause_run(
        self, run_id: str, resume_at: str | None, reason: str, session: Mapping[str, Any] | None = None
    ) -> Row:
        """End this run without a verdict; its sprint goes on at `resume_at` (ISO 8601) with another run, which finds
        `session` in its start; without one, what was kept before. {run_id, sprint_id, resume_at}; a time that has
        passed becomes the next minute, and None one that grows from pause to pause. Raises Conflict
        (`too-many-pauses`) where the project's patience is at its end: then the run is still open."""
        return self._call(
            "pause_run_v1", dict, run_id=run_id, resume_at=resume_at, reason=reason, session=session or {}
        )

    def record_plan(self, run_id: str, plan: Mapping[str, Any]) -> Row:
        """Keep the plan of a sprint that has none: {sprints, confidence, estimate, questions, model, prompt_sha256}.

        {outcome: planned or needs-approval, sprints: [{sprint_id, label, state}]}. `planned`: this run goes on with the
        first sprint. `needs-approval`: this run has ended. Raises Conflict when the sprint has another plan.
        """
        return self._call("record_plan_v1", dict, run_id=run_id, plan=plan)

    def ask_requester(
        self, run_id: str, questions: Sequence[Mapping[str, Any]], session: Mapping[str, Any] | None = None
    ) -> Row:
        """End this run and ask by mail: questions are [{id, text, blocking}], at most twenty. {run_id, sprint_id}.

        The answer begins another run, which finds `session` (without one, what was kept before), the questions and the
        answers in its start.
        """
        return self._call("ask_requester_v1", dict, run_id=run_id, questions=list(questions), session=session or {})

    def keep_answer(self, run_id: str, key: str, answer: Mapping[str, Any]) -> None:
        """What a model answered to the question with the SHA-256 `key`, for the sprint's next planning."""
        self._call("keep_answer_v1", object, run_id=run_id, key=key, answer=answer)

    def find_answer(self, run_id: str, key: str) -> Row | None:
        """What an earlier planning of this run's sprint kept under `key`; None where there is nothing."""
        return self._look_up("find_answer_v1", run_id=run_id, key=key)

    def forget_answers(self, run_id: str) -> None:
        """Drop what plannings of this run's sprint kept: no plan came of it."""
        self._call("forget_answers_v1", object, run_id=run_id)

    def record_cost(self, run_id: str, entry: Mapping[str, Any]) -> Row:
        """One call's cost: {id, kind, model, cost_usd, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens}.

        {id, left_usd}, where None stands for no limit. The same id is one entry, so make it up before the first try.
        Money as text, int or float; a run that has ended takes it, too.
        """
        return self._call("record_cost_v1", dict, run_id=run_id, entry=entry)

    def read_budget(self, run_id: str) -> Row:
        """{left_usd: number or None, limits: [{scope, period, limit_usd, spent_usd, reserved_usd, left_usd}],
        spent_usd, run_open, spec_cancelled}. Ask before each iteration; a run that is not open any more has to stop.
        `spent_usd` is this run's, whichever attempt of its CI run spent it."""
        return self._call("read_budget_v1", dict, run_id=run_id)

    def finish_run(self, run_id: str, result: str, summary: Mapping[str, Any]) -> Row:
        """Raises Conflict when the run has already ended with the other result."""
        return self._call("finish_run_v1", dict, run_id=run_id, result=result, summary=summary)

    def get_spec(self, spec_id: str) -> bytes:
        """The specification as received. Raises NotFound."""
        return self._get(SPECS, f"{spec_id}/source")

    def put_artifact(self, run_id: str, artifact_id: str, content: bytes | Path, content_type: str) -> str:
        """Store an artifact's bytes; its path, for record_artifact. Raises Conflict when other bytes have this id."""
        path = f"{run_id}/{artifact_id}"
        self._put(ARTIFACTS, path, content, content_type)
        return path

    def put_session(self, sprint_id: str, run_id: str, content: bytes | Path, after: str = "") -> str:
        """Store what the agent leaves for the run that goes on, at most 50 MB; its path, for keep_session and the like.

        While the run is open: do it first. A run has nine keys, and what is stored is never written over: the first
        free one behind `after`, the key that was used last, is taken. Raises Conflict where none is free.
        """
        first = f"{sprint_id}/{run_id}"
        paths = [first, *(f"{first}.{number}" for number in range(2, MOST_SESSIONS + 1))]
        used = paths.index(after) + 1 if after in paths else 0
        *others, last = [path for path in paths[used:] + paths[:used] if path != after]
        for path in others:
            try:
                return self._put_session(path, content)
            except Conflict:
                continue
        return self._put_session(last, content)

    def _put_session(self, path: str, content: bytes | Path) -> str:
        self._put(SESSIONS, path, content, "application/gzip")
        return path

    def get_session(self, path: str) -> bytes:
        """What an earlier run of the same sprint left, by the path that it kept in its session. Raises NotFound."""
        return self._get(SESSIONS, path)

    def sign_artifact(self, path: str, seconds: int, download_name: str) -> str:
        """A link that needs no token and ends after so many seconds."""
        return self._sign(ARTIFACTS, path, seconds, download_name)
