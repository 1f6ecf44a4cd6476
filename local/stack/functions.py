"""The functions as the embedded stack deploys them: which there are, and what each is told in its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping

from controlplane.tokens import mint_token
from local.stack.identity import PUSH_ACCOUNT, SCHEDULER_ACCOUNT, StackIdentity
from local.stack.places import REPOSITORY_ROOT

TOKEN_SECONDS = 30 * 24 * 3600
# The name that its address goes by → its folder in functions/.
FUNCTIONS = {
    "gmail-push": "gmail_push",
    "dispatch": "dispatch",
    "notify": "notify",
    "tick": "tick",
    "health": "health",
    "runner-token": "runner_token",
    "specs": "specs",
    "webhook": "webhook",
    "github-webhook": "github_webhook",
    "mcp": "mcp",
}


def function_command(name: str, port: int) -> list[str]:
    """The arguments to Python that serve the function there."""
    source = REPOSITORY_ROOT / "functions" / FUNCTIONS[name] / "main.py"
    command = ["-m", "functions_framework", "--source", str(source), "--target", "main"]
    return [*command, "--host", "127.0.0.1", "--port", str(port)]


def function_environments(
    identity: StackIdentity, grant: Mapping[str, str], *, plans_letters: bool
) -> dict[str, dict[str, str]]:
    """The environment of each function by its name; `grant` is the OAuth grant on the mailbox."""
    shared = _shared(identity, grant, plans_letters=plans_letters)
    # The signing key is in this one function only.
    minting = {
        "AICD_SIGNING_JWK": json.dumps(identity.signing_jwk),
        "AICD_RUNNER_TOKEN_AUDIENCE": identity.url("runner-token"),
        "GITHUB_OIDC_ISSUER": identity.url("github"),
    }
    return {
        name: {**shared, **(minting if name == "runner-token" else {"AICD_SCHEDULER_AUDIENCE": identity.url(name)})}
        for name in FUNCTIONS
    }


def _shared(identity: StackIdentity, grant: Mapping[str, str], *, plans_letters: bool) -> dict[str, str]:
    google = identity.url("google")
    return {
        "SUPABASE_URL": identity.url("api"),
        "SUPABASE_PUBLISHABLE_KEY": identity.publishable_key,
        "AICD_FUNCTIONS_TOKEN": mint_token(identity.signing_jwk, "aicd_functions", TOKEN_SECONDS).token,
        "AICD_OUTBOX_SECRET": identity.outbox_secret,
        "AICD_GITHUB_WEBHOOK_SECRET": identity.github_webhook_secret,
        "AICD_SCHEDULER_SERVICE_ACCOUNT": SCHEDULER_ACCOUNT,
        "AICD_PUSH_AUDIENCE": identity.url("gmail-push") + "/",
        "AICD_PUSH_SERVICE_ACCOUNT": PUSH_ACCOUNT,
        "AICD_GITHUB_TOKEN": identity.github_token,
        "GITHUB_API_URL": identity.url("github"),
        "GMAIL_API_ENDPOINT": google + "/",
        "GMAIL_CLIENT_ID": grant["client_id"],
        "GMAIL_CLIENT_SECRET": grant["client_secret"],
        "GMAIL_REFRESH_TOKEN": grant["refresh_token"],
        "GMAIL_TOPIC": "projects/aicd-local/topics/gmail",
        "GOOGLE_TOKEN_URI": grant["token_uri"],
        "GOOGLE_CERTS_URL": f"{google}/oauth2/v1/certs",
        "AICD_PLANNER": "on" if plans_letters else "off",
        "THREADS": "8",
    }
