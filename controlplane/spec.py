"""The specification, as parsed. Reading it from YAML, JSON, Markdown or a letter is controlplane/specfile."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from controlplane.dod import DefinitionOfDone
from controlplane.noun import Noun
from controlplane.plan import Plan

RepositoryName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$")]
Format = Literal["yaml", "json", "markdown", "text"]


class SpecFile(Noun):
    """A file the requester brings along. `path` is relative, normalised, inside the repository and not protected."""

    path: str
    content: str


class TestCommands(Noun):
    """How the project runs its tests, when detection is not enough."""

    __test__ = False

    unit: str | None = None
    e2e: str | None = None
    commands: tuple[str, ...] = ()


class Policies(Noun):
    """`branch` is the branch to build on; None means `aicd/<spec>/<sprint>`."""

    branch: str | None = None
    review_required: bool = True
    approval: Literal["none", "required"] = "none"


class Spec(Noun):
    """What the requester asked for. `plan` is None for a plain letter: Claude plans it.

    `repo` (and with it `project`) is empty only in a letter that names no repository: the door takes the sender's one
    repository, or asks. `dod` is what was written for the whole document; each planned sprint already contains it.
    `sha256` is of the bytes as received; `unknown` keeps what the models do not know, by dotted path.
    """

    project: str
    repo: RepositoryName | Annotated[str, StringConstraints(max_length=0)]
    branch: str | None = None
    requester_email: str | None = None
    title: str = ""
    format: Format
    sha256: str
    plan: Plan | None = None
    dod: DefinitionOfDone | None = None
    runtime: dict[str, Any] = Field(default_factory=dict)
    tests: TestCommands = TestCommands()
    policies: Policies = Policies()
    files: tuple[SpecFile, ...] = ()
    letter: str = ""
    unknown: dict[str, Any] = Field(default_factory=dict)

    @property
    def needs_planning(self) -> bool:
        return self.plan is None


class Problem(Noun):
    """Why a specification cannot be built. `path` is dotted (`planning.epics[0].sprints`), line and column from 1."""

    path: str
    line: int | None = None
    column: int | None = None
    message: str


class SpecCheck(Noun):
    """The answer of reading a specification: a `spec`, or `problems`; `notes` never stop anything."""

    format: Format
    spec: Spec | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        return self.spec is not None and not self.problems
