"""Real git against the GitHub double: clone and push over HTTP, as the runner and actions/checkout do."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.contract.doubles.conftest import Double

ENVIRONMENT = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.com",
}  # fmt: skip


def git(*arguments: str, folder: Path, expect: int = 0) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) is (expect == 0), done.stderr
    return done.stdout.strip() if expect == 0 else done.stderr


@pytest.fixture
def repo(github: Double) -> dict[str, Any]:
    name = f"git-{secrets.token_hex(4)}"
    return github.control("repos", owner="acme", name=name, files={"README.md": "hello\n"})


def url_with(github: Double, repo: dict[str, Any], **order: Any) -> str:
    token = github.control("tokens", **order)["token"]
    return repo["clone_url"].replace("http://", f"http://x-access-token:{token}@")


def test_clone_commit_push_moves_the_branch_for_the_api_too(
    github: Double, repo: dict[str, Any], tmp_path: Path
) -> None:
    token = github.control("tokens")["token"]
    address = repo["clone_url"].replace("http://", f"http://x-access-token:{token}@")
    git("clone", "-q", address, "work", folder=tmp_path)
    work = tmp_path / "work"
    (work / "big.bin").write_bytes(secrets.token_bytes(3_000_000))  # large enough to be sent in chunks
    git("checkout", "-q", "-b", "aicd/s1", folder=work)
    git("add", ".", folder=work)
    git("commit", "-q", "-m", "work", folder=work)
    git("push", "-q", "origin", "aicd/s1", folder=work)
    sha = git("rev-parse", "HEAD", folder=work)
    seen = github.client.get(
        f"/repos/{repo['full_name']}/branches/aicd/s1", headers={"authorization": f"Bearer {token}"}
    )
    assert seen.json()["commit"]["sha"] == sha


def test_fetch_of_one_commit_with_an_extra_header_works_like_checkout(
    github: Double, repo: dict[str, Any], tmp_path: Path
) -> None:
    token = github.control("tokens", permissions={"contents": "read"})["token"]
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    git("init", "-q", ".", folder=tmp_path)
    git("remote", "add", "origin", repo["clone_url"], folder=tmp_path)
    header = f"http.{github.url}/.extraheader=AUTHORIZATION: basic {basic}"
    git(
        "-c",
        header,
        "-c",
        "protocol.version=2",
        "fetch",
        "-q",
        "--depth=1",
        "origin",
        repo["head_sha"],
        folder=tmp_path,
    )
    git("checkout", "-q", "FETCH_HEAD", folder=tmp_path)
    assert (tmp_path / "README.md").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"permissions": {"contents": "read"}}, "403"),
        ({"repositories": ["acme/other"]}, "not found"),
        ({"permissions": {"actions": "write"}}, "403"),
    ],
)
def test_push_without_the_right_is_refused(
    github: Double, repo: dict[str, Any], tmp_path: Path, order: dict[str, Any], message: str
) -> None:
    git("clone", "-q", url_with(github, repo), "work", folder=tmp_path)
    complaint = git("push", url_with(github, repo, **order), "HEAD:refs/heads/x", folder=tmp_path / "work", expect=1)
    assert message in complaint


def test_clone_without_a_token_is_refused_unless_public(github: Double, repo: dict[str, Any], tmp_path: Path) -> None:
    git("clone", "-q", repo["clone_url"], "private", folder=tmp_path, expect=1)
    public = github.control("repos", owner="acme", name=f"open-{secrets.token_hex(3)}", files={"a": "b"}, private=False)
    git("clone", "-q", public["clone_url"], "public", folder=tmp_path)
    git("push", "-q", "origin", "HEAD:refs/heads/x", folder=tmp_path / "public", expect=1)


def test_pull_request_head_follows_the_push(github: Double, repo: dict[str, Any], tmp_path: Path) -> None:
    address = url_with(github, repo)
    git("clone", "-q", address, "work", folder=tmp_path)
    work = tmp_path / "work"
    headers = {"authorization": f"Bearer {github.control('tokens')['token']}"}
    for number in range(2):
        git("commit", "-q", "--allow-empty", "-m", str(number), folder=work)
        git("push", "-q", "origin", "HEAD:refs/heads/topic", folder=work)
        if number == 0:
            body = {"title": "t", "head": "topic", "base": "main"}
            made = github.client.post(f"/repos/{repo['full_name']}/pulls", json=body, headers=headers)
            assert made.status_code == 201, made.text
    sha = git("rev-parse", "HEAD", folder=work)
    assert sha in git("ls-remote", "origin", "refs/pull/1/head", folder=work)
    assert github.client.get(f"/repos/{repo['full_name']}/pulls/1", headers=headers).json()["head"]["sha"] == sha


def test_twenty_parallel_clones_and_pushes_all_arrive(github: Double, repo: dict[str, Any], tmp_path: Path) -> None:
    address = url_with(github, repo)
    git("clone", "-q", address, "work", folder=tmp_path)
    work = tmp_path / "work"

    def push(number: int) -> None:
        git("push", "-q", "origin", f"HEAD:refs/heads/p{number}", folder=work)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(push, range(20)))
    assert len(git("ls-remote", "--heads", "origin", folder=work).splitlines()) == 21
