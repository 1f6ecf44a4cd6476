"""From paths to Evidence: each file is read by the format it turns out to be, or is named as evidence of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from action.evidence.folder import Found, find_files
from action.evidence.formats import choose_xml_reader, find_json_format, find_text_formats
from action.evidence.guess import guess_kinds, guess_scanner, named_kinds
from action.evidence.jsondoc import load_json, load_json_lines
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.source import HEAD_BYTES, check_size, decode, open_report, shape_of, size_of
from action.evidence.wording import one_line, without_colours
from action.evidence.xmlstream import ForeignDocument, XmlStream
from controlplane.evidence import Evidence, EvidenceFile, Kind
from controlplane.testcase import Cases, Group


def read_reports(paths: Sequence[Path], *, group: Group | None = "") -> Evidence:
    """What the report files at `paths` say; folders are walked. Never raises for what is in a file.

    `group` is stamped on every test case. None leaves them in the groups that the report names, and is for reports that
    we wrote ourselves: in any other one, a group is what somebody would like us to believe. A file that is unreadable
    has every figure None, a problem that says why, and in `could_be` the kinds it may have been. A file found in a
    folder that is simply something else (a page, a picture) is listed too, with an empty `could_be`.
    """
    allowance = Allowance()
    files = [_read_found(found, allowance) for found in find_files(paths)]
    return Evidence(
        files=tuple(_in_group(file, group) for file in files),
        looked_in=tuple(dict.fromkeys(str(path) for path in paths)),
    )


def _in_group(file: EvidenceFile, group: Group | None) -> EvidenceFile:
    """Readers of formats other than JUnit know of no group, so there is nothing to take from their cases."""
    if isinstance(file.cases, Cases):
        return file if group is None else file.model_copy(update={"cases": file.cases.in_group(group)})
    if not group or not file.cases:
        return file
    return file.model_copy(update={"cases": tuple(case.model_copy(update={"group": group}) for case in file.cases)})


def _read_found(found: Found, allowance: Allowance) -> EvidenceFile:
    path = _printable(found.path)
    if found.refusal:
        return _unreadable(path, b"", found.refusal)
    head = b""
    stream: XmlStream | None = None
    try:
        with open_report(found.path) as file:
            allowance.take_bytes(size_of(file))
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if shape_of(head) == "xml":
                stream = XmlStream(lambda root, attributes: choose_xml_reader(root, attributes, allowance))
                check_size(size_of(file), "xml")
                return stream.read(file).finish(path)
            return _read_plain(file, head, path, allowance)
    except UnreadableReport as error:
        kind = stream.reader.kind if stream and stream.reader else None
        return _unreadable(path, head, error.message, kind)
    except ForeignDocument as error:
        return _foreign(found, path, head, f"its root element `{one_line(error.root, 60)}` is of no known format")
    except NotRecognised as error:
        return _foreign(found, path, head, str(error))
    except OSError as error:
        return _unreadable(path, head, f"it cannot be read: {error.strerror or 'unknown reason'}")


class NotRecognised(Exception):
    """The bytes are sound, and of no format in the table."""


def _read_plain(file: BinaryIO, head: bytes, path: str, allowance: Allowance) -> EvidenceFile:
    shape = shape_of(head)
    if not head.strip():
        raise UnreadableReport("it is empty, and nothing is evidence of nothing")
    if shape == "text" and b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotRecognised("it is a binary file")
    check_size(size_of(file), shape)
    data = file.read()
    return _read_json(data, path, allowance) if shape == "json" else _read_text(decode(data), path, allowance)


def _read_json(data: bytes, path: str, allowance: Allowance) -> EvidenceFile:
    try:
        document = load_json(data)
    except UnreadableReport:
        document = load_json_lines(decode(data)) if data.lstrip()[:1] == b"{" else None
        if document is None:
            raise
    form = find_json_format(document)
    if form is None:
        raise NotRecognised("its JSON is of no known format")
    return form.read(document, path, allowance)


def _read_text(text: str, path: str, allowance: Allowance) -> EvidenceFile:
    text = without_colours(text).replace("\r\n", "\n")
    forms = find_text_formats(text)
    if not forms:
        raise NotRecognised("its text is of no known format")
    if len(forms) > 1:
        raise UnreadableReport("it holds the output of more than one tool; write one file for each")
    return forms[0].read(text, path, allowance)


def _unreadable(path: str, head: bytes, reason: str, kind: Kind | None = None) -> EvidenceFile:
    """Evidence of nothing, kept so that the gate can hold it against the criteria it might have fed."""
    could_be = (kind,) if kind else guess_kinds(path, head)
    best = could_be[0] if len(could_be) == 1 else "unknown"
    tool = guess_scanner(path, head) if best == "lint" else ""
    return EvidenceFile(path=path, kind=best, problems=(one_line(reason),), could_be=could_be, tool=tool)


def _foreign(found: Found, path: str, head: bytes, reason: str) -> EvidenceFile:
    """Sound, but nothing we know. Somebody who named it expects it to count, and so does its name."""
    could_be = guess_kinds(path, head) if found.named else named_kinds(path)
    return EvidenceFile(path=path, kind="unknown", problems=(one_line(reason),), could_be=could_be)


def _printable(path: Path) -> str:
    """The path as given; a name that is not text is written with replacement characters."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
