"""The hardened form offers what the action takes by the same names, and hands each secret to the jobs that need it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
READ = YAML(typ="safe")
ACTION: dict[str, Any] = READ.load((ROOT / "action.yml").read_text(encoding="utf-8"))
WORKFLOW: dict[str, Any] = READ.load((ROOT / ".github" / "workflows" / "deliver.yml").read_text(encoding="utf-8"))
CALL: dict[str, Any] = WORKFLOW["on"]["workflow_call"]
STEPS = {
    job: step["with"] for job, told in WORKFLOW["jobs"].items() for step in told["steps"] if step.get("id") == "aicd"
}
SECRETS = {
    "anthropic-api-key": {"build"},
    "mcp-variables": {"build"},
    "agent-variables": {"build"},
    "github-read-token": {"build"},
    "github-token": {"publish"},
    "supabase-token": {"build", "publish"},
    "signing-key": {"publish"},
    "s3-access-key-id": {"publish"},
    "s3-secret-access-key": {"publish"},
}
# What the workflow needs for itself.
OWN = {"runs-on", "trusted-runs-on", "publish-runs-on", "job-timeout-minutes", "attest"}
# What it does not offer: given by the jobs themselves, without meaning in three jobs, or only for the modes that judge.
LEFT_OUT = {
    "mode",
    "handover",
    "needs",
    "dod",
    "reports",
    "working-directory",
    "base",
    "s3-session-token",
}


def jobs_given(kind: str, name: str) -> set[str]:
    wanted = re.compile(rf"\b{kind}\.{re.escape(name)}(?![a-z-])")
    return {job for job, given in STEPS.items() if any(wanted.search(str(value)) for value in given.values())}


def test_every_job_tells_the_action_only_what_it_knows() -> None:
    for job, given in STEPS.items():
        assert set(given) <= set(ACTION["inputs"]), job


def test_every_input_of_the_action_is_offered() -> None:
    offered = set(CALL["inputs"]) - OWN | set(CALL["secrets"]) - {"github-read-token"}
    assert offered == set(ACTION["inputs"]) - LEFT_OUT


@pytest.mark.parametrize("name", sorted(set(CALL["inputs"]) - OWN))
def test_input_reaches_a_job_and_has_the_actions_default(name: str) -> None:
    assert jobs_given("inputs", name)
    default, expected = CALL["inputs"][name]["default"], ACTION["inputs"][name]["default"]
    assert (str(default).lower() if isinstance(default, bool) else default) == expected


@pytest.mark.parametrize("name", sorted(CALL["secrets"]))
def test_secret_reaches_only_the_jobs_that_need_it(name: str) -> None:
    assert jobs_given("secrets", name) == SECRETS[name]


def test_job_that_runs_tests_is_given_no_secret() -> None:
    assert "secrets." not in str(STEPS["verify"])
    assert WORKFLOW["jobs"]["verify"]["permissions"] == {}


def test_repository_is_checked_out_for_everything_that_may_be_a_path() -> None:
    [condition] = [step["if"] for step in WORKFLOW["jobs"]["build"]["steps"] if "checkout" in step.get("uses", "")]
    for name in ("spec-path", "mcp-config", "price-table"):
        assert f"inputs.{name} != ''" in condition
