"""A target repository with one package and one test, and a way to run the action's verbs on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
Verb = Callable[..., "subprocess.CompletedProcess[str]"]
FILES = {
    "calc/__init__.py": "def add(a, b):\n    return a + b\n",
    "tests/test_add.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    ".gitignore": "*.log\n",
}


@pytest.fixture
def area() -> Iterator[Path]:
    """A folder that the sandbox's users can come to, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="aicd-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run_git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Dev", "-c", "user.email=dev@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def origin(area: Path) -> Path:
    """A bare repository with one commit on main."""
    bare, clone = area / "origin.git", area / "clone"
    run_git(area, "init", "-q", "--bare", "-b", "main", str(bare))
    run_git(area, "init", "-q", "-b", "main", str(clone))
    for name, text in FILES.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
    run_git(clone, "add", "-A")
    run_git(clone, "commit", "-qm", "Begin")
    run_git(clone, "remote", "add", "origin", str(bare))
    run_git(clone, "push", "-q", "origin", "main")
    return bare


@pytest.fixture
def call_verb(area: Path, origin: Path) -> Verb:
    """Run `python -m action VERB` as action/verb.sh does, with nothing of our own environment but what is named."""

    def call(verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AICD_RUN_DIR": str(area / "run"),
            "AICD_SPEC_PATH": str(area / "spec.yaml"),
            "AICD_TARGET_REPOSITORY": str(origin),
            "GITHUB_RUN_ID": "77",
            **variables,
        }
        command = [sys.executable, "-P", "-m", "action", verb]
        return subprocess.run(
            command, cwd=area, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return call


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of moto's S3, a real server, with the bucket `reports`. It looks at no signature."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.create_bucket(Bucket="reports")
    yield address
    server.stop()
