"""What each input alone allows and together makes no sense: told before any work is done, all of it at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from controlplane.errors import UsageError

if TYPE_CHECKING:
    from action.settings import ArtifactInputs, GitHubContext


def find_contradictions(groups: Mapping[str, Any], claude_url: str, identity_file: str) -> list[str]:
    """`groups` are those of Settings by their names; one sentence for each contradiction."""
    run, control, target = groups["run"], groups["control_plane"], groups["target"]
    problems = []
    if control.supabase_url and not control.supabase_publishable_key:
        problems.append("input 'supabase-publishable-key' is missing beside 'supabase-url'")
    if control.supabase_url and not control.supabase_token.get_secret_value():
        problems += _missing_identity(control.token_url, groups["github"])
    if control.token_url and not _is_safe(control.token_url):
        problems.append("input 'token-url': an ID token is sent there, so it must be an https address")
    if control.supabase_url and run.mode == "deliver" and not run.run_id:
        problems.append("input 'run-id' is missing beside 'supabase-url'")
    if target.auto_merge and target.pull_request != "ready":
        problems.append(
            f"inputs 'auto-merge' and 'pull-request': '{target.pull_request}' never merges by itself; set "
            "'pull-request: ready'"
        )
    return problems + _unusable_store(groups["artifacts"]) + _unusable_identity(groups, claude_url, identity_file)


def _unusable_store(artifacts: ArtifactInputs) -> list[str]:
    """What the first verb can see; only publish and finish are given the secret half of the keys."""
    try:
        place = artifacts.place
    except UsageError as error:
        return [f"inputs 'artifact-store', 's3-endpoint', 's3-region': {error.message} {error.fix}".rstrip(".")]
    if place is not None and not artifacts.s3_access_key_id:
        return ["input 's3-access-key-id' is missing beside 'artifact-store'"]
    return []


def _missing_identity(token_url: str, github: GitHubContext) -> list[str]:
    if not token_url:
        return [
            "input 'token-url' is missing beside 'supabase-url' (the address of runner-token), or else "
            "'supabase-token' (mint one with `aicd token mint --role runner`)"
        ]
    if not github.has_identity:
        return [
            "input 'token-url': this job may not ask GitHub for an ID token (give it `permissions: id-token: write`), "
            "and there is no 'supabase-token' either"
        ]
    return []


def _unusable_identity(groups: Mapping[str, Any], claude_url: str, identity_file: str) -> list[str]:
    """What keeps a job from proving itself to Claude by its identity."""
    claude = groups["claude"]
    if not claude.is_federated:
        lonely = claude.anthropic_organization_id or claude.anthropic_service_account_id
        return ["input 'anthropic-federation-rule-id' is missing beside 'anthropic-organization-id'"] if lonely else []
    problems = []
    if not claude.anthropic_organization_id:
        problems.append("input 'anthropic-organization-id' is missing beside 'anthropic-federation-rule-id'")
    if groups["agent"].anthropic_api_key.get_secret_value():
        problems.append("inputs 'anthropic-api-key' and 'anthropic-federation-rule-id': give one of them")
    if not identity_file and not groups["github"].has_identity:
        problems.append(
            "input 'anthropic-federation-rule-id': this job may not ask GitHub for an ID token (give it `permissions: "
            "id-token: write`), and ANTHROPIC_IDENTITY_TOKEN_FILE names no other one"
        )
    if claude_url and not _is_safe(claude_url):
        problems.append("input 'anthropic-base-url': an identity token is sent there, so it must be an https address")
    return problems


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (local and parts.scheme == "http"))
