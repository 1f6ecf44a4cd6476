"""Starts every part of the embedded stack, and ends all of it again.

The order is the shortest one: the database while the doubles start, then gateway and functions together. Whatever
happens to this process, the warden leaves nothing of the stack behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from controlplane.errors import OutsideError
from local.stack.double_setup import prepare_github, prepare_mailbox, read_problems
from local.stack.identity import PUSH_ACCOUNT, StackIdentity, make_secret, save_identity
from local.stack.places import REPOSITORY_ROOT, make_private, shipped
from local.stack.ports import choose_ports
from local.stack.processes import Child, start_child
from local.stack.runner import Runner, choose_mode
from local.stack.warden import MARKER, Warden
from local.stack.webhook import Relay

STOP_SECONDS = 8.0
TOKEN_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class StackOptions:
    """`ephemeral` deletes the data at the end; `fixed_ports` tries the Supabase CLI's numbers first.

    `variables` and `secrets` are what an organisation's are at GitHub; the stack adds its own addresses.
    `runner_environment` is what the operator of a self-hosted runner puts into its environment.
    `planner` says that the jobs can plan letters; without, a letter is answered at the door. `messages_double` starts
    the double of the Messages API, for jobs that think without a key.
    """

    data: Path
    ephemeral: bool = False
    fixed_ports: bool = True
    state_file: Path | None = None
    pg_bin: Path | None = None
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    runner_environment: dict[str, str] = field(default_factory=dict)
    planner: bool = False
    messages_double: bool = False


class Stack:
    """A running stack. Use it as a context manager, from the main thread (the database dies with that thread)."""

    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self._id = f"stack-{uuid.uuid4()}"
        self._children: list[Child] = []
        self._closing = contextlib.ExitStack()
        self.identity: StackIdentity

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise OutsideError when a part died, naming it and the end of its log."""
        for child in self._children:
            if not child.is_running():
                raise OutsideError(f"The stack's part '{child.name}' ended: {child.tail()}", fix=f"See {child.log}.")

    def problems(self) -> list[str]:
        """What the doubles saw that the published schemas do not allow. Never empty silently: see `aicd demo`."""
        return read_problems(self.identity, [child.name for child in self._children])

    def stop(self) -> None:
        """End every part within STOP_SECONDS; twice is fine."""
        deadline = time.monotonic() + STOP_SECONDS
        children, self._children = self._children, []
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop(deadline)
        self._closing.close()

    def _start(self) -> None:
        options = self._options
        data = make_private(options.data, traversable=True)
        logs = make_private(data / "logs")
        os.environ[MARKER] = self._id  # every child inherits it; the warden finds them by it
        warden = Warden(self._id, (data,) if options.ephemeral else ())
        self._closing.callback(warden.dismiss)
        ports = choose_ports(fixed=options.fixed_ports)
        secrets = self._secrets(data)
        self._start_part(
            "google",
            ["-m", "local.doubles.google"],
            logs,
            ports,
            {
                "AICD_GOOGLE_DOUBLE_PORT": str(ports["google"]),
                "AICD_GOOGLE_DOUBLE_STATE": str(make_private(data / "google")),
                "AICD_GOOGLE_PUSH_ENDPOINT": f"http://127.0.0.1:{ports['gmail-push']}/",
                "AICD_GOOGLE_PUSH_AUDIENCE": f"http://127.0.0.1:{ports['gmail-push']}/",
                "AICD_GOOGLE_PUSH_SERVICE_ACCOUNT": PUSH_ACCOUNT,
            },
        )
        self._start_part(
            "github",
            ["-m", "local.doubles.github"],
            logs,
            ports,
            {
                "AICD_GITHUB_DOUBLE_PORT": str(ports["github"]),
                "AICD_GITHUB_DOUBLE_STATE": str(make_private(data / "github")),
            },
        )
        if options.messages_double:
            own = {"AICD_ANTHROPIC_DOUBLE_PORT": str(ports["anthropic"])}
            self._start_part("anthropic", ["-m", "local.doubles.anthropic"], logs, ports, own)
        authenticator_dsn, db_url = self._start_database(data, ports)
        self.identity = self._identify(ports, data, db_url, secrets)
        self._start_part("api", ["-m", "local.gateway"], logs, ports, self._gateway_environment(authenticator_dsn))
        self._wait("google", "github")
        prepare_github(self.identity)
        self._start_functions(logs, ports, prepare_mailbox(self.identity))
        self._wait(*ports.keys() - {"db"})
        relay = Relay(self.identity, db_url)
        relay.post("tick", {"id": None, "kind": "tick"})  # the first tick watches the mailbox
        relay.start()
        self._closing.callback(relay.stop)
        variables = {
            "AICD_SUPABASE_URL": self.identity.url("api"),
            "AICD_SUPABASE_PUBLISHABLE_KEY": self.identity.publishable_key,
            "AICD_TOKEN_URL": self.identity.url("runner-token"),
            **options.variables,
        }
        jobs = make_private(data / "runner", traversable=True)
        runner = Runner(
            self.identity, choose_mode(), jobs, variables, self._runner_environment(), secrets=options.secrets
        )
        runner.start()
        self._closing.callback(runner.stop)
        if options.state_file is not None:
            save_identity(self.identity, options.state_file)
            self._closing.callback(options.state_file.unlink, missing_ok=True)

    def _runner_environment(self) -> dict[str, str]:
        """The double's address, where it stands in for the model; the operator's own word goes before it."""
        double = {"ANTHROPIC_BASE_URL": self.identity.url("anthropic")} if self._options.messages_double else {}
        return {**double, **self._options.runner_environment}

    def _secrets(self, data: Path) -> dict[str, str]:
        """Keys that must survive a restart of the stack on the same data; what is new in this version is added."""

        from local.gateway.keys import generate_signing_jwk

        kept = data / "secrets.json"
        known: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
        secrets = {
            "signing_jwk": json.dumps(generate_signing_jwk()),
            "publishable_key": make_secret("sb_publishable_"),
            "secret_key": make_secret("sb_secret_"),
            "github_token": make_secret("ghs_"),
            "outbox_secret": make_secret(),
            "github_webhook_secret": make_secret(),
            **known,
        }
        kept.touch(mode=0o600)
        kept.write_text(json.dumps(secrets))
        return secrets

    def _start_database(self, data: Path, ports: dict[str, int]) -> tuple[str, str]:
        from local.postgres.bootstrap import bootstrap
        from local.postgres.database import start_database

        database = start_database(
            data / "postgres", ephemeral=self._options.ephemeral, pg_bin=self._options.pg_bin, port=ports["db"]
        )
        self._closing.callback(database.stop)
        bootstrap(database, shipped("supabase/migrations"))
        return database.authenticator_dsn, database.owner_url

    def _identify(self, ports: dict[str, int], data: Path, db_url: str, secrets: dict[str, str]) -> StackIdentity:

        from local.gateway.keys import mint_jwt

        jwk = json.loads(secrets["signing_jwk"])
        return StackIdentity(
            id=self._id,
            pid=os.getpid(),
            ports=ports,
            data=str(data),
            db_url=db_url,
            signing_jwk=jwk,
            publishable_key=secrets["publishable_key"],
            secret_key=secrets["secret_key"],
            anon_jwt=mint_jwt(jwk, {"role": "anon"}, TOKEN_SECONDS),
            service_jwt=mint_jwt(jwk, {"role": "service_role"}, TOKEN_SECONDS),
            github_token=secrets["github_token"],
            outbox_secret=secrets["outbox_secret"],
            github_webhook_secret=secrets["github_webhook_secret"],
            runner=choose_mode(),
        )

    def _gateway_environment(self, authenticator_dsn: str) -> dict[str, str]:

        identity = self.identity
        return {
            "AICD_GATEWAY_PORT": str(identity.ports["api"]),
            "AICD_GATEWAY_DSN": authenticator_dsn,
            "AICD_GATEWAY_STORAGE_DIR": str(make_private(Path(identity.data) / "storage")),
            "AICD_GATEWAY_PUBLISHABLE_KEY": identity.publishable_key,
            "AICD_GATEWAY_SECRET_KEY": identity.secret_key,
            "AICD_GATEWAY_SIGNING_JWK": json.dumps(identity.signing_jwk),
            "AICD_GATEWAY_PUBLIC_URL": identity.url("api"),
        }

    def _start_functions(self, logs: Path, ports: dict[str, int], grant: dict[str, str]) -> None:
        from local.stack.functions import function_command, function_environments

        environments = function_environments(self.identity, grant, plans_letters=self._options.planner)
        for name, own in environments.items():
            self._start_part(name, function_command(name, ports[name]), logs, ports, own)

    def _start_part(
        self, name: str, arguments: list[str], logs: Path, ports: dict[str, int], own: dict[str, str]
    ) -> None:
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(REPOSITORY_ROOT),
            "PYTHONUNBUFFERED": "1",
            MARKER: self._id,
            **own,
        }
        child = start_child(
            name, [sys.executable, *arguments], environ=environ, log_folder=logs, port=ports[name], cwd=logs
        )
        self._children.append(child)

    def _wait(self, *names: str) -> None:
        for child in self._children:
            if child.name in names:
                child.wait_until_listening()
