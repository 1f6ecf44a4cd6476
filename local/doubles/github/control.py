"""The GitHub double's own endpoints, under /_double/: repositories, tokens, runs for the runner, secrets, faults."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import BaseModel, ConfigDict
from starlette.routing import Route

from local.doubles.exchange import Call
from local.doubles.faults import ApiFaults, Fault
from local.doubles.github.nouns import App, Installation, Level, Repository, Run, Secret
from local.doubles.github.oidc import Issuer
from local.doubles.github.state import GitHubState, InvalidNameError, now
from local.doubles.server import RefusedControlError, control_route, parse_control, read_order
from local.doubles.signing import Signing
from local.doubles.validation import Problems

Path = Mapping[str, str]
Conclusion = Literal["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale"]


class RepositoryOrder(BaseModel):
    """`files` maps a path to its text, or to `{"base64": …}`."""

    model_config = ConfigDict(extra="forbid")
    owner: str
    name: str
    files: dict[str, str | dict[str, str]] = {}
    default_branch: str = "main"
    private: bool = True
    allow_auto_merge: bool = False
    merge_methods: tuple[Literal["merge", "squash", "rebase"], ...] = ("merge", "squash")
    requires_checks: bool = False


class TokenOrder(BaseModel):
    """`permissions` left out means all; `repositories` left out means every repository."""

    model_config = ConfigDict(extra="forbid")
    token: str | None = None
    permissions: dict[str, Level] | None = None
    repositories: tuple[str, ...] | None = None
    login: str = "aicd-bot[bot]"


class AppOrder(BaseModel):
    """An app, installed for `owner`: for all repositories of his, or only for `repositories`."""

    model_config = ConfigDict(extra="forbid")
    owner: str
    repositories: tuple[str, ...] | None = None
    permissions: dict[str, Level] = {"actions": "write", "metadata": "read"}
    slug: str = "aicd"


class RunOrder(BaseModel):
    """The runner's word on a run. `expected` makes it conditional, so that two runners never take the same run."""

    model_config = ConfigDict(extra="forbid")
    status: Literal["queued", "in_progress", "completed"]
    conclusion: Conclusion | None = None
    expected: str | None = None


class AccessOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    environment: str | None = None


class ForgeOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    run_id: int | None = None
    audience: str = ""
    claims: dict[str, Any] = {}
    header: dict[str, Any] = {}
    signing: Signing = "good"


class FaultOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    api: list[Fault] = []


