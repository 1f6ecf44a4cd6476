"""The examples of docs/api.md, run as they stand: curl, and the official Supabase client."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from local.administration import Administration
from local.gateway.keys import mint_jwt
from tests.contract.functions.conftest import REPO, ROOT, SPEC, Line
from tests.contract.functions.test_submit_command import address

__all__ = ["address"]
pytestmark = pytest.mark.database

EXAMPLES = ROOT / "examples" / "api"


def run(command: list[str], file: Path, **environment: str) -> str:
    known = {**os.environ, "NO_PROXY": "*", **environment}
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, env=known, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_plain_curl_hands_a_specification_in(line: Line, address: str, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC)
    with Administration(line.world.db_url) as operator:
        key = operator.create_api_key({"repo": REPO, "name": "c", "scopes": ["specs:write"]})["key"]
    said = run(["sh", str(EXAMPLES / "submit.sh")], file, SPECS_URL=address, AICD_API_KEY=str(key))
    [(spec_id,)] = line.rows("select id::text from specs")
    assert spec_id in said
    again = run(["sh", str(EXAMPLES / "submit.sh")], file, SPECS_URL=address, AICD_API_KEY=str(key))
    assert spec_id in again, "the bytes are there already: they are submitted once more"


def test_plain_curl_prints_why_it_was_refused(line: Line, address: str, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC)
    given = {**os.environ, "NO_PROXY": "*", "SPECS_URL": address, "AICD_API_KEY": "aicd_wrong"}
    refused = subprocess.run(["sh", str(EXAMPLES / "submit.sh"), str(file)], capture_output=True, text=True, env=given,
                             timeout=60, check=False)  # fmt: skip
    assert refused.returncode == 1
    assert '"message"' in refused.stderr


def test_official_client_hands_a_specification_in(line: Line, address: str, tmp_path: Path) -> None:
    file, user_id = tmp_path / "spec.yaml", str(uuid.uuid4())
    file.write_text(SPEC)
    line.database.execute("insert into auth.users (id, email) values (%s, 'a@b.c')", (user_id,))
    line.database.execute(
        "insert into project_members (project_id, user_id, role) select id, %s, 'developer' from projects", (user_id,)
    )
    token = mint_jwt(dict(line.world.jwk), {"role": "authenticated", "sub": user_id}, 600)
    said = run([sys.executable, str(EXAMPLES / "submit.py")], file, SPECS_URL=address, ACCESS_TOKEN=token,
               SUPABASE_URL=line.world.api_url, SUPABASE_PUBLISHABLE_KEY=line.world.publishable_key)  # fmt: skip
    assert said.split()[1:] == ["PLANNED", "['S1']"]
