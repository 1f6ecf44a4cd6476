"""Row 6 of what goes wrong: notices lost, late, twice and out of order, history forgotten, watches that run out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server

from functions._shared.settings import Environment, GoogleSettings
from functions._shared.wiring import open_intake
from functions.tick.mailboxes import MailboxCare
from tests.contract.functions.conftest import PUSH_AUDIENCE, PUSHER, Double, first_line, start

MAILS = 20
DAYS = 20


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Says a row's figure, on the screen with -s and in the report."""

    def say(line: str) -> None:
        record_property("figure", line)
        print(line)

    return say


@pytest.fixture
def far(line: Any, tmp_path: Path) -> Iterator[Any]:
    """The line with a Google of its own, whose clock may be moved without anybody else noticing."""
    process = start("local.doubles.google", AICD_GOOGLE_DOUBLE_PORT="0", AICD_GOOGLE_DOUBLE_STATE=str(tmp_path / "g"))
    google = Double(first_line(process)["ready"]["url"], process)
    account = google.post("accounts", email=line.mailbox)
    line.environment |= {
        "GMAIL_API_ENDPOINT": google.url + "/",
        "GMAIL_CLIENT_ID": account["client_id"],
        "GMAIL_CLIENT_SECRET": account["client_secret"],
        "GMAIL_REFRESH_TOKEN": account["refresh_token"],
        "GOOGLE_TOKEN_URI": account["token_uri"],
        "GOOGLE_CERTS_URL": f"{google.url}/oauth2/v1/certs",
    }
    line.google = google
    try:
        yield line
    finally:
        google.client.close()
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def deliver(far: Any, mail: Any) -> str:
    answer = far.google.client.post("/_double/deliver", content=bytes(mail), params={"mailbox": far.mailbox})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["gmail_id"])


def found(far: Any) -> set[str]:
    return {gmail_id for (gmail_id,) in far.rows("select gmail_id from public.messages where state = 'ACCEPTED'")}


def care(far: Any) -> MailboxCare:
    intake = open_intake(far.store, GoogleSettings.read(Environment(far.environment)), "mx.google.com")
    return MailboxCare(far.store, intake, "projects/p/topics/gmail", poll_after_seconds=300)


@pytest.fixture
def served(far: Any) -> Iterator[str]:
    """gmail-push as a server that the double can push to."""
    import functions_framework

    far.function("gmail_push")
    app = functions_framework.create_app("main", str(Path("functions/gmail_push/main.py").resolve()), "http")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join(5)
    server.server_close()


def wait_until_settled(google: Double) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while True:
        deliveries = google.get("deliveries")
        if not [one for one in deliveries if one["state"] == "pending"]:
            return list(deliveries)
        assert time.monotonic() < deadline, "pushes are still pending"
        time.sleep(0.1)


def test_every_mail_is_found_within_one_poll_although_notices_are_lost_late_and_twice(
    far: Any, letter: Callable[..., Any], served: str, tell: Callable[[str], None]
) -> None:
    watcher = care(far)
    assert watcher.look_after_all(datetime.now(UTC), [])["watches_renewed"] == 1
    far.google.client.delete("/_double/deliveries")
    far.google.post("push-config", endpoint=served, audience=PUSH_AUDIENCE, service_account=PUSHER)
    far.google.post("faults", push={"drop_rate": 0.3, "duplicates": 1, "delay_seconds": 0.4, "seed": 6})
    mails = {deliver(far, letter(subject=f"Mail {number}")) for number in range(MAILS)}
    deliveries = wait_until_settled(far.google)
    # The last notice is lost for certain, and with it every word of the last mails.
    far.google.post("faults", push={"drop_rate": 1})
    mails |= {deliver(far, letter(subject=f"Late {number}")) for number in range(3)}
    by_push = len(found(far))
    far.database.execute("update public.mailboxes set last_push_at = now() - interval '6 minutes'")
    failures: list[Any] = []
    began = time.monotonic()
    counts = watcher.look_after_all(datetime.now(UTC), failures)
    seconds = time.monotonic() - began
    lost = sum(one["state"] == "dropped" for one in deliveries) + 3
    assert (counts["polled"], failures) == (1, [])
    assert lost >= MAILS * 0.15, "nothing was lost, so nothing was tried"
    assert by_push < len(mails)
    assert found(far) == mails
    assert far.rows("select count(*), count(distinct message_id) from public.specs") == [(len(mails), len(mails))]
    tell(
        f"row 6: {len(mails)} mails, {lost} notices lost, the others twice and up to 0.4 s late: {by_push} found by "
        f"push, {len(mails) - by_push} by one poll in {seconds:.1f} s, each once"
    )


