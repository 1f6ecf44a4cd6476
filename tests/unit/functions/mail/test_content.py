"""What a mail asks for: attachments, archives, text, HTML, replies, forwards."""

from __future__ import annotations

import base64
import io
import json
import stat
import textwrap
import zipfile
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from controlplane.message import Message
from controlplane.specfile import check_spec
from functions._shared.mail import read_message

YAML = "meta:\n  project: Shop\n  repo: acme/shop\n  requester_email: ann@good.org\n"
MARKDOWN = "---\nproject: Shop\nrepo: acme/shop\n---\n\n## Sprint 1\n"


def compose(text: str = "Please build this.", *attachments: tuple[str, bytes, str]) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = "ann@good.org", "s@aicd", "x", "<1@good.org>"
    mail.set_content(text)
    for name, content, kind in attachments:
        main, _, sub = kind.partition("/")
        mail.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return mail.as_bytes()


def html_mail(html: str) -> bytes:
    return f"From: ann@good.org\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}".encode()


def plain_mail(text: str, parameters: str = "") -> bytes:
    return f"From: ann@good.org\r\nContent-Type: text/plain; charset=utf-8{parameters}\r\n\r\n{text}".encode()


def found(message: Message) -> list[tuple[str, str]]:
    return [(spec.name, spec.format) for spec in message.specs]


def packed(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "kind", "expected"),
    [
        ("spec.yaml", YAML, "application/yaml", "yaml"),
        ("SPEC.YML", YAML, "application/octet-stream", "yaml"),
        ("spec.json", '{"meta": {}}', "application/json", "json"),
        ("spec.md", MARKDOWN, "text/markdown", "markdown"),
        ("spec.txt", YAML, "text/plain", "yaml"),
        ("note.txt", "just a wish", "text/plain", "text"),
        ("noname", YAML, "application/octet-stream", "yaml"),
    ],
)
def test_attachment_is_known_by_name_or_content(name: str, content: str, kind: str, expected: str) -> None:
    message = read_message(compose("See attached.", (name, content.encode(), kind)))
    assert found(message) == [(name, expected)]
    assert message.specs[0].content == content.encode()
    assert message.body_text == "See attached."


def test_letter_beside_an_attached_specification_is_no_specification() -> None:
    message = read_message(compose(YAML, ("spec.yaml", YAML.encode(), "text/yaml")))
    assert found(message) == [("spec.yaml", "yaml")]


def test_picture_and_signature_are_no_specifications() -> None:
    message = read_message(
        compose("A wish.", ("logo.png", b"\x89PNG", "image/png"), ("s.asc", b"x", "application/pgp-signature"))
    )
    assert found(message) == [("mail text", "text")]


@pytest.mark.parametrize("name", ["../../etc/passwd.yaml", "a\u202egpj.yaml", "x" * 300 + ".yaml", "C:\\x\\s.yaml"])
def test_hostile_file_name_is_only_shown_clean(name: str) -> None:
    message = read_message(compose("x", (name, YAML.encode(), "application/octet-stream")))
    assert message.specs[0].format == "yaml"
    assert len(message.specs[0].name) <= 120
    assert message.specs[0].name.isprintable()


def test_archive_gives_its_files_by_their_last_name() -> None:
    data = packed(("../../a/spec.yaml", YAML.encode()), ("__MACOSX/._x", b"x"), ("readme.bin", b"\0"))
    message = read_message(compose("x", ("all.zip", data, "application/zip")))
    assert found(message) == [("spec.yaml", "yaml")]


def test_link_in_an_archive_is_not_followed() -> None:
    link = zipfile.ZipInfo("spec.yaml")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    message = read_message(compose("", ("all.zip", buffer.getvalue(), "application/zip")))
    assert message.specs == ()
    assert "link" in message.problems[0]


def test_archive_in_an_archive_stays_closed() -> None:
    message = read_message(compose("", ("all.zip", packed(("in.zip", packed(("s.yaml", b"a: 1")))), "application/zip")))
    assert message.specs == ()
    assert "archive in an archive" in message.problems[0]


def test_broken_archive_is_a_problem() -> None:
    assert "cannot be unpacked" in read_message(compose("", ("a.zip", b"PK\3\4junk", "application/zip"))).problems[0]


