"""`aicd token`: mint a role token, or end one before its time."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from controlplane.errors import UsageError
from local.commands.operate import AsJson, open_administration, parse_id
from local.commands.output import print_json, say

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DEFAULT_TTL = {"functions": "90d", "runner": "30d"}


@app.command("mint")
def mint(
    role: Annotated[Literal["functions", "runner"], typer.Option(help="Whose token.")],
    project: Annotated[str | None, typer.Option(help="The project's id; a runner's token needs it.")] = None,
    run: Annotated[str | None, typer.Option(help="Only this run.")] = None,
    scope: Annotated[Literal["build", "publish"] | None, typer.Option(help="Only this half of a run.")] = None,
    ttl: Annotated[str | None, typer.Option(help="How long it lives: 900s, 15m, 12h, 30d.")] = None,
    name: Annotated[str, typer.Option(help="For whoever reads the audit log.")] = "",
    signing_key: Annotated[
        Path | None, typer.Option(help="File with the private ES256 JWK. Default: the variable AICD_SIGNING_JWK.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Mint a token. It is printed once and kept nowhere; note its jti, which is what `token revoke` takes."""
    from controlplane.tokens import mint_token, parse_signing_key

    minted = mint_token(
        parse_signing_key(_read_signing_key(signing_key)),
        "aicd_functions" if role == "functions" else "aicd_runner",
        parse_ttl(ttl or DEFAULT_TTL[role]),
        name=name,
        project_id=_require_uuid("--project", project),
        run_id=_require_uuid("--run", run),
        scope=scope,
    )
    if as_json:
        print_json({"token": minted.token, "jti": minted.jti, "expires_at": minted.expires_at.isoformat()})
        return
    print(minted.token)
    say(f"jti {minted.jti}, expires {minted.expires_at.isoformat()}. End it early with: aicd token revoke {minted.jti}")


@app.command("revoke")
def revoke(
    jti: Annotated[str, typer.Argument(help="The token's jti, as `mint` printed it.")],
    reason: Annotated[str, typer.Option(help="For whoever reads the audit log.")] = "",
    as_json: AsJson = False,
) -> None:
    """End a token at once. Needs DB_URL, the address of the database's owner."""
    with open_administration() as operator:
        newly = operator.revoke_token(jti, reason)
    if as_json:
        print_json({"jti": jti, "revoked": True, "newly": newly})
    else:
        say(f"{jti} is revoked." if newly else f"{jti} was revoked before.")


def parse_ttl(text: str) -> int:
    """Seconds of `900`, `900s`, `15m`, `12h` or `30d`. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"'{text}' is not a time to live.", fix="Write 900s, 15m, 12h or 30d.", code="bad-ttl")
    return int(match[1]) * UNITS[match[2] or "s"]


def _require_uuid(option: str, text: str | None) -> str | None:
    return None if text is None else parse_id(text, f"a uuid for {option}", "Copy the id as it is in the database.")


def _read_signing_key(path: Path | None) -> str:
    if path is None:
        text = os.environ.get("AICD_SIGNING_JWK", "")
        if not text:
            raise UsageError(
                "There is no signing key.",
                fix="Give --signing-key FILE, or set AICD_SIGNING_JWK.",
                code="signing-key-missing",
            )
        return text
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read.", fix="Name the file that holds the private JWK.") from error