class Controls:
    """Everything that a test, the demo or the runner asks of the double."""

    def __init__(self, state: GitHubState, issuer: Issuer, problems: Problems, faults: ApiFaults) -> None:
        self._state = state
        self._issuer = issuer
        self._problems = problems
        self._faults = faults

    def routes(self) -> list[Route]:
        secrets = "/repos/{owner}/{name}/secrets"
        return [
            control_route("/problems", "GET", lambda _call, _path: self._problems.as_documents()),
            control_route("/problems", "DELETE", lambda _call, _path: self._problems.clear()),
            control_route("/faults", "POST", self.plan_faults),
            control_route("/repos", "POST", self.create_repository),
            control_route("/tokens", "POST", self.create_token),
            control_route("/tokens/{token}", "DELETE", self.revoke_token),
            control_route("/apps", "POST", self.create_app),
            control_route("/runs", "GET", self.list_runs),
            control_route("/runs/{id}", "GET", lambda _call, path: self._show(self._run(path))),
            control_route("/runs/{id}", "POST", self.change_run),
            control_route("/runs/{id}/oidc", "POST", self.open_oidc),
            control_route("/oidc/token", "GET", lambda call, _path: self._issuer.token(call)),
            control_route("/oidc/forge", "POST", self.forge),
            control_route(secrets, "GET", self.list_secrets),
            control_route(f"{secrets}/{{secret}}", "PUT", self.put_secret),
            control_route(f"{secrets}/{{secret}}", "DELETE", self.delete_secret),
        ]

    def plan_faults(self, call: Call, _: Path) -> dict[str, Any]:
        order = read_order(FaultOrder, call)
        self._faults.plan(order.api)
        return order.model_dump(mode="json") | {"injected_so_far": self._faults.injected}

    def create_repository(self, call: Call, _: Path) -> dict[str, Any]:
        order = read_order(RepositoryOrder, call)
        files = {path: _content(path, content) for path, content in order.files.items()}
        try:
            repository, created = self._state.create_repository(
                order.owner, order.name, files, order.default_branch, private=order.private
            )
        except InvalidNameError as error:
            raise RefusedControlError(422, str(error)) from error
        if created:
            rules = order.model_dump(include={"allow_auto_merge", "merge_methods", "requires_checks"})
            with self._state.journal.transaction():
                repository = repository.model_copy(update=rules)
                self._state.repositories.put(repository.full_name.lower(), repository)
        head = self._state.git(repository).ref(f"refs/heads/{repository.default_branch}")
        shown = repository.model_dump(mode="json") | {"full_name": repository.full_name, "created": created}
        folder = str(self._state.git(repository).folder)
        urls = {"clone_url": f"{call.base_url}/{repository.full_name}.git", "path": folder}
        return shown | urls | {"head_sha": head}

    def create_token(self, call: Call, _: Path) -> dict[str, Any]:
        order = read_order(TokenOrder, call)
        token = self._state.create_token(order.token, order.permissions, order.repositories, order.login)
        return token.model_dump(mode="json")

    def revoke_token(self, _: Call, path: Path) -> dict[str, bool]:
        with self._state.journal.transaction():
            self._state.tokens.delete(path["token"])
        return {"revoked": True}

    def create_app(self, call: Call, _: Path) -> dict[str, Any]:
        """The private key is in this answer and nowhere else."""
        order = read_order(AppOrder, call)
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        journal = self._state.journal
        with journal.transaction():
            number = journal.next_number("app", first=900_001)
            app = App(
                id=number,
                client_id=f"Iv23li{number}",
                slug=order.slug,
                public_key=public.decode(),
                permissions=order.permissions,
            )
            self._state.apps.put(str(app.id), app)
            installed = Installation(
                id=journal.next_number("installation", first=50_000_001),
                app_id=app.id,
                owner=order.owner,
                repositories=order.repositories,
                created_at=now(),
            )
            self._state.installations.put(str(installed.id), installed)
        return {"id": app.id, "client_id": app.client_id, "installation": installed.id, "private_key": private.decode()}

    def list_runs(self, call: Call, _: Path) -> list[dict[str, Any]]:
        """Oldest first; `status` and `repository` narrow it."""
        status, repository = call.one("status"), call.one("repository")
        runs = [run for run in self._state.runs.values() if not status or run.status == status]
        return [self._show(run) for run in runs if not repository or run.repository.lower() == repository.lower()]

    def change_run(self, call: Call, path: Path) -> dict[str, Any]:
        order = read_order(RunOrder, call)
        if (order.status == "completed") is not (order.conclusion is not None):
            raise RefusedControlError(422, "a completed run has a conclusion, any other has none")
        with self._state.journal.transaction():
            run = self._run(path)
            if order.expected is not None and run.status != order.expected:
                raise RefusedControlError(409, f"the run is {run.status}, not {order.expected}")
            if run.status == "completed" and order.status != "completed":
                raise RefusedControlError(409, "the run is over")
            started = run.started_at or (now() if order.status == "in_progress" else None)
            changes = {
                "status": order.status,
                "conclusion": order.conclusion,
                "updated_at": now(),
                "started_at": started,
            }
            run = self._state.runs.put(str(run.id), run.model_copy(update=changes))
        return self._show(run)

    def open_oidc(self, call: Call, path: Path) -> dict[str, str]:
        return self._issuer.job_access(self._run(path), read_order(AccessOrder, call).environment)

    def forge(self, call: Call, _: Path) -> dict[str, str]:
        order = read_order(ForgeOrder, call)
        run = self._run({"id": str(order.run_id)}) if order.run_id is not None else None
        return {"token": self._issuer.forge(order.claims, order.header, order.signing, run, order.audience)}

    def list_secrets(self, _: Call, path: Path) -> dict[str, str]:
        name = self._repository(path).full_name
        return {secret.name: secret.value for secret in self._state.secrets.values() if secret.repository == name}

    def put_secret(self, call: Call, path: Path) -> dict[str, str]:
        """The body is `{"value": …}`; names are upper case, as GitHub keeps them."""
        value = parse_control(call).get("value")
        if not isinstance(value, str):
            raise RefusedControlError(422, 'give {"value": "…"}')
        secret = Secret(repository=self._repository(path).full_name, name=path["secret"].upper(), value=value)
        with self._state.journal.transaction():
            self._state.secrets.put(f"{secret.repository}#{secret.name}", secret)
        return {"name": secret.name}

    def delete_secret(self, _: Call, path: Path) -> dict[str, bool]:
        with self._state.journal.transaction():
            self._state.secrets.delete(f"{self._repository(path).full_name}#{path['secret'].upper()}")
        return {"deleted": True}

    def _show(self, run: Run) -> dict[str, Any]:
        owner, _, name = run.repository.partition("/")
        repository = self._state.repository(owner, name)
        folder = str(self._state.git(repository).folder) if repository else None
        default = {"default_branch": repository.default_branch if repository else None}
        ids = {"repository_id": repository.id, "repository_owner_id": repository.owner_id} if repository else {}
        return run.model_dump(mode="json") | default | ids | {"repository_path": folder}

    def _run(self, path: Path) -> Run:
        run = self._state.runs.get(path["id"])
        if run is None:
            raise RefusedControlError(404, "there is no such run")
        return run

    def _repository(self, path: Path) -> Repository:
        repository = self._state.repository(path["owner"], path["name"])
        if repository is None:
            raise RefusedControlError(404, "there is no such repository")
        return repository


def _content(path: str, content: str | dict[str, str]) -> bytes:
    steps = path.split("/")
    if not path or any(step in ("", ".", "..", ".git") for step in steps) or "\0" in path:
        raise RefusedControlError(422, f"{path!r} cannot be a path in a repository")
    if isinstance(content, str):
        return content.encode()
    try:
        return base64.b64decode(content["base64"], validate=True)
    except (KeyError, binascii.Error, ValueError) as error:
        raise RefusedControlError(422, f'{path}: give text or {{"base64": …}}') from error