def test_history_that_gmail_has_forgotten_is_made_up_for_by_the_inbox(
    far: Any, letter: Callable[..., Any], tell: Callable[[str], None]
) -> None:
    watcher = care(far)
    watcher.look_after_all(datetime.now(UTC), [])
    known = {deliver(far, letter()) for _ in range(3)}
    far.database.execute("update public.mailboxes set last_push_at = null")
    watcher.look_after_all(datetime.now(UTC), [])
    assert found(far) == known
    missed = {deliver(far, letter()) for _ in range(5)}
    answer = far.google.client.post(f"/_double/mailbox/{far.mailbox}/expire-history", json={})
    assert answer.status_code == 200
    later = deliver(far, letter())
    far.database.execute("update public.mailboxes set last_push_at = null")
    watcher.look_after_all(datetime.now(UTC), [])
    assert found(far) == known | missed | {later}
    assert far.rows("select count(*) from public.specs") == [(9,)]
    tell("row 6: history forgotten (404) over 5 mails: all found in the inbox, none twice")


def test_watch_never_runs_out_in_weeks_of_ticks(
    far: Any, letter: Callable[..., Any], tell: Callable[[str], None]
) -> None:
    """The first tick after each day, on a clock that is moved; Google is away for two days in between."""
    watcher, now = care(far), datetime.now(UTC)
    renewals, shortest, mails = 0, timedelta(days=7), set()
    for day in range(DAYS):
        if day in (10, 11):
            far.google.break_("gmail.users.watch", status=503, times=9)
        failures: list[Any] = []
        renewals += watcher.look_after_all(now, failures)["watches_renewed"]
        assert bool(failures) == (day in (10, 11))
        far.google.post("faults")
        [(expires_at,)] = far.rows("select watch_expires_at from public.mailboxes")
        assert expires_at > now, f"the watch ran out on day {day}"
        shortest = min(shortest, expires_at - now)
        mails.add(deliver(far, letter(subject=f"Day {day}")))
        far.google.post("clock", advance_seconds=86_460)
        now += timedelta(days=1, minutes=1)
    watcher.look_after_all(now, [])
    assert found(far) == mails
    assert renewals >= DAYS - 4
    tell(f"row 6: {DAYS} days, {renewals} renewals, 2 days without Google; never less than {shortest.days} days left")


def test_watch_that_ran_out_while_we_were_away_loses_nothing(
    far: Any, letter: Callable[..., Any], tell: Callable[[str], None]
) -> None:
    watcher = care(far)
    watcher.look_after_all(datetime.now(UTC), [])
    far.google.post("faults", push={"require_watch": True})
    far.google.post("clock", advance_seconds=8 * 86_400)
    answer = far.google.client.post("/_double/deliver", content=bytes(letter()), params={"mailbox": far.mailbox})
    assert answer.json()["notified"] is False
    failures: list[Any] = []
    counts = watcher.look_after_all(datetime.now(UTC) + timedelta(days=8), failures)
    assert (counts["watches_renewed"], counts["polled"], failures) == (1, 1, [])
    assert found(far) == {answer.json()["gmail_id"]}
    assert deliver_is_notified(far, letter())
    tell("row 6: watch expired for a day (no notice): renewed and the mail found by the first tick")


def deliver_is_notified(far: Any, mail: Any) -> bool:
    answer: httpx.Response = far.google.client.post(
        "/_double/deliver", content=bytes(mail), params={"mailbox": far.mailbox}
    )
    return bool(answer.json()["notified"])