@pytest.mark.parametrize("kind", ["application/pdf", "application/octet-stream", "text/plain"])
def test_document_that_nobody_reads_is_told(kind: str) -> None:
    message = read_message(compose("See the file.", ("Wishes.PDF", b"%PDF-1.7", kind)))
    assert found(message) == [("mail text", "text")]
    assert "'Wishes.PDF' was not read" in message.problems[0]


def test_picture_in_a_signature_is_not_told() -> None:
    assert read_message(compose("Hello.", ("logo.png", b"x", "image/png"))).problems == ()


UNREAD = {
    "document": ("Spec.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "table": ("prices.csv", "application/vnd.ms-excel"),
    "log": ("app.log", "text/plain"),
    "unknown": ("wishes.xyz", "application/octet-stream"),
    "archive": ("spec.tar.gz", "application/gzip"),
    "Outlook's mail": ("Prices.msg", "application/vnd.ms-outlook"),
    "recording": ("wish.m4a", "audio/mp4"),
    "film": ("wish.mov", "video/quicktime"),
    "winmail": ("winmail.dat", "application/ms-tnef"),
    "secret": ("smime.p7m", "application/pkcs7-mime"),
    "empty archive": ("all.zip", "application/zip"),
}


@pytest.mark.parametrize(("name", "kind"), UNREAD.values(), ids=UNREAD.keys())
def test_attachment_that_is_not_used_is_told(name: str, kind: str) -> None:
    content = packed(("readme.bin", b"\0\1")) if kind == "application/zip" else b"\0\1 no specification"
    message = read_message(compose("A price list, please.", (name, content, kind)))
    assert message.unread == (name,)
    assert len(message.problems) == 1
    assert found(message) == [("mail text", "text")]


@pytest.mark.parametrize(
    "kind", ["text/calendar", "text/vcard", "application/pgp-signature", "application/pkcs7-signature"]
)
def test_attachment_that_programs_add_is_not_told(kind: str) -> None:
    message = read_message(compose("A price list, please.", ("x.bin", b"BEGIN:VCALENDAR", kind)))
    assert (message.unread, message.problems) == ((), ())


@pytest.mark.parametrize(
    ("text", "told"),
    [("", True), ("Please build what the attached picture shows.", True), ("A price list, please.", False)],
)
def test_picture_is_told_where_somebody_may_have_meant_it(text: str, told: bool) -> None:
    message = read_message(compose(text, ("IMG_1.jpg", b"\xff\xd8\xff", "image/jpeg")))
    assert (message.unread == ("IMG_1.jpg",)) is told
    assert ("pictures are not" in "".join(message.problems)) is told


def test_picture_in_the_text_of_a_letter_that_speaks_of_files_is_not_told() -> None:
    part = "Content-Type: image/png; name=logo.png\r\nContent-ID: <logo>\r\n\r\nx"
    head = "From: a@b.org\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    raw = f"{head}--b\r\n\r\nsee attached\r\n--b\r\n{part}\r\n--b--"
    assert read_message(raw.encode()).unread == ()


def test_file_typed_into_the_text_is_told_and_taken_out_of_it() -> None:
    message = read_message(plain_mail("Spec below.\n\nbegin 644 spec.yaml\n#;65T80IX\n`\nend\n\nAnn"))
    assert message.unread == ("spec.yaml",)
    assert message.body_text.split() == ["Spec", "below.", "Ann"]


def test_note_beside_a_specification_is_told_as_not_read() -> None:
    message = read_message(
        compose("x", ("spec.yaml", YAML.encode(), "text/yaml"), ("note.txt", b"more wishes", "text/plain"))
    )
    assert found(message) == [("spec.yaml", "yaml")]
    assert message.left_out == ("'note.txt' was not read, since a specification is attached.",)


def test_wish_in_the_mail_and_in_a_file_is_one_letter() -> None:
    wish = "repository: acme/shop\n\nPlease add a price list, sorted as the file says."
    [spec] = read_message(compose(wish, ("order.txt", b"By name, then by price.", "text/plain"))).specs
    assert (spec.name, spec.format) == ("order.txt", "text")
    assert spec.content.decode() == f"{wish}\n\nBy name, then by price."


def test_too_long_specification_is_handed_on_so_that_its_sender_is_told() -> None:
    message = read_message(compose("x", ("spec.yaml", b"a" * 2_000_000, "application/octet-stream")))
    assert "1 MiB" in check_spec(message.specs[0].content, "spec.yaml").problems[0].message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (YAML, "yaml"),
        ("# my wish\n" + YAML, "yaml"),
        (MARKDOWN, "markdown"),
        ('{"meta": {"project": "x"}}', "json"),
        (f"Hello,\n\nplease build:\n\n{YAML}\n-- \nAnn", "yaml"),
        (f"Hello,\n\n```yaml\n{YAML}```\n\nBest regards\nAnn", "yaml"),
        (f"Hello,\n\n```\n{YAML}```\n\nBest regards\nAnn", "yaml"),
        (f"Hello,\n\n{textwrap.indent(YAML, '    ')}\nI am looking forward to it.\n", "yaml"),
        ('Hello,\n\n{\n  "meta": {"project": "x", "repo": "a/b"}\n}\n\nAnn from the shop says thank you', "json"),
        ('Hello,\n\nour service answers\n\n{"price": 3}\n\nand should answer 4.', "text"),
        (f"{YAML}\nOn Mon, 2 Apr 2012 at 6:26 PM, Bob <b@x.org> wrote:\n> old\n", "yaml"),
        ("Build a shop.", "text"),
        ("meta-discussion: no spec here", "text"),
    ],
)
def test_specification_in_the_text_is_found(text: str, expected: str) -> None:
    message = read_message(plain_mail(text))
    assert found(message) == [("mail text", expected)]
    if expected == "json":
        assert "meta" in json.loads(message.specs[0].content)
    if expected == "yaml":
        assert check_spec(message.specs[0].content, "mail text").valid


