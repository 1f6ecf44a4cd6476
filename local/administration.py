"""The operator's verbs, called by the owner of the database over DB_URL.

In the cloud this is the connection string of the project's `postgres` role; nothing that runs unattended holds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from controlplane.errors import AicdError, OutsideError
from controlplane.store.outcomes import translate_api_error
from local.refusals import explain_missing, explain_rule

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10


class Administration:
    """One connection; use as a context manager. Raises OutsideError when the database cannot be reached."""

    def __init__(self, db_url: str) -> None:
        import psycopg

        try:
            self._connection = psycopg.connect(db_url, autocommit=True, connect_timeout=CONNECT_SECONDS)
        except psycopg.Error as error:
            raise OutsideError(
                "The database cannot be reached with DB_URL.",
                fix="Check the address and that the stack is up (aicd up).",
                code="database-unreachable",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self._connection.close()
        return False

    def create_project(self, project: Mapping[str, Any]) -> dict[str, Any]:
        """{repo, name?, organisation?, default_branch?, workflow?, policy?, repository_id?, repository_owner_id?}
        → the project with its project_id. Again with the same repo changes what is given.

        The two ids are GitHub's; without them no identity token is exchanged for a run of the project.
        """
        return dict(self._call("create_project_v1", json.dumps(dict(project))))

    def describe_projects(self, repo: str | None = None) -> list[dict[str, Any]]:
        """All projects with their policies by repository, or the one of a repository in a list."""
        return list(self._call("describe_projects_v1", repo))

    def change_policy(self, repo: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The project with {key: value} changed in its policy and keys that are None taken away. Raises NotFound."""
        return dict(self._call("change_policy_v1", repo, json.dumps(dict(changes)), at={"repo": repo}))

    def allow_sender(self, pattern: str, repo: str | None, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Let an address, or a domain as `*@example.com`, target a repository; None stands for every one.

        options: {daily_limit?, needs_approval?, budget_usd_day?, budget_usd_month?}; what is not there stays as it is.
        """
        return dict(self._call("allow_sender_v1", pattern, repo, json.dumps(dict(options or {})), at={"repo": repo}))

    def disallow_sender(self, pattern: str) -> int:
        """Take a pattern off the allow-list, for every repository; how many rows that were."""
        return int(self._call("disallow_sender_v1", pattern))

    def limit_answers(self, per_day: int) -> None:
        """How often one sender is told in a day that his mail was no good; 20 unless it is set."""
        self._call("limit_answers_v1", per_day)

    def create_mailbox(self, email: str) -> dict[str, Any]:
        return dict(self._call("create_mailbox_v1", email))

    def configure_mailbox(self, email: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """How its senders are proven: {verify_dkim?, authserv_id?}; None is as for all mailboxes. Raises NotFound."""
        return dict(self._call("configure_mailbox_v1", email, json.dumps(dict(settings))))

    def revoke_token(self, jti: str, reason: str) -> bool:
        """False when the token was revoked before. It is dead at once."""
        return bool(self._call("revoke_token_v1", jti, reason))

    def revoke_run_tokens(self, run_id: str, reason: str) -> int:
        """End every token that was exchanged for this run; how many lived."""
        return int(self._call("revoke_run_tokens_v1", run_id, reason))

    def list_outbox(self, state: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Rows in one state (PENDING, DONE, DEAD), or all that are not done; dead ones first."""
        return list(self._call("list_outbox_v1", state, str(limit)))

    def requeue_outbox(self, outbox_id: str) -> dict[str, Any]:
        """Have a row worked off now: {outcome: due, leased or replaced, run_id, row}.

        `replaced`: its run had failed, and its sprint has another one, `run_id`. Raises NotFound, and Conflict where
        there is nothing left to do.
        """
        return dict(self._call("requeue_outbox_v1", outbox_id))

    def drop_outbox(self, outbox_id: str, reason: str) -> dict[str, Any]:
        """Take a dead row away; the row as it was. Raises NotFound, and Conflict for a row that is not dead."""
        return dict(self._call("drop_outbox_v1", outbox_id, reason))

    def list_sprints(self, state: str | None = None, repo: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Sprints in one state, or all that are not over: approve_sprint's answer with repo, title, requester,
        created_at, questions, estimate and error."""
        return list(self._call("list_sprints_v1", state, repo, str(limit)))

    def approve_sprint(self, sprint_id: str) -> dict[str, Any]:
        """{sprint_id, spec_id, label, state, resume_at, run_id}. Raises NotFound, and Conflict where nothing waits."""
        return dict(self._call("approve_sprint_v1", sprint_id))

    def answer_sprint(self, sprint_id: str, reply: Mapping[str, Any]) -> dict[str, Any]:
        """The requester's answer that came another way than by mail: {id, text, answered_by}. Raises Conflict where no
        question waits; the same id again is the same answer."""
        return dict(self._call("answer_sprint_v1", sprint_id, json.dumps(dict(reply))))

    def retry_sprint(self, sprint_id: str) -> dict[str, Any]:
        """Another run of a sprint that FAILED or is PAUSED; the answer of `approve_sprint`."""
        return dict(self._call("retry_sprint_v1", sprint_id))

    def cancel_spec(self, spec_id: str, reason: str) -> dict[str, Any]:
        """End all that is not DONE of a specification: {spec_id, sprints}. Raises Conflict where everything is."""
        return dict(self._call("cancel_spec_v1", spec_id, reason))

    def create_api_key(self, key: Mapping[str, Any]) -> dict[str, Any]:
        """{name, scopes, repo or organisation, expires_in_seconds?} → its row with `key`, which is kept nowhere."""
        return dict(self._call("create_api_key_v1", json.dumps(dict(key)), at=key))

    def revoke_api_key(self, key_id: str, reason: str) -> bool:
        """False when the key was revoked before. It is dead at once. Raises NotFound."""
        return bool(self._call("revoke_api_key_v1", key_id, reason))

    def list_api_keys(self, repo: str | None = None) -> list[dict[str, Any]]:
        """Rows without their secrets, newest first; of one repository, or all."""
        return list(self._call("list_api_keys_v1", repo))

    def set_retention(self, kind: Literal["table", "bucket"], name: str, keep_days: int | None) -> dict[str, Any]:
        """How long a table's rows or a bucket's objects are kept; None for ever. docs/architecture.md names them."""
        return dict(self._call("set_retention_v1", kind, name, None if keep_days is None else str(keep_days)))

    def list_retention(self) -> list[dict[str, Any]]:
        """[{kind, name, keep_days, changed_at}] of everything that can expire; keep_days None: for ever."""
        return list(self._call("list_retention_v1"))

    def list_members(self, repo: str | None = None, organisation: str | None = None) -> list[dict[str, Any]]:
        """[{user_id, email, role, repo, organisation, created_at}]; repo None: of the whole organisation."""
        return list(self._call("list_members_v1", repo, organisation))

    def add_member(self, member: Mapping[str, Any]) -> dict[str, Any]:
        """{email or user_id, repo or organisation, role} → {user_id, role, was}. Raises NotFound, CallerError."""
        return dict(self._call("add_member_v1", json.dumps(dict(member)), at=member))

    def remove_member(self, member: Mapping[str, Any]) -> bool:
        """{email or user_id, repo or organisation}; False when he did not belong there."""
        return bool(self._call("remove_member_v1", json.dumps(dict(member)), at=member))

    def list_senders(self, repo: str | None = None) -> list[dict[str, Any]]:
        """The allow-list: [{pattern, repo, daily_limit, needs_approval, budget_usd_day, budget_usd_month}]."""
        return list(self._call("list_senders_v1", repo))

    def list_spending(self, since: str, repo: str | None = None) -> list[dict[str, Any]]:
        """[{repo, requester, kind, model, calls, cost_usd, input_tokens, output_tokens}] since a day (YYYY-MM-DD)."""
        return list(self._call("list_spending_v1", since, repo))

    def configure_webhook(self, kind: str, url: str, secret: str) -> None:
        """Where the cloud's database webhook goes for one kind of outbox row."""
        self._call("configure_webhook_v1", kind, url, secret)

    def _call(self, verb: str, *arguments: str | int | None, at: Mapping[str, Any] | None = None) -> Any:
        """`at` names the `repo` or `organisation` that it is about, for words that name it, too."""
        import psycopg
        from psycopg import sql

        statement = sql.SQL("select public.{}({})").format(
            sql.Identifier(verb), sql.SQL(", ").join(sql.Placeholder() * len(arguments))
        )
        try:
            row = self._connection.execute(statement, arguments).fetchone()
        except psycopg.Error as error:
            place = at or {}
            told = _translate(verb, error)
            raise explain_missing(told, place.get("repo"), place.get("organisation")) from error
        return row[0] if row else None


def _translate(verb: str, error: psycopg.Error) -> AicdError:
    import psycopg

    if isinstance(error, psycopg.errors.IntegrityError):
        constraint = error.diag.constraint_name or "a rule of the table"
        return explain_rule(verb, constraint)
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return OutsideError("The database connection was lost.", fix="Try again.", code="database-unreachable")
    return translate_api_error(
        verb, error.sqlstate, error.diag.message_primary, error.diag.message_detail, error.diag.message_hint
    )
