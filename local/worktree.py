"""What a maintainer's working tree holds beside the commits that are judged, said so that nobody waits for it."""

from __future__ import annotations

from pathlib import Path

from action.gitrepo.git import git


def describe_unjudged(repo: Path, base: str, head: str) -> list[str]:
    """Notes about a change that is empty, and about work that is not committed. Silent of what git does not know."""
    first, last, checked_out = (_commit(repo, name) for name in (base, head, "HEAD"))
    notes = []
    if first and first == last:
        notes.append(f"the change is empty: base and head are both {first[:12]}. Name another --base or --head")
    files = _count_uncommitted(repo) if last and last == checked_out else 0
    if files:
        what = "1 uncommitted file is" if files == 1 else f"{files} uncommitted files are"
        notes.append(f"{what} not judged: commit {'it' if files == 1 else 'them'} first")
    return notes


def _commit(repo: Path, name: str) -> str:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return git(None, "-C", str(repo), *asked, check=False).stdout.decode().strip()


def _count_uncommitted(repo: Path) -> int:
    """New and changed files that git does not ignore; 0 in a bare repository, which has no working tree."""
    done = git(None, "-C", str(repo), "status", "--porcelain", "--untracked-files=all", "--no-renames", check=False)
    return len(done.stdout.splitlines()) if done.returncode == 0 else 0
