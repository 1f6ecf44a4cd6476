"""A checked document → the `Spec` noun."""

from __future__ import annotations

import re
from typing import Any

from controlplane.dod import DefinitionOfDone
from controlplane.plan import AcceptanceLine, Plan, Sprint, Story
from controlplane.spec import Format, Policies, Spec, SpecFile, TestCommands
from controlplane.specfile.document import SpecDocument, SprintSection, StorySection, TestsSection
from controlplane.specfile.names import find_repository

_TITLE_LENGTH = 120
# A letter's first lines say to whom and where; what it is about comes after.
_NO_TITLE = re.compile(
    r"(?:repo|repository)\s{0,8}[:=].{0,200}|[^.?!]{0,30},"
    r"|(?:hello|hi|hey|dear|good|hallo|guten|liebe[rs]?|bonjour|hola|ciao)\b[^.?]{0,30}",
    re.IGNORECASE,
)


def assemble_spec(document: SpecDocument, unknown: dict[str, Any], letter: str, sha256: str, found: Format) -> Spec:
    """`unknown` by dotted path."""
    meta = document.meta
    policies = document.policies
    return Spec(
        project=meta.project.strip(),
        repo=meta.repo,
        branch=meta.branch,
        requester_email=meta.requester_email,
        title=_one_line(meta.title or meta.project),
        format=found,
        sha256=sha256,
        plan=_plan(document),
        dod=document.dod,
        runtime=document.runtime or {},
        tests=_tests(document.tests),
        policies=Policies(**policies.model_dump(include=set(Policies.model_fields), exclude_none=True))
        if policies
        else Policies(),
        files=tuple(SpecFile(path=file.path, content=file.content) for file in document.files or ()),
        letter=letter,
        unknown=unknown,
    )


def assemble_letter(text: str, sha256: str, found: Format) -> Spec:
    """A letter has no plan; the repository is the one it names, empty if it names none or several."""
    repo = find_repository(text)
    lines = [line.strip(" #*\t") for line in text.splitlines() if line.strip(" #*\t")]
    first = next((line for line in lines if not _NO_TITLE.fullmatch(line)), lines[0] if lines else "")
    return Spec(
        project=repo.partition("/")[2], repo=repo, title=_one_line(first), format=found, sha256=sha256, letter=text
    )


def _plan(document: SpecDocument) -> Plan | None:
    epics = (document.planning and document.planning.epics) or ()
    sprints = tuple(_sprint(sprint, document.dod) for epic in epics for sprint in epic.sprints or ())
    return Plan(sprints=sprints) if sprints else None


def _sprint(section: SprintSection, shared: DefinitionOfDone | None) -> Sprint:
    return Sprint(
        label=section.id,
        goals=tuple(section.goals or ()),
        stories=tuple(_story(story) for story in section.user_stories or ()),
        dod=_merged(shared, section.dod),
        depends_on=None if section.depends_on is None else tuple(section.depends_on),
    )


def _merged(shared: DefinitionOfDone | None, own: DefinitionOfDone | None) -> DefinitionOfDone:
    """The sprint's own keys win over those written for the whole document."""
    if shared is None or own is None:
        return own or shared or DefinitionOfDone()
    return DefinitionOfDone.model_validate(
        {**shared.model_dump(exclude_unset=True), **own.model_dump(exclude_unset=True)}
    )


def _story(section: StorySection) -> Story:
    return Story(
        id=section.id,
        as_a=section.as_a or "",
        want=section.want or "",
        so_that=section.so_that or "",
        acceptance=tuple(
            AcceptanceLine(id=f"{section.id}.{position}", text=text)
            for position, text in enumerate(section.acceptance or (), start=1)
        ),
    )


def _tests(section: TestsSection | None) -> TestCommands:
    """`true` asks for detection, and `false` for no command: neither is a command."""
    if section is None:
        return TestCommands()
    return TestCommands(
        unit=section.unit if isinstance(section.unit, str) else None,
        e2e=section.e2e if isinstance(section.e2e, str) else None,
        commands=tuple(section.commands or ()),
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1] + "…"
