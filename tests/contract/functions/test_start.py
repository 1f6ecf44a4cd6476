"""Each function as its own process, started as in the cloud, from another folder and without any environment."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
NAMES = ("gmail_push", "dispatch", "notify", "tick", "health")
SECONDS_TO_START = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """All five at once; their addresses."""
    folder = tmp_path_factory.mktemp("elsewhere")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    ports = {name: free_port() for name in NAMES}
    processes = []
    for name, port in ports.items():
        command = [sys.executable, "-m", "functions_framework", "--source", str(ROOT / "functions" / name / "main.py")]
        command += ["--target", "main", "--host", "127.0.0.1", "--port", str(port)]
        log = (folder / f"{name}.log").open("wb")
        processes.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
        log.close()
    try:
        yield {name: f"http://127.0.0.1:{port}/" for name, port in ports.items()}
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


def patient(method: str, url: str) -> httpx.Response:
    ends_at = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            return httpx.request(method, url, trust_env=False, timeout=20)
        except httpx.TransportError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize("name", NAMES[:-1])
def test_function_starts_without_an_environment_and_names_what_it_misses(urls: dict[str, str], name: str) -> None:
    answer = patient("POST", urls[name])
    document = answer.json()
    assert answer.status_code == 500
    assert document["errors"][0]["code"] == "misconfigured"
    assert "AICD_FUNCTIONS_TOKEN" in document["errors"][0]["message"]
    assert set(document) == {"data", "meta", "errors"}
    assert patient("GET", urls[name]).status_code == 405


def test_health_starts_without_an_environment_and_is_alive(urls: dict[str, str]) -> None:
    assert patient("GET", urls["health"] + "health/live").json()["data"] == {"status": "live"}
    assert patient("GET", urls["health"] + "health/ready").status_code == 503


def test_importing_a_function_loads_no_heavy_library() -> None:
    heavy = "googleapiclient github supabase google.auth requests lxml anthropic smtplib httpx"
    imports = "; ".join(f"import functions.{name}.main" for name in NAMES)
    script = f"{imports}; import sys; print([name for name in {heavy.split()!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