def test_preformatted_html_after_a_greeting_is_a_specification() -> None:
    message = read_message(html_mail(f"<p>Hello</p><pre>{YAML}</pre>"))
    assert found(message) == [("mail text", "yaml")]
    assert check_spec(message.specs[0].content, "mail text").valid


def test_html_specification_keeps_its_indentation() -> None:
    html = (
        "<div>meta:<br>&nbsp; project: Shop &amp; Co<br>&nbsp; repo: acme/my_shop</div>"
        "<div>planning:</div><div>&nbsp; epics:</div><div>&nbsp; - sprints:</div><div>&nbsp;&nbsp; &nbsp;- id: s1</div>"
    )
    message = read_message(html_mail(html))
    spec = check_spec(message.specs[0].content, "mail text").spec
    assert spec is not None
    assert (spec.project, spec.repo) == ("Shop & Co", "acme/my_shop")
    assert spec.plan is not None


@pytest.mark.parametrize(
    "hidden",
    [
        '<div style="display: none">EVIL</div>',
        "<span style='font-size:0px'>EVIL</span>",
        "<p hidden>EVIL</p>",
        "<p style='visibility:hidden !important'><b>EVIL</b></p>",
        "<!-- EVIL -->",
        "<style>EVIL</style>",
        "<script>EVIL</script>",
        "<title>EVIL</title>",
        "<div style='max-height:0;overflow:hidden'>EVIL</div>",
        "<div style='opacity:0'>EVIL</div>",
        "<div style='position:absolute;left:-9999px'>EVIL</div>",
    ],
)
def test_hidden_html_is_not_read(hidden: str) -> None:
    text = read_message(html_mail(f"<p>Please build.</p>{hidden}<p>Thank you!</p>")).body_text
    assert " ".join(text.split()) == "Please build. Thank you!"


def test_invisible_characters_are_taken_out() -> None:
    assert read_message(plain_mail("bu\u200bild \u202ethis\U000e0041")).body_text == "build this"


QUOTE = "\n\nOn Mon, Apr 2, 2012 at 6:26 PM, Megan <m@x.org> wrote:\n\n> OLD\n> OLD\n"


