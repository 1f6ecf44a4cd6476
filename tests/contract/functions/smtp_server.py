"""A mail server that keeps to RFC 5321 and holds its client to it: whatever it would have to forgive is a problem.

It plays bad days by the step at which they happen: a reply such as `550 5.1.1 No such user`, `cut`, `hang`, `dribble`.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import email
import email.policy
import ipaddress
import re
import socketserver
import ssl
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "sender@inbox.example", "p@ss/word:canary"
HANG_SECONDS = 30
DRIBBLED = 120
# Section 4.5.3.1.
MOST_COMMAND_BYTES, MOST_LINE_BYTES = 512, 1_000
_PATH = rb"<([^<>\s@]{1,64}@[A-Za-z0-9.-]{1,255})>"
_EHLO = re.compile(rb"(?:\[\d{1,3}(?:\.\d{1,3}){3}\]|\[IPv6:[0-9a-f:.]+\]|[A-Za-z0-9.-]+)")


@dataclass(frozen=True)
class Received:
    """One mail that was taken in, as it came."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    secured: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        found = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found


def make_certificate(folder: Path, host: str = "127.0.0.1") -> Path:
    """A certificate that nobody vouches for but its own maker, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail server of a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@dataclass
class SmtpServer:
    """Use as a context manager. `faults` are played in their order, each once: {step: [fault]}."""

    certificate: Path | None = None
    security: Literal["tls", "starttls", "none"] = "starttls"
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    received: list[Received] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(ConnectionError, ssl.SSLError, _Ended):
                    _Session(outer, self.request).run()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.ended = threading.Event()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, scheme: str, user: str = "sender%40inbox.example", password: str = "p%40ss%2Fword%3Acanary") -> str:
        return f"{scheme}://{user}:{password}@127.0.0.1:{self.port}"

    def context(self) -> ssl.SSLContext:
        assert self.certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        return context


class _Ended(Exception):
    """The conversation is over."""


class _Session:
    """One connection, from the greeting to its end."""

    def __init__(self, server: SmtpServer, connection: Any) -> None:
        self.server = server
        self.connection = connection
        self.secured = False
        self.greeted = False
        self.user = ""
        self.envelope: tuple[str, list[str]] | None = None
        if server.security == "tls":
            self._secure()
        self.file = self.connection.makefile("rb")

    def run(self) -> None:
        try:
            self._reply("GREETING", "220 mail.example ESMTP")
            while True:
                self._command(self._line(MOST_COMMAND_BYTES))
        finally:
            self.file.close()
            self.connection.close()

    def _secure(self) -> None:
        self.connection = self.server.context().wrap_socket(self.connection, server_side=True)
        self.secured = True

    def _line(self, most: int) -> bytes:
        line: bytes = self.file.readline(most + 1)
        if not line:
            raise _Ended
        if not line.endswith(b"\r\n") or line.count(b"\r") != 1 or len(line) > most:
            self.server.problems.append(f"line that does not end in CRLF alone, or is too long: {line[-40:]!r}")
        return line.rstrip(b"\r\n")

    def _send(self, reply: str) -> None:
        self.connection.sendall(reply.encode() + b"\r\n")

    def _reply(self, step: str, usual: str) -> bool:
        """Say what is usual, or play the fault that is planned for the step; whether it was the usual."""
        planned = self.server.faults[step]
        fault = planned.pop(0) if planned else ""
        if fault == "hang":
            self.server.ended.wait(HANG_SECONDS)
        for _ in range(DRIBBLED if fault == "dribble" else 0):
            self.server.ended.wait(0.05)
            self.connection.sendall(b"2")
        if fault in ("cut", "hang", "dribble"):
            raise _Ended
        self._send(fault or usual)
        if fault.startswith("421"):
            raise _Ended
        return not fault or fault.startswith("2")

    def _refuse(self, problem: str) -> None:
        self.server.problems.append(problem)
        self._send(f"503 {problem}")

    def _command(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        self.server.commands.append(verb.decode("ascii", "replace"))
        handlers = {
            b"EHLO": self._ehlo, b"STARTTLS": self._starttls, b"AUTH": self._auth, b"MAIL": self._mail,
            b"RCPT": self._rcpt, b"DATA": self._data, b"QUIT": self._quit,
        }  # fmt: skip
        handler = handlers.get(verb)
        if handler is None:
            self._refuse(f"unknown command {verb[:20]!r}")
        elif not self.greeted and verb not in (b"EHLO", b"QUIT"):
            self._refuse("EHLO first")
        else:
            handler(argument)

    def _ehlo(self, name: bytes) -> None:
        if not _EHLO.fullmatch(name):
            self.server.problems.append(f"EHLO {name!r} is neither a name nor an address literal")
        offers = ["mail.example", "SIZE 1000000", "ENHANCEDSTATUSCODES"]
        offers += ["STARTTLS"] if self.server.security == "starttls" and not self.secured else []
        offers += ["AUTH PLAIN"] if self.secured or self.server.security == "none" else []
        last = offers.pop()
        self.greeted = True
        self._reply("EHLO", "".join(f"250-{offer}\r\n" for offer in offers) + f"250 {last}")

    def _starttls(self, _argument: bytes) -> None:
        if self.server.security != "starttls" or self.secured:
            self._refuse("STARTTLS was not offered")
        elif self._reply("STARTTLS", "220 2.0.0 Ready"):
            self.file.close()
            self._secure()
            self.file = self.connection.makefile("rb")
            self.greeted = False  # RFC 3207, section 4.2

    def _auth(self, argument: bytes) -> None:
        if not self.secured and self.server.security != "none":
            self.server.problems.append("a password without TLS")
        method, _, first = argument.partition(b" ")
        if method.upper() != b"PLAIN":
            self._refuse(f"AUTH {method!r}")
            return
        said = base64.b64decode(first, validate=True).split(b"\0")
        if said == [b"", USER.encode(), PASSWORD.encode()]:
            self.user = USER if self._reply("AUTH", "235 2.7.0 Welcome") else ""
        else:
            self._send("535 5.7.8 Wrong: " + first.decode())

    def _mail(self, argument: bytes) -> None:
        found = re.fullmatch(rb"(?i:FROM):" + _PATH + rb"(?: (?i:SIZE)=(\d+))?", argument)
        if not self.user:
            self._send("530 5.7.0 Authentication required")
        elif found is None:
            self._refuse(f"MAIL {argument!r}")
        elif self._reply("MAIL", "250 2.1.0 Ok"):
            self.envelope = (found[1].decode(), [])

    def _rcpt(self, argument: bytes) -> None:
        found = re.fullmatch(rb"(?i:TO):" + _PATH, argument)
        if self.envelope is None:
            self._refuse("RCPT before MAIL")
        elif found is None:
            self._refuse(f"RCPT {argument!r}")
        elif self._reply("RCPT", "250 2.1.5 Ok"):
            self.envelope[1].append(found[1].decode())

    def _data(self, _argument: bytes) -> None:
        if self.envelope is None or not self.envelope[1]:
            self._refuse("DATA before RCPT")
            return
        if not self._reply("DATA", "354 Go on"):
            return
        lines: list[bytes] = []
        if self.server.faults["MIDDLE"]:
            self._line(MOST_LINE_BYTES)
            self._reply("MIDDLE", "")
        while (line := self._line(MOST_LINE_BYTES)) != b".":
            lines.append(line.removeprefix(b"."))
        raw = b"".join(line + b"\r\n" for line in lines)
        self._look_at(raw)
        planned = self.server.faults["CONTENT"]
        if not planned or planned[0] in ("cut", "hang"):
            sender, recipients = self.envelope
            self.server.received.append(Received(sender, tuple(recipients), raw, self.secured, self.user))
        self.envelope = None
        self._reply("CONTENT", "250 2.0.0 Ok: queued as 4Xy7Qz")

    def _look_at(self, raw: bytes) -> None:
        if not raw.isascii():
            self.server.problems.append("8-bit content without 8BITMIME or SMTPUTF8")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        for name in ("From", "Date", "Message-ID"):
            if len(message.get_all(name, [])) != 1:
                self.server.problems.append(f"{name} must be there once (RFC 5322, section 3.6)")
        self.server.problems += [str(defect) for defect in message.defects]

    def _quit(self, _argument: bytes) -> None:
        self._send("221 2.0.0 Bye")
        raise _Ended
