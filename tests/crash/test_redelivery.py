"""The same mail is told of a hundred times, by push and by poll, in any order: it is one mail."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions._shared.callers.oidc import OidcProof
from functions._shared.endpoint import Call
from functions._shared.intake.sync import Intake, sync_mailbox
from functions._shared.settings import CallerSettings, Environment, GoogleSettings, SupabaseSettings
from functions._shared.wiring import open_intake, open_store
from functions.gmail_push.push import Push
from tests.crash.children import Nursery
from tests.crash.test_intake import ONCE, orphans, taken_in
from tests.crash.world import PUSH_AUDIENCE, ROOT, World, free_port, letter, push_body, wait_for_port

pytestmark = pytest.mark.database

COPIES = 100
AT_ONCE = 20
SEEDS = 200
# The whole inbox is read again then, so they are early ones.
FORGETFUL_SEEDS = (7, 17, 27)


@pytest.fixture
def gmail_push(world: World) -> Iterator[str]:
    """gmail-push as functions-framework serves it: a process with threads, behind an address."""
    port = free_port()
    source = ROOT / "functions" / "gmail_push" / "main.py"
    command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", "main"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, **world.environment, "PYTHONPATH": str(ROOT), "THREADS": str(AT_ONCE)}
    with (world.folder / "gmail-push.log").open("a") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=world.folder)
        try:
            wait_for_port(port, process)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(15)


def test_hundred_pushes_twenty_at_once_are_one_mail(
    clean: World, nursery: Nursery, gmail_push: str, tell: Callable[[str], None]
) -> None:
    """Half of them spell Pub/Sub's id as messageId, half as message_id."""
    clean.google.post("push-config", endpoint=gmail_push, audience=PUSH_AUDIENCE, service_account="nobody@example")
    clean.google.post("faults", push={"drop_rate": 1.0})
    gmail_id = clean.deliver(letter())
    half = COPIES // 2
    token = clean.id_token()

    def push(spelling: str) -> list[int]:
        body = push_body(clean.mailbox, spelling).decode()
        order = {"body": body, "token": token, "copies": half, "parallel": AT_ONCE // 2}
        return list(clean.google.post("push", **order)["statuses"])

    began = time.monotonic()
    try:
        with ThreadPoolExecutor(2) as pool:
            statuses = [status for some in pool.map(push, ("messageId", "message_id")) for status in some]
    finally:
        clean.google.post("push-config", endpoint="")
        clean.google.post("faults")
    seconds = time.monotonic() - began
    assert Counter(statuses) == {204: COPIES}
    assert taken_in(clean, gmail_id) == ONCE
    assert clean.count("select count(*) from public.messages") == 1
    assert orphans(clean) == 0
    (receipt,) = clean.rows("select id::text from public.outbox where kind = 'notify'")
    for _ in range(2):
        assert {life.status for life in nursery.crowd("notify", 2)} == {200}
    assert Counter(clean.notices())[receipt["id"]] == 1
    tell(f"{COPIES} pushes, {AT_ONCE} at once, both spellings: {COPIES} times 204, 1 spec, 1 mail, {seconds:.1f} s")


@pytest.fixture
def ways(clean: World) -> dict[str, Callable[[], object]]:
    """How news of a mail may come: a push with its proof, a poll as tick's, and both at the same moment."""
    environment = Environment(clean.environment)
    callers = CallerSettings.read(environment, "AICD_PUSH")
    google = GoogleSettings.read(environment)

    def wired() -> Intake:
        return open_intake(open_store(SupabaseSettings.read(environment)), google, "mx.google.com")

    # Two instances, as a push and a tick are in the cloud.
    pushed, polled = wired(), wired()
    push = Push(OidcProof(callers), pushed)
    headers = {"authorization": f"Bearer {clean.id_token()}"}

    def by_push() -> None:
        spelling = random.choice(("messageId", "message_id"))
        answer = push.handle(Call("POST", "/", headers, push_body(clean.mailbox, spelling)))
        assert answer.status == 204

    def by_poll() -> None:
        assert sync_mailbox(clean.mailbox, polled) is not None

    def by_both() -> None:
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(by_push), pool.submit(by_poll)]:
                done.result()

    def after_history_was_forgotten() -> None:
        clean.google.client.post(f"/_double/mailbox/{clean.mailbox}/expire-history", json={})
        by_poll()

    return {"push": by_push, "poll": by_poll, "both": by_both, "forgotten": after_history_was_forgotten}


def test_push_and_poll_in_any_order_take_each_mail_in_once(
    clean: World, ways: dict[str, Callable[[], object]], tell: Callable[[str], None]
) -> None:
    began, count, mails = time.monotonic(), Counter[str](), []
    for seed in range(SEEDS):
        random.seed(seed)
        mails.append(clean.deliver(letter()))
        if random.random() < 0.1:
            mails.append(clean.deliver(letter()))
        order = random.sample(("push", "poll", "both"), k=random.randint(1, 3))
        if seed in FORGETFUL_SEEDS:
            order.insert(0, "forgotten")
        for way in order:
            ways[way]()
            count[way] += 1
        assert taken_in(clean, mails[-1]) == ONCE, (seed, order)
    mine = "select count(*) from public.messages where gmail_id = any(%s) and state = 'ACCEPTED'"
    assert clean.count(mine, mails) == len(mails)
    assert clean.count("select count(*) - count(distinct message_id) from public.specs") == 0
    assert orphans(clean) == 0
    seconds = time.monotonic() - began
    said = ", ".join(f"{number} {way}" for way, number in sorted(count.items()))
    tell(f"{SEEDS} seeds, {len(mails)} mails ({said}): one spec each, {seconds:.1f} s")


def test_same_mail_under_a_second_gmail_id_is_one_spec(
    clean: World, ways: dict[str, Callable[[], object]], nursery: Nursery
) -> None:
    """A copy in the inbox, or a restored mailbox: the sender and the Message-ID tell."""
    mail = letter()
    first, second = clean.deliver(mail), clean.deliver(mail)
    assert first != second
    start = threading.Barrier(2)

    def arrive(way: str) -> None:
        start.wait()
        ways[way]()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(arrive, ("push", "poll")))
    assert clean.count("select count(*) from public.specs") == 1
    assert clean.count("select count(*) from public.outbox where kind = 'notify'") == 1
    assert clean.count("select count(*) from public.messages") == 2
    assert orphans(clean) == 0
