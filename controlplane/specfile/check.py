"""One specification, read and judged: bytes → `SpecCheck`. Each step is a file beside this one."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from controlplane.dod import DefinitionOfDone
from controlplane.noun import Noun
from controlplane.spec import Format, Problem, Spec, SpecCheck
from controlplane.spec_limits import MAX_PROBLEMS
from controlplane.specfile.assemble import assemble_letter, assemble_spec
from controlplane.specfile.decode import decode_text
from controlplane.specfile.detect import detect_format, format_of_name
from controlplane.specfile.document import SpecDocument
from controlplane.specfile.json_reader import read_json
from controlplane.specfile.markdown_reader import read_markdown
from controlplane.specfile.ranges import range_of
from controlplane.specfile.rules import check_rules
from controlplane.specfile.tree import Path, Tree, Unreadable, dotted, problem_at
from controlplane.specfile.unknown import describe_unknown, find_unknown, known_keys, section_at
from controlplane.specfile.wording import closest, describe
from controlplane.specfile.yaml_reader import read_yaml

Model = TypeVar("Model", bound=BaseModel)


def check_spec(data: bytes, name: str = "") -> SpecCheck:
    """Read a specification. `name` is a hint at the format and is never used as a path. Never raises for bad input.

    At most 1 MiB, 25,000 lines, 20,000 values and 50 levels are read.
    """
    found: Format = format_of_name(name) or "text"
    try:
        text = decode_text(data)
        found = detect_format(text, name)
        if found == "text":
            return _letter(text, data, found)
        tree, letter = _read(text, found)
    except Unreadable as error:
        return SpecCheck(format=found, problems=(error.problem,))
    if found == "markdown" and not _is_structured(tree):
        return _letter(text, data, found)
    return _judge(tree, letter, data, found)


class DodCheck(Noun):
    """A Definition of Done, or `problems`; `notes` never stop anything."""

    dod: DefinitionOfDone | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def check_dod(data: bytes, name: str = "") -> DodCheck:
    """Read a Definition of Done that stands alone, in YAML or JSON; a single outer key `dod` is allowed."""
    try:
        text = decode_text(data)
        tree = read_json(text) if detect_format(text, name) == "json" else read_yaml(text)
        if isinstance(tree.data, dict) and set(tree.data) == {"dod"}:
            tree = _inner(tree, "dod")
        if not isinstance(tree.data, dict):
            raise Unreadable("The Definition of Done should hold 'key: value' lines, as in 'coverage_min: 0.8'.")
    except Unreadable as error:
        return DodCheck(problems=(error.problem,))
    dod, problems = _validate(tree, DefinitionOfDone)
    unknown = find_unknown(tree, DefinitionOfDone)
    notes = tuple(describe_unknown(tree, unknown, DefinitionOfDone))
    problems = _bounded([*tree.problems, *problems])
    return DodCheck(dod=None if problems else dod, problems=tuple(problems), notes=notes)


def _inner(tree: Tree, key: str) -> Tree:
    cut = {path[1:]: place for path, place in tree.keys.items() if path[:1] == (key,)}
    values = {path[1:]: place for path, place in tree.values.items() if path[:1] == (key,)}
    return Tree(tree.data[key] if tree.data[key] is not None else {}, cut, values, tree.problems)


def _read(text: str, found: Format) -> tuple[Tree, str]:
    if found == "markdown":
        return read_markdown(text)
    tree = read_json(text) if found == "json" else read_yaml(text)
    if tree.data is None:
        raise Unreadable("The document is empty: it holds no key and no value.")
    if not isinstance(tree.data, dict):
        raise Unreadable(
            "A specification is a group of keys. Begin with 'meta:' and, indented below it, 'project:' and 'repo:'.",
            tree.place_of(()),
        )
    return tree, ""


def _is_structured(tree: Tree) -> bool:
    """Markdown without front matter and without a sprint is a letter in nice clothes."""
    meta = tree.data["meta"]
    return bool(tree.problems) or len(tree.data) > 1 or not isinstance(meta, dict) or bool(meta.keys() - {"title"})


def _letter(text: str, data: bytes, found: Format) -> SpecCheck:
    # As a file of another system it ends its lines otherwise, and says the same.
    spec = assemble_letter(text.replace("\r\n", "\n"), _sha256(data), found)
    notes = ["This is a letter: it has no plan of its own, so Claude plans it."]
    if not spec.repo:
        notes.append("The letter names no repository. Write a line such as 'repository: OWNER/NAME'.")
    return SpecCheck(format=found, spec=spec, notes=tuple(notes))


def _judge(tree: Tree, letter: str, data: bytes, found: Format) -> SpecCheck:
    document, problems = _validate(tree, SpecDocument)
    problems = _bounded([*tree.problems, *problems, *check_rules(tree)])
    unknown = find_unknown(tree, SpecDocument)
    notes = describe_unknown(tree, unknown, SpecDocument)
    if problems or document is None:
        return SpecCheck(format=found, problems=tuple(problems), notes=tuple(notes))
    kept: dict[str, Any] = {dotted(path): value for path, value in unknown.items()}
    spec: Spec = assemble_spec(document, kept, letter, _sha256(data), found)
    return SpecCheck(format=found, spec=spec, notes=(*notes, *_plan_notes(spec)))


def _validate(tree: Tree, model: type[Model]) -> tuple[Model | None, list[Problem]]:
    try:
        return model.model_validate(tree.data), []
    except ValidationError as error:
        problems: dict[str, Problem] = {}
        for complaint in error.errors(include_url=False)[: 4 * MAX_PROBLEMS]:
            path = _written_path(tree, complaint["loc"], is_missing=complaint["type"] == "missing")
            numbers = range_of(section_at(path[:-1], model), path[-1] if path else "")
            message = describe(complaint, path, numbers)
            place = tree.place_of(path)
            if complaint["type"] == "missing" and (meant := _misspelt(tree, path, model)):
                place = tree.keys.get((*path[:-1], meant), place)
                message = f"'{path[-1]}' is missing. Line {place.line} has '{meant}' instead: write '{path[-1]}'."
            elif complaint["type"] == "missing" and path == ("meta",) and (outside := _outside_meta(tree)):
                message = f"'meta' is missing. Begin with a line 'meta:' and put {outside} below it, each indented."
            problems.setdefault(dotted(path), problem_at(dotted(path), place, message))
        return None, list(problems.values())


def _written_path(tree: Tree, location: Path, *, is_missing: bool) -> Path:
    """The path without the steps that pydantic adds for the branches of a union."""
    path: Path = ()
    for position, step in enumerate(location):
        value = tree.at(path)
        is_last = is_missing and position == len(location) - 1
        is_key = isinstance(value, dict) and isinstance(step, str) and (step in value or is_last)
        if is_key or (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            path = (*path, step)
    return path


def _misspelt(tree: Tree, path: Path, model: type[BaseModel]) -> str:
    """The unknown neighbour that was probably meant for a missing key."""
    holder = tree.at(path[:-1])
    section = section_at(path[:-1], model)
    if not isinstance(holder, dict) or section is None:
        return ""
    strangers = [key for key in list(holder)[:200] if key not in known_keys(section)]
    return closest(str(path[-1]), strangers)


def _outside_meta(tree: Tree) -> str:
    """What belongs below `meta`, where some of it was written without."""
    keys = tree.data if isinstance(tree.data, dict) else {}
    return "'project' and 'repo'" if {"project", "repo", "repository", "branch"} & keys.keys() else ""


def _bounded(problems: list[Problem]) -> list[Problem]:
    """In the order written, at most `MAX_PROBLEMS`: nobody reads more."""
    ordered = sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))
    if len(ordered) <= MAX_PROBLEMS:
        return ordered
    rest = Problem(path="", message=f"… and {len(ordered) - MAX_PROBLEMS} more problems. Mend these first.")
    return [*ordered[:MAX_PROBLEMS], rest]


def _plan_notes(spec: Spec) -> list[str]:
    if spec.plan is None:
        return ["The specification has no sprint, so Claude plans it."]
    silent = [story.id for sprint in spec.plan.sprints for story in sprint.stories if not story.acceptance]
    notes = []
    if silent:
        notes.append(f"No acceptance line says how to tell that these stories are done: {', '.join(silent[:20])}.")
    empty = [sprint.label for sprint in spec.plan.sprints if not sprint.dod.model_fields_set]
    if empty:
        notes.append(
            f"No Definition of Done is written for {', '.join(empty[:20])}; only unit_pass and integrity hold."
        )
    return notes


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
