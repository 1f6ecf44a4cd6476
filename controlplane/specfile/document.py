"""The shape of a specification as people write it: the models that check it, and the JSON Schema made from them.

Every section keeps keys that it does not know (`model_extra`): they become notes, never refusals. Validate with plain
dicts and lists, as a reader of YAML or JSON makes them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from controlplane.dod import DefinitionOfDone
from controlplane.spec_limits import MAX_FILES, MAX_NEEDED
from controlplane.specfile import filepaths, names

_LARGEST_LABEL = 10**15
_NOT_BLANK = r"[^\s\x1c-\x1f]"


def _label_text(value: Any) -> Any:
    """`id: 1` is natural to write; a number with a point would lose its zeros, so it stays a problem."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST_LABEL:
        return value
    return str(int(value)) if value == int(value) else value


Text = Annotated[str, Field(max_length=20_000, pattern=_NOT_BLANK)]
Label = Annotated[
    str,
    AfterValidator(names.check_label),
    BeforeValidator(_label_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": names.LABEL},
                {"type": "integer", "minimum": 0, "maximum": _LARGEST_LABEL},
            ]
        }
    ),
]
Repository = Annotated[
    str,
    AfterValidator(names.check_repository),
    WithJsonSchema({"type": "string", "pattern": names.REPOSITORY, "examples": ["acme/shop"]}),
]
Branch = Annotated[str, AfterValidator(names.check_branch), WithJsonSchema({"type": "string", "pattern": names.BRANCH})]
Address = Annotated[
    str, AfterValidator(names.check_address), WithJsonSchema({"type": "string", "pattern": names.ADDRESS})
]
FilePath = Annotated[
    str, AfterValidator(filepaths.check_file_path), WithJsonSchema({"type": "string", "pattern": filepaths.PATH})
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


class MetaSection(_Section):
    """What this is about, and where it is to be built."""

    project: Text = Field(description="The project's name, as people say it.")
    repo: Repository = Field(description="The repository, OWNER/NAME.")
    branch: Branch | None = Field(
        None, description="The branch to start from and to merge into; default: the repository's own."
    )
    requester_email: Address | None = Field(None, description="Who asks. By mail, the proven sender counts instead.")
    title: Text | None = Field(None, description="One line for the pull request; default: the project's name.")


class StorySection(_Section):
    """One thing somebody wants, and how to tell that he has it."""

    id: Label = Field(description="Unique in the document, for example US1.")
    as_a: Text | None = Field(None, alias="as", description="Who wants it: As a …")
    want: Text | None = Field(None, description="What: I want …")
    so_that: Text | None = Field(None, description="What for: so that …")
    acceptance: list[Text] | None = Field(
        None, description="Sentences that tests must prove. The second of story US1 has the id US1.2."
    )


class SprintSection(_Section):
    """One delivery: one branch, one pull request."""

    id: Label = Field(description="Unique in the document; it names the branch.")
    goals: list[Text] | None = Field(None, description="What the sprint is for.")
    user_stories: list[StorySection] | None = Field(None, description="What is to be built.")
    dod: DefinitionOfDone | None = Field(None, description="What must be measured before the sprint counts as done.")
    depends_on: Annotated[list[Label], Field(max_length=MAX_NEEDED)] | None = Field(
        None,
        description="Ids of earlier sprints that must be done before this one begins. Default: the one before it. "
        "An empty list: none, so that it is built at the same time as others.",
    )


class EpicSection(_Section):
    """A group of sprints."""

    id: Label | None = Field(None, description="A name for the group.")
    title: Text | None = Field(None, description="The group in words.")
    sprints: list[SprintSection] | None = Field(None, description="In the order in which they are to be built.")


class PlanningSection(_Section):
    """The plan. Leave it out, and Claude makes one from the rest."""

    epics: list[EpicSection] | None = Field(None, description="Groups of sprints, in order.")


class TestsSection(_Section):
    """How the project runs its tests, where finding it out is not enough. `true` asks to find it out."""

    unit: Text | bool | None = Field(None, description="The command of the unit tests, or true.")
    e2e: Text | bool | None = Field(None, description="The command of the end-to-end tests, or true.")
    commands: list[Text] | None = Field(None, description="Further commands.")


class PoliciesSection(_Section):
    """How the work is handed over."""

    branch: Branch | None = Field(None, description="The branch to build on; default: aicd/SPEC/SPRINT.")
    review_required: bool | None = Field(None, description="Whether a person must approve. Default true.")
    approval: Annotated[str, Field(pattern="^(none|required)$")] | None = Field(
        None, description="Whether the plan itself waits for approval: none or required."
    )


class FileSection(_Section):
    """A file that comes along and is written as it is."""

    path: FilePath = Field(description="Relative to the root of the repository; protected paths are refused.")
    content: str = Field(description="The file's text.")


class SpecDocument(_Section):
    """A specification for aicd, in YAML or JSON. Unknown keys are kept and reported, never refused."""

    meta: MetaSection
    planning: PlanningSection | None = None
    dod: DefinitionOfDone | None = Field(None, description="Holds for every sprint that does not say otherwise.")
    runtime: dict[str, Any] | None = Field(None, description="Languages and services the project needs, freely.")
    tests: TestsSection | None = None
    policies: PoliciesSection | None = None
    files: Annotated[list[FileSection], Field(max_length=MAX_FILES)] | None = Field(
        None, description="Files that come along."
    )


def spec_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document, for editors. It cannot say that ids are unique; the check does."""
    schema = SpecDocument.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "aicd specification",
        **{key: value for key, value in schema.items() if key != "title"},
    }
