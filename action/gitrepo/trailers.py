"""The three lines at the end of every commit of ours: whose run, whose spec, which sprint."""

from __future__ import annotations

from pathlib import Path

from action.gitrepo.git import text
from controlplane.noun import Noun


class Trailers(Noun):
    run: str = ""
    spec: str = ""
    sprint: str = ""

    def lines(self) -> str:
        pairs = (("Aicd-Run", self.run), ("Aicd-Spec", self.spec), ("Aicd-Sprint", self.sprint))
        return "\n".join(f"{key}: {' '.join(value.split())}" for key, value in pairs if value)

    def same_sprint(self, other: Trailers) -> bool:
        """True for another attempt at the same sprint of the same spec; a commit without trailers is never ours."""
        return bool(self.spec) and (self.spec, self.sprint) == (other.spec, other.sprint)


def read_trailers(repository: Path, commit: str) -> Trailers:
    """The trailers of one commit; empty fields where it has none."""
    body = text(repository, "log", "-1", "--format=%(trailers:only,unfold)", commit)
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in body.splitlines())}
    return Trailers(run=found.get("Aicd-Run", ""), spec=found.get("Aicd-Spec", ""), sprint=found.get("Aicd-Sprint", ""))
