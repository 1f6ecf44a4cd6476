"""Keys that no section knows: kept and told, with the word that was probably meant, never refused."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from controlplane.dod import CustomCheck, DefinitionOfDone
from controlplane.spec_limits import MAX_NOTES
from controlplane.specfile import document
from controlplane.specfile.tree import Path, Tree, dotted
from controlplane.specfile.wording import closest

# Which key of a section holds which section (alone or as a list).
_SECTIONS: dict[type[BaseModel], dict[str, type[BaseModel]]] = {
    document.SpecDocument: {
        "meta": document.MetaSection,
        "planning": document.PlanningSection,
        "dod": DefinitionOfDone,
        "tests": document.TestsSection,
        "policies": document.PoliciesSection,
        "files": document.FileSection,
    },
    document.PlanningSection: {"epics": document.EpicSection},
    document.EpicSection: {"sprints": document.SprintSection},
    document.SprintSection: {"user_stories": document.StorySection, "dod": DefinitionOfDone},
    DefinitionOfDone: {"custom": CustomCheck},
}


def find_unknown(tree: Tree, model: type[BaseModel]) -> dict[Path, Any]:
    """Every key that its section does not know, with its value, in the order written."""
    found: dict[Path, Any] = {}
    _visit(tree.data, model, (), found)
    return found


def describe_unknown(tree: Tree, unknown: dict[Path, Any], model: type[BaseModel]) -> list[str]:
    """One note for each, at most `MAX_NOTES`."""
    notes = [_note(tree, path, model) for path in list(unknown)[:MAX_NOTES]]
    rest = len(unknown) - len(notes)
    return [*notes, f"… and {rest} more unknown keys."] if rest > 0 else notes


def known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a section as they are written."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


def section_at(path: Path, model: type[BaseModel]) -> type[BaseModel] | None:
    """The section that a path leads into."""
    for step in path:
        if isinstance(step, str):
            inner = _SECTIONS.get(model, {}).get(step)
            if inner is None:
                return None
            model = inner
    return model


def _visit(value: Any, model: type[BaseModel], path: Path, found: dict[Path, Any]) -> None:
    if isinstance(value, list):
        for position, item in enumerate(value):
            if isinstance(item, dict):
                _visit(item, model, (*path, position), found)
    elif isinstance(value, dict):
        known = known_keys(model)
        for key, inner in value.items():
            if key not in known:
                found[(*path, key)] = inner
            elif section := _SECTIONS.get(model, {}).get(key):
                _visit(inner, section, (*path, key), found)


def _note(tree: Tree, path: Path, model: type[BaseModel]) -> str:
    key = str(path[-1])
    section = section_at(path[:-1], model) or model
    meant = closest(key, known_keys(section))
    hint = f" Did you mean '{meant}'?" if meant else ""
    effect = "is not a key we know; it is kept and has no effect"
    if section is DefinitionOfDone:
        effect = "is not a criterion we know; the gate will report it as not measured, and so say no"
    return f"Line {tree.place_of(path).line}: '{dotted(path)}' {effect}.{hint}"
