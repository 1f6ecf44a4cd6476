"""Streaming XML without trust: no entity, no internal subset, no fetch, bounded depth and tokens.

expat tells us of a document type as soon as it is declared, with a flag for its internal subset, so a bomb is refused
before the first entity is declared. An external DOCTYPE alone, as most Cobertura writers emit one, is skipped: expat
fetches nothing unless told to, and we do not tell it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

from action.evidence.limits import MEBIBYTE, XML_ATTRIBUTES, XML_DEPTH, XML_ELEMENTS, XML_TOKEN_BYTES, UnreadableReport
from action.evidence.wording import one_line
from controlplane.evidence import EvidenceFile, Kind

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

# Large enough that a token is looked at only a few times: expat before 2.6 starts it anew with each chunk.
_CHUNK_BYTES = MEBIBYTE
_TEXT_KEPT = 2000


class XmlReader(Protocol):
    """Takes one document's elements; names come without their namespace prefix."""

    kind: Kind

    def start(self, name: str, attributes: dict[str, str]) -> bool:
        """An element begins; the answer says whether its text is wanted."""
        ...

    def end(self, name: str, text: str) -> None:
        """An element ends; `text` is empty unless it was wanted."""
        ...

    def finish(self, path: str) -> EvidenceFile:
        """The document was complete."""
        ...


@runtime_checkable
class LeafReader(XmlReader, Protocol):
    """Takes its most frequent element many at a time where nothing stands inside it, else by `start` and `end`.

    `leaf` is that element's name, without a prefix. Leaves come in the order of the document, and before what follows.
    """

    leaf: str

    def add_leaves(self, leaves: list[dict[str, str]]) -> None: ...


ChooseReader = Callable[[str, dict[str, str]], XmlReader | None]
Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]


class ForeignDocument(Exception):
    """Well-formed so far, and of no format we know. `root` is the name of its first element."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root


class XmlStream:
    """One document on its way through expat. `reader` is None until the root element has been seen."""

    def __init__(self, choose: ChooseReader) -> None:
        self.reader: XmlReader | None = None
        self._choose = choose
        self._elements = 0
        self._text: list[str] = []
        self._leaves: list[dict[str, str]] = []
        self._leaf_reader: LeafReader | None = None
        self._parser = self._make_parser()

    def read(self, stream: BinaryIO) -> XmlReader:
        """Feed the whole stream; raises UnreadableReport or ForeignDocument."""
        from xml.parsers import expat

        try:
            self._feed(stream)
        except expat.ExpatError as error:
            reason = one_line(expat.ErrorString(error.code) or "not well-formed")
            raise UnreadableReport(
                f"the XML is broken or cut off: {reason}, line {error.lineno}, column {error.offset + 1}"
            ) from error
        except (
            ValueError,
            LookupError,
        ) as error:  # an encoding that Python does not know, or that is not one byte wide
            raise UnreadableReport(f"the XML cannot be decoded: {one_line(str(error))}") from error
        if self.reader is None:
            raise UnreadableReport("the XML holds no element")
        return self.reader

    def _feed(self, stream: BinaryIO) -> None:
        fed = 0
        while chunk := stream.read(_CHUNK_BYTES):
            self._parser.Parse(chunk, False)  # noqa: FBT003 - expat's own signature
            fed += len(chunk)
            self._hand_over_leaves()
            if fed - max(self._parser.CurrentByteIndex, 0) > XML_TOKEN_BYTES:
                raise UnreadableReport(f"a single tag or comment is larger than {XML_TOKEN_BYTES // MEBIBYTE} MiB")
        self._parser.Parse(b"", True)  # noqa: FBT003

    def _make_parser(self) -> XMLParserType:
        from xml.parsers import expat

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._make_handlers()
        parser.StartDoctypeDeclHandler = _refuse_internal_subset
        parser.EntityDeclHandler = _refuse_entity
        parser.SkippedEntityHandler = _refuse_entity
        return parser

    def _open(self, root: str, attributes: dict[str, str]) -> XmlReader:
        self.reader = self._choose(root, attributes)
        if self.reader is None:
            raise ForeignDocument(root)
        self._leaf_reader = self.reader if isinstance(self.reader, LeafReader) else None
        return self.reader

    def _make_handlers(self) -> tuple[Start, End]:
        """What expat calls where an element begins and ends.

        Functions over local names, since a large report calls them 200,000 times, and methods cost half as much again.
        """
        reader: XmlReader | None = None
        leaf = ""
        leaves = self._leaves
        add_leaf = leaves.append
        pending: dict[str, str] | None = None  # a leaf, as long as nothing stands inside it
        depth = wanted_depth = 0

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal reader, leaf, pending, depth, wanted_depth
            if name == leaf and pending is None:
                pending = attributes
                return
            if leaves:
                self._hand_over_leaves()
            if reader is None:
                reader = self._open(_local(name), attributes)
                leaf = self._leaf_reader.leaf if self._leaf_reader else ""
            elif pending is not None:
                depth += 1
                reader.start(leaf, pending)
                pending = None
            depth += 1
            self._check(depth, attributes)
            if reader.start(_local(name), attributes):
                wanted_depth = depth
                self._start_collecting()

        def end(name: str) -> None:
            nonlocal pending, depth, wanted_depth
            if pending is not None:
                add_leaf(pending)
                pending = None
                return
            if leaves:
                self._hand_over_leaves()
            assert reader is not None  # an element ends only after one began
            text = ""
            if depth == wanted_depth:
                wanted_depth = 0
                text = self._stop_collecting()
            depth -= 1
            reader.end(_local(name), text)

        return start, end

    def _check(self, depth: int, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > XML_ELEMENTS:
            raise UnreadableReport(f"the XML has more than {XML_ELEMENTS:,} elements")
        if depth > XML_DEPTH:
            raise UnreadableReport(f"the XML is nested deeper than {XML_DEPTH}")
        if len(attributes) > XML_ATTRIBUTES:
            raise UnreadableReport(f"an element has more than {XML_ATTRIBUTES} attributes")

    def _hand_over_leaves(self) -> None:
        if self._leaf_reader is not None and self._leaves:
            self._leaf_reader.add_leaves(self._leaves)
            self._leaves.clear()

    def _start_collecting(self) -> None:
        self._text.clear()
        self._parser.CharacterDataHandler = self._collect

    def _collect(self, text: str) -> None:
        self._text.append(text[:_TEXT_KEPT])
        if sum(map(len, self._text)) > _TEXT_KEPT:
            self._parser.CharacterDataHandler = None

    def _stop_collecting(self) -> str:
        self._parser.CharacterDataHandler = None
        text = "".join(self._text)
        self._text.clear()
        return text


def _local(name: str) -> str:
    """The name without its namespace's prefix."""
    return name.rpartition(":")[2] if ":" in name else name


def _refuse_internal_subset(_name: str, _system: str | None, _public: str | None, has_internal_subset: int) -> None:
    if has_internal_subset:
        raise UnreadableReport("its document type has an internal subset, which is refused (entity bombs live there)")


def _refuse_entity(*_declaration: object) -> None:
    raise UnreadableReport("it declares or uses an entity of its own, which is refused")
