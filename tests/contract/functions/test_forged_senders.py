"""Row 9 of what goes wrong: whoever pretends to be an allowed sender, through the whole door; nobody gets in."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.functions.conftest import SENDER, SPEC

DOMAIN = SENDER.rpartition("@")[2]
STAMP = f"Authentication-Results: mx.google.com; dmarc=pass (p=REJECT) header.from={DOMAIN}"
# What stands in the From line (or lines) of a mail that wants to be Ada's.
FROM = {
    "as it is": f"From: Ada <{SENDER}>",
    "display name": f'From: "{SENDER}" <eve@evil.example>',
    "display name in words": f"From: =?utf-8?q?Ada_=3C{SENDER.replace('@', '=40')}=3E?= <eve@evil.example>",
    "two lines": f"From: Eve <eve@evil.example>\r\nFrom: Ada <{SENDER}>",
    "two lines, other order": f"From: Ada <{SENDER}>\r\nFrom: Eve <eve@evil.example>",
    "two addresses": f"From: Ada <{SENDER}>, Eve <eve@evil.example>",
    "group": f"From: Team: {SENDER}, eve@evil.example;",
    "route": f"From: <@evil.example:{SENDER}>",
    "comment": f"From: eve@evil.example ({SENDER})",
    "two angles": f"From: <{SENDER}> <eve@evil.example>",
    "space in the name of the line": f"From : Ada <{SENDER}>\r\nFrom: eve@evil.example",
    "zero width": "From: Ada <" + SENDER.replace("@", "@\u200b") + ">",
    "look-alike": f"From: Ada <{SENDER.replace('a', 'а', 1)}>",
    "subdomain": f"From: Ada <{SENDER.replace('@', '@evil.')}>",
    "suffix": f"From: Ada <{SENDER}.evil.example>",
}
# What a sender may write below the stamp of the server.
BELOW = {
    "nothing": "",
    "the server's own words": STAMP,
    "twice": f"{STAMP}\r\n{STAMP}",
    "in a comment": f"Authentication-Results: mx.google.com; spf=fail (dmarc=pass header.from={DOMAIN}) x.y=z",
    "arc": STAMP.replace("Authentication", "ARC-Authentication"),
    "another server": STAMP.replace("mx.google.com", "mx.google.com.evil.example"),
    "folded": STAMP.replace("; ", ";\r\n\t"),
}
# How the server judged it.
JUDGED = {
    "not authenticated": {"authenticated": "false"},
    "signed by another domain": {"authenticated": "false", "signed_by": "evil.example"},
}


def forge(sender: str, below: str, number: int) -> bytes:
    """A mail as Eve writes it, with a specification that Ada could have built."""
    lines = [below, sender, "To: specs@inbox.example", "Subject: A greeting", f"Message-ID: <{number}@{DOMAIN}>"]
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "", SPEC.replace("\n", "\r\n")]
    return "\r\n".join(line for line in lines if line or line == "").lstrip("\r\n").encode()


@pytest.mark.parametrize("verifies_dkim", [False, True], ids=["dmarc", "dmarc-or-dkim"])
def test_nobody_gets_in_under_another_name_and_nobody_is_answered(
    line: Any, record_property: Callable[[str, object], None], verifies_dkim: bool
) -> None:
    setting = {"AICD_VERIFY_DKIM": "true" if verifies_dkim else "false", "AICD_PLANNER": "off"}
    tick, push = line.function("tick", **setting), line.function("gmail_push", **setting)
    line.call(tick)
    forgeries = list(itertools.product(FROM, BELOW, JUDGED))
    chosen = forgeries[1::3] if not verifies_dkim else forgeries[:: len(forgeries) // 30]
    for number, (sender, below, judged) in enumerate(chosen):
        line.deliver(forge(FROM[sender], BELOW[below], number), **JUDGED[judged])
    assert line.push(push).status_code == 204
    states = Counter(state for (state,) in line.rows("select state from public.messages"))
    assert states == {"REFUSED": len(chosen)}
    assert line.rows("select count(*) from public.specs") == [(0,)]
    assert line.rows("select count(*) from public.outbox") == [(0,)]
    line.call(tick)
    assert line.sent() == []
    reasons = Counter(reason for (reason,) in line.rows("select reason from public.messages"))
    # A refused mail never shadows an honest one: the same Message-ID, from Ada herself.
    line.deliver(forge(FROM["as it is"], "", 0))
    assert line.push(push).status_code == 204
    assert line.rows("select count(*) from public.specs") == [(1,)]
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    figure = (
        f"row 9{', with DKIM' if verifies_dkim else ''}: {len(chosen)} forged mails, 0 accepted, 0 answered ({told})"
    )
    record_property("figure", figure)
    print(figure)