@pytest.mark.parametrize(
    "tail",
    [
        QUOTE,
        "\n\nAm 02.04.2012 um 18:26 schrieb Megan <m@x.org>:\n> OLD\n",
        "\n\n-----Original Message-----\nFrom: m@x.org\nSent: Monday\nTo: a@x.org\nSubject: x\n\nOLD\n",
        '\n\n02.04.2012 14:20 пользователь "m@x.org" <\nm@x.org> написал:\n\n> OLD\n',
        "\n-- \nAnn Example\nOLD street 1\n",
        "\n\nBest regards\nAnn OLD\n",
        "\n\nSent from my iPhone\n",
        "\n\n> OLD\n",
    ],
)
def test_quotation_and_signature_are_cut(tail: str) -> None:
    assert read_message(plain_mail(f"Add a basket:\n- it adds up\n  - always{tail}")).body_text == (
        "Add a basket:\n- it adds up\n  - always"
    )


def test_answer_below_a_quotation_is_kept() -> None:
    assert read_message(plain_mail(f"{QUOTE.lstrip()}\nYes, please.\n")).body_text == "Yes, please."


def test_thanks_in_the_middle_is_no_signature() -> None:
    text = "Hello,\nThanks, that was good. Now please add a long list of things that we all want to see in the shop."
    assert read_message(plain_mail(text)).body_text == text


def test_forwarded_mail_is_what_its_sender_asks_for() -> None:
    above = "FYI\n\n---------- Forwarded message ---------\nFrom: Bob <b@x.org>\nDate: Mon\nSubject: x\nTo: a@x.org"
    text = f"{above}\n\n{YAML}"
    assert found(read_message(plain_mail(text))) == [("mail text", "yaml")]


def test_mail_forwarded_as_an_attachment_is_opened() -> None:
    inner = compose("See attached.", ("spec.yaml", YAML.encode(), "text/yaml"))
    raw = b"From: ann@good.org\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    assert found(read_message(raw)) == [("spec.yaml", "yaml")]


def test_flowed_text_is_joined() -> None:
    assert read_message(plain_mail("one \r\ntwo\r\n from", "; format=flowed")).body_text == "one two\nfrom"


@pytest.mark.parametrize("charset", ["utf-8", "no-such-charset", "punycode", "idna", "x" * 500])
def test_wrong_charset_still_gives_text(charset: str) -> None:
    raw = f"From: a@b.org\r\nContent-Type: text/plain; charset={charset}\r\n\r\nKäse".encode()
    assert read_message(raw).body_text == "Käse"


def test_base64_text_with_foreign_characters_is_read() -> None:
    coded = base64.b64encode(b"Please build.").decode().rstrip("=") + "!!"
    raw = f"From: a@b.org\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{coded}".encode()
    assert read_message(raw).body_text == "Please build."


@pytest.mark.parametrize(
    ("headers", "thread"),
    [
        ("References: <root@x> <mid@x>\r\nIn-Reply-To: <mid@x>\r\nMessage-ID: <me@x>", "<root@x>"),
        ("In-Reply-To: <mid@x>\r\nMessage-ID: <me@x>", "<mid@x>"),
        ("Message-ID: <me@x>", "<me@x>"),
    ],
)
def test_thread_is_the_first_mail_of_the_conversation(headers: str, thread: str) -> None:
    assert read_message(f"From: a@b.org\r\n{headers}\r\n\r\nx".encode()).thread == thread


def test_missing_message_id_is_made_from_the_content() -> None:
    raw = b"From: a@b.org\r\n\r\nx"
    first, second, other = read_message(raw), read_message(raw), read_message(raw + b"y")
    assert first.rfc_message_id == second.rfc_message_id == first.thread
    assert first.rfc_message_id != other.rfc_message_id
    assert first.notes


def test_subject_cannot_carry_a_header() -> None:
    subject = read_message(b"From: a@b.org\r\nSubject: =?utf-8?q?x=0D=0ABcc:_eve=40evil.org?=\r\n\r\nx").subject
    assert subject == "x Bcc: eve@evil.org"


def test_empty_body_carries_nothing() -> None:
    message = read_message(b"From: a@b.org\r\nSubject: x\r\n\r\n")
    assert (message.specs, message.body_text) == ((), "")
