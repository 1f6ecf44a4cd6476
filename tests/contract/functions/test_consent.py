"""`aicd gmail`: the consent of an installed application against the double's page and token endpoint."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from controlplane.errors import AicdError, NotAllowed, OutsideError, UsageError
from functions._shared.gmail.credentials import SCOPES
from local.consent import Tokens, ask_consent, fetch_address, read_client

ROOT = Path(__file__).parents[3]


@pytest.fixture
def secrets_file(line: Any, tmp_path: Path) -> Path:
    """An OAuth client's JSON that points to the double, for this test's mailbox."""
    account = line.world.google.post("accounts", email=line.mailbox)
    line.world.google.post("consent", email=line.mailbox)
    inner = {"client_id": account["client_id"], "client_secret": account["client_secret"]}
    inner |= {"auth_uri": f"{line.world.google.url}/o/oauth2/v2/auth", "token_uri": account["token_uri"]}
    path = tmp_path / "client.json"
    path.write_text(json.dumps({"installed": inner}))
    return path


def visit(url: str) -> None:
    """What a browser does when the person agrees: it follows Google back to us."""
    threading.Thread(target=lambda: httpx.get(url, follow_redirects=True, trust_env=False), daemon=True).start()


def consent(path: Path, open_page: Any = visit, **options: Any) -> Tokens:
    return ask_consent(read_client(path, {}), SCOPES, open_page, timeout_seconds=5, **options)


def test_consent_gives_a_token_that_opens_the_mailbox(line: Any, secrets_file: Path) -> None:
    asked: list[str] = []

    def open_page(url: str) -> None:
        asked.append(url)
        visit(url)

    tokens = consent(secrets_file, open_page, login_hint=line.mailbox)
    query = {name: values[0] for name, values in parse_qs(urlsplit(asked[0]).query).items()}
    assert fetch_address(line.world.google.url, tokens) == line.mailbox
    assert query["scope"] == " ".join(SCOPES)
    assert (query["access_type"], query["prompt"], query["code_challenge_method"]) == ("offline", "consent", "S256")
    assert query["redirect_uri"].startswith("http://127.0.0.1:")
    assert "secret" not in asked[0]


def test_person_who_refuses_is_told_so(line: Any, secrets_file: Path) -> None:
    line.world.google.post("consent", email=line.mailbox, agrees=False)
    with pytest.raises(NotAllowed, match="access_denied"):
        consent(secrets_file)


def test_consent_to_a_part_is_not_enough(line: Any, secrets_file: Path) -> None:
    line.world.google.post("consent", email=line.mailbox, scopes=[SCOPES[0]])
    with pytest.raises(NotAllowed, match=r"missing: .*gmail\.send"):
        consent(secrets_file)


def test_answer_without_our_state_changes_nothing(secrets_file: Path) -> None:
    """A page of somebody else's may know the port; it cannot know the state, and the honest answer still counts."""

    def open_page(url: str) -> None:
        back = parse_qs(urlsplit(url).query)["redirect_uri"][0]

        def browse() -> None:
            forged = [f"{back}?code=4/evil&state=guess", f"{back}?code=4/evil", f"{back}favicon.ico", f"{back}?error=x"]
            statuses.extend(httpx.get(address, trust_env=False).status_code for address in forged)
            httpx.get(url, follow_redirects=True, trust_env=False)

        threading.Thread(target=browse, daemon=True).start()

    statuses: list[int] = []
    assert consent(secrets_file, open_page).refresh_token
    assert statuses == [400, 400, 404, 400]


def test_nobody_who_agrees_ends_the_waiting(secrets_file: Path) -> None:
    with pytest.raises(OutsideError, match="within 1 seconds"):
        ask_consent(read_client(secrets_file, {}), SCOPES, lambda _: None, timeout_seconds=1)


def test_code_of_another_client_is_refused(line: Any, secrets_file: Path) -> None:
    document = json.loads(secrets_file.read_text())
    document["installed"]["client_secret"] = "wrong"
    secrets_file.write_text(json.dumps(document))
    with pytest.raises(NotAllowed, match="invalid_client"):
        consent(secrets_file)


@pytest.mark.parametrize("content", ["", "{}", '{"web": {}}', '{"installed": 1}', "[" * 100_000])
def test_file_that_is_no_desktop_client_is_a_usage_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "client.json").write_text(content)
    with pytest.raises(UsageError, match="Desktop app"):
        read_client(tmp_path / "client.json", {})


def test_without_a_client_the_fix_is_named() -> None:
    with pytest.raises(AicdError, match="client-secrets"):
        read_client(None, {})


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", "gmail", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", **environment}
    )


def test_command_prints_the_token_alone_on_stdout(line: Any, secrets_file: Path) -> None:
    command = [sys.executable, "-m", "local", "gmail", "authorize", "--client-secrets", str(secrets_file), "--json"]
    command += ["--mailbox", line.mailbox.upper(), "--timeout", "20"]
    environment = {"PATH": "/usr/bin:/bin", "GMAIL_API_ENDPOINT": line.world.google.url}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        url = next(said.strip() for said in process.stderr if said.startswith("http"))
        httpx.get(url, follow_redirects=True, trust_env=False)
        told, _ = process.communicate(timeout=30)
    found = json.loads(told)
    assert (process.returncode, found["mailbox"], found["scopes"]) == (0, line.mailbox, sorted(SCOPES))
    account = line.world.google.post("accounts", email=line.mailbox)
    assert found["refresh_token"] == account["refresh_token"]


def test_check_says_which_mailbox_works_and_how_to_heal_the_other(line: Any) -> None:
    names = ("GMAIL_CLIENT_ID", "GMAIL_CLIENT_SECRET", "GMAIL_REFRESH_TOKEN", "GOOGLE_TOKEN_URI", "GMAIL_TOPIC")
    environment = {name: line.environment[name] for name in (*names, "GMAIL_API_ENDPOINT")}
    done = run("check", line.mailbox, "other@inbox.example", "--json", **environment)
    good, bad = json.loads(done.stdout)["mailboxes"]
    assert done.returncode == 1
    assert (good["error"], good["watched"]) == ("", True)
    assert f"opens the mailbox {line.mailbox}" in bad["error"]
    assert "GMAIL_REFRESH_TOKENS" in bad["fix"]
