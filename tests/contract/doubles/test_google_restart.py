"""What the Google double remembers when it is killed."""

from __future__ import annotations

import resource
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.contract.doubles.conftest import Double, Subscriber

MAIL = b"From: ann@acme.test\r\nSubject: s\r\n\r\nhi"


def test_mail_keys_and_pending_pushes_survive_a_kill(tmp_path: Path, subscriber: Subscriber) -> None:
    google = Double("google", tmp_path, AICD_GOOGLE_PUSH_ENDPOINT="http://127.0.0.1:9/")
    try:
        account = google.control("accounts", email="bot@example.com")
        delivered = google.client.post("/_double/deliver", content=MAIL).json()
        certificates = google.client.get("/oauth2/v1/certs").json()
        google.stop(signal.SIGKILL)
        google.environment["AICD_GOOGLE_PUSH_ENDPOINT"] = subscriber.url
        google.start()
        assert google.client.get("/oauth2/v1/certs").json().keys() == certificates.keys()
        assert google.control("accounts", email="bot@example.com")["refresh_token"] == account["refresh_token"]
        listed = google.client.get("/_double/mailbox/bot@example.com/messages").json()
        assert [message["id"] for message in listed] == [delivered["gmail_id"]]
        end = time.monotonic() + 10
        while not subscriber.received and time.monotonic() < end:
            time.sleep(0.02)
        assert len(subscriber.received) == 1
    finally:
        google.stop()


@pytest.mark.parametrize("name", ["google", "github"])
def test_start_takes_less_than_a_second(tmp_path: Path, name: str) -> None:
    """Counted in processor time: other work on the machine may slow the clock on the wall."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    Double(name, tmp_path).stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_process_though_a_push_hangs(tmp_path: Path, how: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        google = Double("google", tmp_path, AICD_GOOGLE_PUSH_ENDPOINT=endpoint)
        google.client.post("/_double/deliver", params={"mailbox": "bot@example.com"}, content=MAIL)
        connection, _ = silent.accept()
        with connection:
            google.stop(how)
    assert google.process.returncode == 0
