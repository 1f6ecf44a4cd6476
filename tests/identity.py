"""A job on the GitHub double that may ask for an ID token, and the rule by which the Claude API's double trusts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from action.build.agents.claude.key import Credential, credential_of
from action.settings import Settings, read_settings
from local.doubles.anthropic import Federation
from tests.contract.doubles.conftest import Double

ORGANIZATION = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
RULE = "fdrl_01Build"
ACCOUNT = "svac_01Builder"
WORKFLOW = "on:\n  workflow_dispatch: {}\nname: aicd\njobs: {}\n"


@dataclass(frozen=True)
class Job:
    """`access` is what the runner tells a job that may ask for an ID token."""

    access: dict[str, str]
    issuer: str
    keys: tuple[dict[str, Any], ...]

    def trusted(self, **changes: Any) -> Federation:
        given: dict[str, Any] = {
            "rule": RULE,
            "organization": ORGANIZATION,
            "service_account": ACCOUNT,
            "issuer": self.issuer,
            "keys": self.keys,
            "subject": "repo:acme@*",
        }
        return Federation(**given | changes)

    def environment(self, url: str, **changes: str) -> dict[str, str]:
        """What the verb is told, as action.yml and the runner tell it."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": self.access["url"],
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.access["token"],
            "AICD_ANTHROPIC_FEDERATION_RULE_ID": RULE,
            "AICD_ANTHROPIC_ORGANIZATION_ID": ORGANIZATION,
            "AICD_ANTHROPIC_SERVICE_ACCOUNT_ID": ACCOUNT,
            "ANTHROPIC_BASE_URL": url,
            **changes,
        }

    def settings(self, url: str, **changes: str) -> Settings:
        return read_settings(self.environment(url, **changes))

    def credential(self, url: str, secrets: list[str], **changes: str) -> Credential:
        found = credential_of(self.settings(url, **changes), secrets.append)
        assert found is not None
        return found


@contextmanager
def job_on_github(folder: Path) -> Iterator[Job]:
    double = Double("github", folder)
    try:
        files = {".github/workflows/aicd.yml": WORKFLOW}
        double.control("repos", owner="acme", name="calc", files=files)
        token = double.control("tokens")["token"]
        address = "/repos/acme/calc/actions/workflows/aicd.yml/dispatches"
        headers = {"authorization": f"token {token}", "x-github-api-version": "2026-03-10"}
        run = double.client.post(address, json={"ref": "main"}, headers=headers).raise_for_status().json()
        access = double.client.post(f"/_double/runs/{run['workflow_run_id']}/oidc", json={}).raise_for_status().json()
        yield Job(access, double.url, tuple(double.client.get("/.well-known/jwks").json()["keys"]))
        assert double.problems() == []
    finally:
        double.stop()
