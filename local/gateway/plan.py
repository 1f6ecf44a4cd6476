"""From the parameters of a request to a tree of what to read: which relation, which rows, which related rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from local.gateway.catalogue import Catalogue, Column, ForeignKey
from local.gateway.errors import RestError
from local.gateway.grammar import (
    Comparison,
    Condition,
    Embed,
    Field,
    Order,
    Star,
    parse_comparison,
    parse_logic,
    parse_order,
    parse_select,
    refuse,
)

BIGGEST = 2**63 - 1


@dataclass
class Link:
    """How the rows of an embedded relation belong to a row around them."""

    # Pairs of column names: ours here, theirs in the embedded relation (or in the junction).
    pairs: tuple[tuple[str, str], ...]
    is_list: bool
    # A table that links two others: its name, and its columns paired with those of the embedded relation.
    junction: str | None = None
    far_pairs: tuple[tuple[str, str], ...] = ()


@dataclass
class Node:
    """A relation to read from, at the root or embedded."""

    relation: str
    columns: dict[str, Column]
    fields: list[Star | Field] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    order: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0
    children: dict[str, tuple[Embed, Link, Node]] = field(default_factory=dict)


def plan_read(
    catalogue: Catalogue,
    parameters: Sequence[tuple[str, str]],
    *,
    relation: str,
    columns: dict[str, Column],
    can_embed: bool = True,
) -> Node:
    """Parse the parameters against a root relation. Raises RestError for what does not parse or does not exist."""
    root = Node(relation=relation, columns=columns)
    selects = [value for key, value in parameters if key == "select"]
    _add_items(catalogue, root, parse_select(selects[-1]) if selects else (Star(),), can_embed=can_embed)
    for key, value in parameters:
        _add_parameter(root, key, value)
    return root


def _add_items(catalogue: Catalogue, node: Node, items: Iterable[Star | Field | Embed], *, can_embed: bool) -> None:
    for item in items:
        if not isinstance(item, Embed):
            node.fields.append(item)
            continue
        if not can_embed:
            raise _no_relationship(node.relation, item.name)
        target, link = find_link(catalogue, node.relation, item)
        child = Node(relation=target, columns=catalogue.relations[target].columns)
        _add_items(catalogue, child, item.items, can_embed=True)
        node.children[item.key] = (item, link, child)


def _add_parameter(root: Node, key: str, value: str) -> None:
    *path, last = _split_key(key)
    is_negated = last in ("and", "or") and bool(path) and path[-1] == "not"
    if is_negated:
        path.pop()
    if last in ("select", "columns", "on_conflict") and not path:
        return
    node = _descend(root, path)
    if last in ("and", "or"):
        node.conditions.append(parse_logic(last, value, is_negated=is_negated))
    elif last == "order":
        node.order = list(parse_order(value))
    elif last == "limit":
        node.limit = _parse_number(value)
    elif last == "offset":
        node.offset = _parse_number(value)
    else:
        node.conditions.append(parse_comparison(last, value))


def _descend(root: Node, path: Sequence[str]) -> Node:
    node = root
    for name in path:
        if name not in node.children:
            raise RestError(
                400,
                "PGRST108",
                f"'{name}' is not an embedded resource in this request",
                hint=f"Verify that '{name}' is included in the 'select' query parameter.",
            )
        node = node.children[name][2]
    return node


def _split_key(key: str) -> list[str]:
    """Cut at the dots that stand outside of quotes; a JSON path stays in one piece."""
    parts, start, is_quoted = [], 0, False
    for at, letter in enumerate(key):
        if letter == '"':
            is_quoted = not is_quoted
        if letter == "." and not is_quoted:
            parts.append(key[start:at])
            start = at + 1
    return [*parts, key[start:]]


def _parse_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > BIGGEST:
        raise refuse(text, "expected a number that is not negative")
    return int(text)


def find_link(catalogue: Catalogue, relation: str, embed: Embed) -> tuple[str, Link]:
    """The related table that an embed names, and how it hangs together. Raises RestError when none or several fit."""
    found = [*_direct_links(catalogue, relation, embed), *_junction_links(catalogue, relation, embed)]
    if not found:
        raise _no_relationship(relation, embed.name)
    if len(found) > 1:
        raise RestError(
            300,
            "PGRST201",
            f"Could not embed because more than one relationship was found for '{relation}' and '{embed.name}'",
            hint="Name the foreign key or its column after an exclamation mark: "
            + ", ".join(f"{embed.name}!{hint}" for hint, _, _ in found),
        )
    return found[0][1], found[0][2]


def _direct_links(catalogue: Catalogue, relation: str, embed: Embed) -> Iterable[tuple[str, str, Link]]:
    for key in catalogue.foreign_keys:
        names = {key.name, *(key.columns if len(key.columns) == 1 else ())}
        if embed.hint is not None and embed.hint not in names:
            continue
        if key.table == relation and embed.name in {key.target, *names}:
            pairs = tuple(zip(key.columns, key.target_columns, strict=True))
            yield key.name, key.target, Link(pairs=pairs, is_list=False)
        # A key from a table to itself would fit both ways; the way up is told by its column, the way down by its name.
        if key.target == relation and embed.name in {key.table, key.name} and key.table != key.target:
            pairs = tuple(zip(key.target_columns, key.columns, strict=True))
            yield key.name, key.table, Link(pairs=pairs, is_list=not key.is_one_to_one)


def _junction_links(catalogue: Catalogue, relation: str, embed: Embed) -> Iterable[tuple[str, str, Link]]:
    for near in catalogue.foreign_keys:
        if near.target != relation or not near.in_primary_key or embed.hint not in (None, near.table):
            continue
        for far in catalogue.foreign_keys:
            if far.table == near.table and far != near and far.target == embed.name and far.in_primary_key:
                yield near.table, far.target, _link_through(near, far)


def _link_through(near: ForeignKey, far: ForeignKey) -> Link:
    return Link(
        pairs=tuple(zip(near.target_columns, near.columns, strict=True)),
        is_list=True,
        junction=near.table,
        far_pairs=tuple(zip(far.columns, far.target_columns, strict=True)),
    )


def _no_relationship(relation: str, name: str) -> RestError:
    return RestError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{relation}' and '{name}' in the schema cache",
        details=f"Searched for a foreign key relationship between '{relation}' and '{name}' in the schema 'public', "
        "but no matches were found.",
    )


def is_embed_filter(node: Node, condition: Condition) -> bool:
    """`spec=not.is.null`: asks whether a related row exists."""
    return (
        isinstance(condition, Comparison)
        and condition.operator == "is"
        and not condition.path.steps
        and condition.path.column in node.children
        and condition.path.column not in node.columns
    )
