"""Our clone over smart HTTP: shallow and complete, and as deep as joining the work of several sprints needs it."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from action.gitrepo.clone import DEPTH, StartingPoint, Wish, fetch_repository
from action.gitrepo.git import Remote, git, text
from action.gitrepo.merge import Needed
from action.gitrepo.trailers import Trailers
from controlplane.errors import CallerError
from tests.contract.doubles.conftest import Double

OWN = Trailers(run="r", spec="spec", sprint="S3")


def grow(bare: Path, branch: str, commits: int, start: str = "refs/heads/main") -> str:
    """A branch of so many commits, each with a file of its own; its last one."""
    lines = [
        f"commit refs/heads/{branch}\ncommitter t <t@example.com> 17000{n:05d} +0000\ndata 1\nx\n"
        for n in range(commits)
    ]
    lines[0] += f"from {start}^0\n" if start else ""
    stream = "".join(f"{line}M 100644 inline {branch}-{n}.txt\ndata 2\nx\n\n" for n, line in enumerate(lines))
    subprocess.run(
        ["git", f"--git-dir={bare}", "fast-import", "--quiet", "--force"], input=stream, text=True, check=True
    )
    return text(bare, "rev-parse", f"refs/heads/{branch}")


class Place:
    def __init__(self, github: Double, folder: Path) -> None:
        name = f"deep-{secrets.token_hex(4)}"
        made = github.control("repos", owner="acme", name=name, files={"README.md": "hello\n"})
        self.bare = github.state / "repos" / "acme" / f"{name}.git"
        self.remote = Remote(made["clone_url"], SecretStr(github.control("tokens")["token"]))
        self.repository = folder / "ours.git"

    def fetch(self, *needed: Needed) -> StartingPoint:
        first = needed[0] if needed else None
        wish = Wish(
            branch="aicd/s3",
            branch_is_named=False,
            previous_branch=first.branch if first else "",
            previous_commit=first.commit if first else "",
            needed=needed,
        )
        return fetch_repository(self.remote, self.repository, wish, OWN)

    def sprint(self, label: str, commits: int, start: str = "refs/heads/main") -> Needed:
        return Needed(label=label, branch=label, commit=grow(self.bare, label, commits, start))

    @property
    def is_shallow(self) -> bool:
        return text(self.repository, "rev-parse", "--is-shallow-repository") == "true"


@pytest.fixture
def place(github: Double, tmp_path: Path) -> Place:
    return Place(github, tmp_path)


def test_clone_is_shallow_and_every_file_of_it_is_there_without_a_token(place: Place) -> None:
    grow(place.bare, "main", DEPTH + 100)
    point = place.fetch()
    assert place.is_shallow
    assert len(text(place.repository, "rev-list", "--all").splitlines()) == DEPTH
    assert git(place.repository, "rev-list", "--objects", "--missing=print", "--all").stdout.count(b"\n?") == 0
    assert git(place.repository, "archive", point.base).returncode == 0


@pytest.mark.parametrize("commits", [DEPTH + 50, DEPTH + 1_500], ids=["a-little", "a-lot"])
def test_histories_that_do_not_meet_yet_are_fetched_until_they_do(place: Place, commits: int) -> None:
    one, two = place.sprint("s1", commits), place.sprint("s2", 3)
    point = place.fetch(one, two)
    assert set(point.below) == {one.commit, two.commit}
    names = text(place.repository, "ls-tree", "--name-only", point.base).splitlines()
    assert {"README.md", "s1-0.txt", f"s1-{commits - 1}.txt", "s2-2.txt"} <= set(names)


def test_work_that_the_other_holds_far_below_needs_no_merge(place: Place) -> None:
    one = place.sprint("s1", 1)
    two = place.sprint("s2", DEPTH + 50, "refs/heads/s1")
    assert place.fetch(one, two).base == two.commit


def test_what_meets_already_is_not_deepened(place: Place) -> None:
    grow(place.bare, "main", DEPTH + 100)
    place.fetch(place.sprint("s1", 2), place.sprint("s2", 2))
    assert place.is_shallow


def test_histories_that_never_meet_are_refused_by_name(place: Place) -> None:
    with pytest.raises(CallerError) as caught:
        place.fetch(place.sprint("s1", DEPTH + 50), place.sprint("s2", 2, ""))
    assert (caught.value.code, "s1 and s2" in caught.value.message) == ("merge-impossible", True)
    assert not place.is_shallow
