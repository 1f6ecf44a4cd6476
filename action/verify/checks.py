"""Lint, types and the project's own commands: each in a cell of its own, from the repository root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from action.verify.checkout import Snapshot, write_checkout
from action.verify.environment import Environment
from action.verify.layout import read_ini, read_toml, table
from action.verify.projectfile import Told
from action.verify.sandbox import Cell, Outcome
from controlplane.dod import CustomCheck, DefinitionOfDone

# In the order in which ruff itself looks.
RUFF_CONFIGS = (".ruff.toml", "ruff.toml")
MYPY_CONFIGS = ("mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg")


@dataclass(frozen=True)
class Check:
    """A command to run. `report` names the file its output is kept as; empty when there is only a log.

    `environment` is added to the cell's.
    """

    purpose: Literal["lint", "types", "custom", "unit", "command"]
    id: str
    command: tuple[str, ...]
    report: str = ""
    environment: tuple[tuple[str, str], ...] = ()


# What the repository's own commands may do: write into their checkout, which nobody else looks at.
OWN = ("custom", "unit", "command")


def planned_checks(dod: DefinitionOfDone, head: Snapshot, environment: Environment, told: Told) -> tuple[Check, ...]:
    """The checks that the Definition of Done asks for, and the project's own test commands."""
    makers: list[tuple[bool, Callable[[], Check]]] = [
        (dod.lint_pass is True, lambda: ruff_check(environment)),
        (dod.type_check is True, lambda: mypy_check(head, environment)),
    ]
    made = [make() for wanted, make in makers if wanted]
    return (*made, *(custom_check(custom) for custom in dod.custom), *told_checks(told))


def ruff_check(environment: Environment) -> Check:
    command = (str(environment.program("ruff")), "check", "--output-format", "json", "--no-cache", "--quiet", ".")
    return Check("lint", "ruff", command, "ruff.json")


def mypy_check(head: Snapshot, environment: Environment) -> Check:
    """mypy on what its own configuration names, else on the whole tree with the packages where the tests find them."""
    command = [str(environment.python), "-I", "-P", "-m", "mypy", "--cache-dir", "/dev/null"]
    command += ["--no-color-output", "--error-summary", "--no-pretty"]
    has_src = any(path.startswith("src/") for path in head.entries)
    settings = mypy_settings(head.contents)
    if settings is None:
        command += ["--config-file", ""]  # or it would look for one in the folders above the checkout
    if not any((settings or {}).get(key) for key in ("files", "packages", "modules")):
        command += ["--explicit-package-bases", "."]
    return Check("types", "mypy", tuple(command), "mypy.txt", (("MYPYPATH", "src"),) if has_src else ())


def custom_check(custom: CustomCheck) -> Check:
    return Check("custom", custom.id, ("sh", "-c", custom.run))


def told_checks(told: Told) -> tuple[Check, ...]:
    """The commands of `tests.commands` that our own runs do not stand for; their exit code is all that is asked."""
    return tuple(
        Check("command", f"tests.commands.{number}", ("sh", "-c", command))
        for number, command in enumerate(told.commands, start=1)
    )


def mypy_settings(contents: Mapping[str, bytes]) -> Mapping[str, Any] | None:
    """mypy's own settings as it would find them at the root; None when there are none."""
    for name in MYPY_CONFIGS:
        if name not in contents:
            continue
        if name == "pyproject.toml":
            settings: Mapping[str, Any] = table(read_toml(contents[name]), "tool", "mypy")
        else:
            parser = read_ini(contents[name])
            settings = dict(parser["mypy"]) if parser.has_section("mypy") else {}
        if settings or name in ("mypy.ini", ".mypy.ini"):
            return settings
    return None


def all_mypy_settings(contents: Mapping[str, bytes]) -> dict[str, Any]:
    """mypy's settings, and those for single modules under `PATTERN: NAME`, from the file that it would read."""
    found = dict(mypy_settings(contents) or {})
    for name in MYPY_CONFIGS:
        if name not in contents or (not found and name not in ("mypy.ini", ".mypy.ini")):
            continue
        if name == "pyproject.toml":
            overrides = table(read_toml(contents[name]), "tool", "mypy").get("overrides")
            for one in overrides if isinstance(overrides, list) else ():
                module = one.get("module", "") if isinstance(one, dict) else ""
                for pattern in module if isinstance(module, list) else [module]:
                    found |= {f"{pattern}: {key}": value for key, value in one.items() if key != "module"}
        else:
            parser = read_ini(contents[name])
            for section in parser.sections():
                if section.startswith("mypy-"):
                    found |= {
                        f"{section.removeprefix('mypy-')}: {key}": value for key, value in parser[section].items()
                    }
        break
    found.pop("overrides", None)
    return found


def has_ruff_settings(contents: Mapping[str, bytes]) -> bool:
    """Whether the root configures ruff."""
    pyproject = read_toml(contents.get("pyproject.toml"))
    return any(name in contents for name in RUFF_CONFIGS) or "ruff" in table(pyproject, "tool")


def run_check(check: Check, head: Snapshot, cell: Cell, timeout_seconds: float) -> Outcome:
    """Run in a fresh checkout. Lint and types may not write to it; the project's own commands may."""
    write_checkout(head, cell.tree, cell.owner if check.purpose in OWN else None)
    if check.purpose == "lint" and not has_ruff_settings(head.contents):
        # ruff looks for settings in the folders above; an empty file is how it is told that here is the top.
        (cell.tree / "ruff.toml").write_text("")
    return cell.run(check.command, timeout_seconds=timeout_seconds, environment=dict(check.environment))


def keep_report(check: Check, outcome: Outcome, tree: Path, folder: Path) -> Path | None:
    """Keep what a tool printed as its report, with paths from the root; nothing is kept of one that was stopped."""
    if not check.report or outcome.exit_code is None:
        return None
    path = folder / check.report
    path.write_bytes(outcome.output.replace(f"{tree}/".encode(), b""))
    return path
