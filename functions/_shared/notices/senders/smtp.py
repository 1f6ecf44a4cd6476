"""Mail by SMTP (RFC 5321, 3207, 4954) with the standard library: one connection, one mail.

A server cannot be asked whether a mail went out. Where it breaks off after the content was sent and before it said
what became of it, the mail is sent again with the same Message-ID: at least once, so twice where the first went out.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from email.utils import format_datetime, localtime

from controlplane.errors import AicdError, OutsideError
from functions._shared.notices.bounds import line
from functions._shared.notices.senders.smtp_server import SmtpServer
from functions._shared.outbox.drain import GivenUp

CONNECT_SECONDS = 10.0
# From the greeting to the last reply. The lease of an outbox row lasts longer than this and the preparing of a mail.
WHOLE_SECONDS = 75.0
QUIT_SECONDS = 2.0
# 5yz that speak of the session and not of this mail: whoever runs the server heals them, for all mails.
ABOUT_US = frozenset({502, 503, 504, 530, 534, 535, 538})
# What SMTP without SMTPUTF8 can carry, and nothing that could end a command.
_ADDRESS = re.compile(r"[!-;=?-~]{1,64}@[A-Za-z0-9.-]{1,255}")

Reply = tuple[int, bytes]


class SmtpSender:
    """Sends for one mailbox; building it costs nothing."""

    def __init__(self, server: SmtpServer, mailbox: str, whole_seconds: float = WHOLE_SECONDS) -> None:
        self._server = server
        self._mailbox = mailbox
        self._whole_seconds = whole_seconds

    def find_sent(self, rfc_message_id: str) -> str | None:
        """None, always: SMTP has no such question. It is why a mail may go out twice."""

    def send(self, mail: bytes, _thread_id: str | None) -> str:
        """Send once; the answer is what the server said. The headers make the thread, whose id only Gmail knows."""
        headers = BytesParser(policy=SMTP).parsebytes(mail, headersonly=True)
        sender, recipient = _envelope(self._mailbox), _envelope(_only_recipient(headers))
        dated = mail if headers["Date"] else f"Date: {format_datetime(localtime())}\r\n".encode() + mail
        with _translated(), self._open() as session:
            size = [f"SIZE={len(dated)}"] if session.has_extn("size") else []
            _require("MAIL", session.mail(sender, size))
            _require("RCPT", session.rcpt(recipient))
            return _require("DATA", session.data(dated))

    @contextlib.contextmanager
    def _open(self) -> Iterator[smtplib.SMTP]:
        """A session that may send, and that ends when its time is up, however slowly the server speaks."""
        session = self._connect()
        clock = threading.Timer(self._whole_seconds, _cut, [session])
        clock.daemon = True
        clock.start()
        try:
            self._introduce(session)
            yield session
        finally:
            clock.cancel()
            _leave(session)

    def _connect(self) -> smtplib.SMTP:
        # A name of ours would be looked up by smtplib, and need not exist: an address does as well (section 4.1.3).
        host, port, name = self._server.host, self._server.port, "[127.0.0.1]"
        if self._server.security == "tls":
            return smtplib.SMTP_SSL(host, port, name, timeout=CONNECT_SECONDS, context=ssl.create_default_context())
        return smtplib.SMTP(host, port, name, timeout=CONNECT_SECONDS)

    def _introduce(self, session: smtplib.SMTP) -> None:
        if session.sock is not None:
            session.local_hostname = _literal(session.sock.getsockname()[0])
            session.sock.settimeout(self._whole_seconds)
        if self._server.security == "starttls":
            session.starttls(context=ssl.create_default_context())
        session.ehlo_or_helo_if_needed()
        if self._server.user:
            session.login(self._server.user, self._server.password.get_secret_value())


def _envelope(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise GivenUp(
            "An address of this mail has characters that this way of sending mail cannot carry (SMTPUTF8).",
            fix="Answer from an address in ASCII, or send by Gmail's API.",
            code="smtp-address",
        )
    return address


def _only_recipient(headers: EmailMessage) -> str:
    addresses = [address.addr_spec for address in headers["To"].addresses]
    return addresses[0] if len(addresses) == 1 else ""


def _literal(address: str) -> str:
    plain = address.partition("%")[0]
    return f"[IPv6:{plain}]" if ipaddress.ip_address(plain).version == 6 else f"[{plain}]"


def _cut(session: smtplib.SMTP) -> None:
    """End the connection under a session that waits on it. SSLSocket's own shutdown would go on in plain text."""
    if session.sock is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(session.sock, socket.SHUT_RDWR)


def _leave(session: smtplib.SMTP) -> None:
    """Say goodbye where somebody listens; what was sent stays sent, whatever becomes of this."""
    with contextlib.suppress(smtplib.SMTPException, OSError):
        if session.sock is not None:
            session.sock.settimeout(QUIT_SECONDS)
            session.quit()
    session.close()


def _require(step: str, reply: Reply) -> str:
    """The words of a 2yz reply. Raises for every other."""
    code, words = reply
    if not 200 <= code <= 299:
        raise _refused(step, code, words)
    return _said(words)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPDataError as error:
        raise _refused("DATA", error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPResponseException as error:
        raise _no_session(error.smtp_code) from error
    except ssl.SSLCertVerificationError as error:
        raise OutsideError(
            "The mail server's certificate is not one that we may believe.",
            fix="Correct the host in AICD_SMTP_URL, or the certificate; for an authority of yours set SSL_CERT_FILE.",
            code="smtp-certificate",
        ) from error
    except smtplib.SMTPServerDisconnected as error:
        raise _unreachable() from error
    except smtplib.SMTPException as error:  # no STARTTLS, no AUTH, or none of a kind that we speak
        raise OutsideError(
            "The mail server does not offer what AICD_SMTP_URL asks for: STARTTLS, or a way to log in.",
            fix="Compare the scheme and the port of AICD_SMTP_URL with what the server's operator says.",
            code="smtp-unusable",
        ) from error
    except OSError as error:  # after smtplib's, which are OSErrors, too
        raise _unreachable() from error


def _refused(step: str, code: int, words: bytes | str) -> AicdError:
    """A refusal of this one mail: 4yz is for now, 5yz for good (section 4.2.1)."""
    if not 500 <= code <= 599 or code in ABOUT_US:
        return _no_session(code)
    return GivenUp(
        f"The mail server refuses this mail for good, at {step}: {code} {_said(words)}".rstrip(),
        fix="Heal what it names, then `aicd outbox requeue ID`; or drop the row.",
        code="smtp-refused",
    )


def _no_session(code: int) -> OutsideError:
    """Its words are left out: at a login they may repeat what was said to it."""
    if not 400 <= code <= 599:
        return _unreachable()
    if code < 500:
        return OutsideError(
            f"The mail server cannot take mail now ({code}).",
            fix="Wait; the work is kept and tried again.",
            code="smtp-unavailable",
        )
    return OutsideError(
        f"The mail server does not let us send ({code}).",
        fix="Check user, password and port in AICD_SMTP_URL, and that this user may send as the mailbox.",
        code="smtp-unusable",
    )


def _unreachable() -> OutsideError:
    return OutsideError(
        "The mail server did not answer, or broke off in the middle.",
        fix="Wait; the work is kept and tried again.",
        code="smtp-unreachable",
    )


def _said(words: bytes | str) -> str:
    return line(words.decode("ascii", "replace") if isinstance(words, bytes) else words, 200)
