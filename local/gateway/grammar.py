"""The language of PostgREST's query strings, from text to a tree of plain values. Knows no table and writes no SQL.

https://docs.postgrest.org/en/v14/references/api/tables_views.html
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from local.gateway.errors import RestError

OPERATORS = frozenset(
    {"eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch", "in", "is", "isdistinct"}
    | {"fts", "plfts", "phfts", "wfts", "cs", "cd", "ov", "sl", "sr", "nxl", "nxr", "adj"}
)
QUANTIFIED = frozenset({"eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"})
FULL_TEXT = frozenset({"fts", "plfts", "phfts", "wfts"})
AGGREGATES = frozenset({"sum", "avg", "min", "max", "count"})
IS_VALUES = frozenset({"null", "not_null", "true", "false", "unknown"})
# A hostile nesting would otherwise exhaust the stack; no honest query comes near.
DEEPEST = 20


class Tree(BaseModel):
    model_config = ConfigDict(frozen=True)


class Path(Tree):
    """A column, and the way into its JSON: `data->a->>b` is ("data", (("->", "a"), ("->>", "b")))."""

    column: str
    steps: tuple[tuple[str, str], ...] = ()


class Star(Tree):
    """All columns."""


class Field(Tree):
    path: Path
    cast: str | None = None
    alias: str | None = None


class Embed(Tree):
    """Rows of a related table inside each row."""

    name: str
    alias: str | None
    hint: str | None
    is_inner: bool
    items: tuple[Star | Field | Embed, ...]

    @property
    def key(self) -> str:
        return self.alias or self.name


class Comparison(Tree):
    path: Path
    operator: str
    # A list for `in`, text for everything else.
    value: str | tuple[str, ...]
    is_negated: bool = False
    # "any" or "all", and the language of a full text search.
    quantifier: str | None = None
    language: str | None = None


class Logic(Tree):
    operator: str
    is_negated: bool
    conditions: tuple[Comparison | Logic, ...]


class Order(Tree):
    path: Path
    is_descending: bool = False
    nulls: str | None = None


Condition = Comparison | Logic
SelectItem = Star | Field | Embed


def refuse(text: str, reason: str) -> RestError:
    return RestError(400, "PGRST100", f'"failed to parse ({text[:200]})"', details=reason)


class Scanner:
    """A place in a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def peek(self, *options: str) -> str | None:
        return next((option for option in options if self.text.startswith(option, self.at)), None)

    def take(self, *options: str) -> str | None:
        found = self.peek(*options)
        if found is not None:
            self.at += len(found)
        return found

    def need(self, option: str) -> None:
        if self.take(option) is None:
            raise refuse(self.text, f"expected {option!r} at character {self.at}")

    def end(self) -> None:
        if self.at != len(self.text):
            raise refuse(self.text, f"unexpected {self.text[self.at]!r} at character {self.at}")

    def until(self, stops: str) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in stops:
            self.at += 1
        return self.text[start : self.at]

    def quoted(self) -> str | None:
        """A "quoted" word with backslash escapes, or None when none starts here."""
        if self.take('"') is None:
            return None
        letters: list[str] = []
        while self.at < len(self.text):
            letter = self.text[self.at]
            self.at += 1
            if letter == '"':
                return "".join(letters)
            if letter == "\\" and self.at < len(self.text):
                letter = self.text[self.at]
                self.at += 1
            letters.append(letter)
        raise refuse(self.text, "a quoted word has no end")

    def name(self, stops: str) -> str:
        quoted = self.quoted()
        word = quoted if quoted is not None else self._bare_name(stops)
        if not word:
            raise refuse(self.text, f"expected a name at character {self.at}")
        return word

    def path(self, stops: str) -> Path:
        column = self.name(stops)
        steps = []
        while arrow := self.take("->>", "->"):
            steps.append((arrow, self.name(stops)))
        return Path(column=column, steps=tuple(steps))

    def enter(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise refuse(self.text, f"nested more than {DEEPEST} deep")

    def leave(self) -> None:
        self.depth -= 1

    def _bare_name(self, stops: str) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in stops and self.peek("->") is None:
            self.at += 1
        return self.text[start : self.at].strip()


def parse_select(text: str) -> tuple[SelectItem, ...]:
    """`id,owner:user_id,data->>kind,spec:specs!inner(id)`. Empty text means all columns."""
    if not text.strip():
        return (Star(),)
    scanner = Scanner(text)
    items = _select_items(scanner)
    scanner.end()
    return items


def _select_items(scanner: Scanner) -> tuple[SelectItem, ...]:
    items = [_select_item(scanner)]
    while scanner.take(","):
        items.append(_select_item(scanner))
    return tuple(items)


def _select_item(scanner: Scanner) -> SelectItem:
    if scanner.take("*"):
        return Star()
    if scanner.peek("..."):
        raise refuse(scanner.text, "spread embedding is not served by the local gateway")
    stops = ',():!".'
    path = scanner.path(stops)
    alias = None
    if scanner.peek(":") and not scanner.peek("::"):
        scanner.take(":")
        alias, path = path.column, scanner.path(stops)
    if scanner.peek("!", "(") and not path.steps:
        return _embed(scanner, path.column, alias)
    cast = scanner.until(",()") if scanner.take("::") else None
    if scanner.take("."):
        raise RestError(400, "PGRST123", "Use of aggregate functions is not allowed")
    return Field(path=path, cast=cast, alias=alias)


def _embed(scanner: Scanner, name: str, alias: str | None) -> SelectItem:
    if name in AGGREGATES and scanner.peek("()"):
        raise RestError(400, "PGRST123", "Use of aggregate functions is not allowed")
    words = []
    while scanner.take("!"):
        words.append(scanner.name(',():!".'))
    hints = [word for word in words if word not in ("inner", "left")]
    scanner.need("(")
    scanner.enter()
    items = () if scanner.peek(")") else _select_items(scanner)
    scanner.leave()
    scanner.need(")")
    return Embed(name=name, alias=alias, hint=hints[0] if hints else None, is_inner="inner" in words, items=items)


def parse_comparison(key: str, text: str) -> Comparison:
    """One filter of the query string: `key` is the column, `text` like `not.in.(a,"b,c")`."""
    scanner = Scanner(key)
    path = scanner.path("")
    return _comparison(Scanner(text), path, is_nested=False)


def parse_logic(operator: str, text: str, *, is_negated: bool) -> Logic:
    """The value of an `and` or `or` parameter: `(a.eq.1,not.and(b.gt.2,c.is.null))`."""
    scanner = Scanner(text)
    logic = _logic(scanner, operator, is_negated=is_negated)
    scanner.end()
    return logic


def _logic(scanner: Scanner, operator: str, *, is_negated: bool) -> Logic:
    scanner.enter()
    scanner.need("(")
    conditions = [_condition(scanner)]
    while scanner.take(","):
        conditions.append(_condition(scanner))
    scanner.need(")")
    scanner.leave()
    return Logic(operator=operator, is_negated=is_negated, conditions=tuple(conditions))


def _condition(scanner: Scanner) -> Condition:
    while scanner.take(" "):
        pass
    for prefix, is_negated in (("not.", True), ("", False)):
        for operator in ("and", "or"):
            if scanner.peek(f"{prefix}{operator}("):
                scanner.take(f"{prefix}{operator}")
                return _logic(scanner, operator, is_negated=is_negated)
    path = scanner.path('.,()"')
    scanner.need(".")
    return _comparison(scanner, path, is_nested=True)


def _comparison(scanner: Scanner, path: Path, *, is_nested: bool) -> Comparison:
    is_negated = scanner.take("not.") is not None
    operator = scanner.until(".(")
    argument = None
    if scanner.take("("):
        argument = scanner.until(")")
        scanner.need(")")
    scanner.need(".")
    _check_operator(scanner, operator, argument)
    if operator == "in":
        value: str | tuple[str, ...] = _list(scanner)
    elif is_nested:
        value = _nested_value(scanner)
    else:
        value, scanner.at = scanner.text[scanner.at :], len(scanner.text)
    if not is_nested:
        scanner.end()
    if operator == "is" and str(value).lower() not in IS_VALUES:
        raise refuse(scanner.text, "is takes null, not_null, true, false or unknown")
    return Comparison(
        path=path,
        operator=operator,
        value=value,
        is_negated=is_negated,
        quantifier=argument if operator in QUANTIFIED else None,
        language=argument if operator in FULL_TEXT else None,
    )


def _check_operator(scanner: Scanner, operator: str, argument: str | None) -> None:
    if operator not in OPERATORS:
        raise refuse(scanner.text, f"unknown operator {operator!r}")
    fits = operator in FULL_TEXT or (operator in QUANTIFIED and argument in ("any", "all"))
    if argument is not None and not fits:
        raise refuse(scanner.text, f"operator {operator!r} does not take ({argument})")


def _list(scanner: Scanner) -> tuple[str, ...]:
    scanner.need("(")
    if scanner.take(")"):
        return ()
    values = [_element(scanner)]
    while scanner.take(","):
        values.append(_element(scanner))
    scanner.need(")")
    return tuple(values)


def _element(scanner: Scanner) -> str:
    quoted = scanner.quoted()
    return quoted if quoted is not None else scanner.until(",)")


def _nested_value(scanner: Scanner) -> str:
    """Inside a list of conditions a comma or bracket ends the value, unless quoted or within {…}, (…), […]."""
    quoted = scanner.quoted()
    if quoted is not None:
        return quoted
    start = scanner.at
    if scanner.peek("{"):
        _skip_braces(scanner)
    elif scanner.peek("(", "["):
        scanner.until(")]")
        scanner.at += 1
    scanner.until(",)")
    return scanner.text[start : scanner.at]


def _skip_braces(scanner: Scanner) -> None:
    depth = 0
    while scanner.at < len(scanner.text):
        if scanner.peek('"'):
            scanner.quoted()
            continue
        depth += {"{": 1, "}": -1}.get(scanner.text[scanner.at], 0)
        scanner.at += 1
        if depth == 0:
            return


def parse_order(text: str) -> tuple[Order, ...]:
    """`created_at.desc.nullslast,id`"""
    scanner = Scanner(text)
    terms = [_order_term(scanner)]
    while scanner.take(","):
        terms.append(_order_term(scanner))
    scanner.end()
    return tuple(terms)


def _order_term(scanner: Scanner) -> Order:
    path = scanner.path('.,()"')
    if scanner.peek("("):
        raise refuse(scanner.text, "ordering by a related table is not served by the local gateway")
    direction = nulls = None
    while scanner.take("."):
        word = scanner.until(".,")
        if word in ("asc", "desc") and direction is None and nulls is None:
            direction = word
        elif word in ("nullsfirst", "nullslast") and nulls is None:
            nulls = "first" if word == "nullsfirst" else "last"
        else:
            raise refuse(scanner.text, f"unexpected {word!r} in an order")
    return Order(path=path, is_descending=direction == "desc", nulls=nulls)


def parse_names(text: str) -> tuple[str, ...]:
    """A plain list of columns, as in `columns` and `on_conflict`."""
    scanner = Scanner(text)
    names = [scanner.name(',"')]
    while scanner.take(","):
        names.append(scanner.name(',"'))
    scanner.end()
    return tuple(names)
