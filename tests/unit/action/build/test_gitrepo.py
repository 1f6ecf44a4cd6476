"""Git against an agent that wants to steer it: hooks, configuration, links, and where work may begin and go."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from action.gitrepo.clone import StartingPoint, Wish, fetch_repository
from action.gitrepo.git import Remote, text, translate_refusal
from action.gitrepo.leaks import find_leaks, leaks_on_the_way
from action.gitrepo.protected import find_refusals, is_protected, touched_on_the_way
from action.gitrepo.push import push_branch
from action.gitrepo.trailers import Trailers, read_trailers
from action.gitrepo.workspace import Taken, prepare_workspace, take_work
from controlplane.change import EMPTY_TREE
from controlplane.errors import CallerError, Conflict, NotAllowed, NotFound
from tests.unit.action.conftest import run_git

OWN = Trailers(run="r1", spec="spec-1", sprint="S1")
OTHER = Trailers(run="r9", spec="spec-2", sprint="S1")
WISH = Wish(branch="aicd/spec1/S1", branch_is_named=False)


class Bench:
    """A fetched repository with a workspace at its starting point."""

    def __init__(self, area: Path, origin: Path, wish: Wish = WISH, own: Trailers = OWN) -> None:
        self.remote = Remote(str(origin))
        self.repository, self.workspace = area / "repository", area / "workspace"
        self.point: StartingPoint = fetch_repository(self.remote, self.repository, wish, own)
        self.own = own
        prepare_workspace(self.repository, self.workspace, self.point.base, self.point.branch)

    def take(self, message: str = "Work") -> Taken:
        before = Taken(head=self.point.base, seen=self.point.base)
        return take_work(self.repository, self.workspace, before, message, self.own)

    def push(self, head: str, limit: int = 1000, secrets: tuple[str, ...] = ()) -> None:
        point = self.point
        push_branch(self.remote, self.repository, head, point.branch, point.base, point.remote_head, limit, secrets)

    def refusals(self, head: str, limit: int = 1000) -> list[tuple[str, str]]:
        found = find_refusals(self.repository, self.point.base, head, limit)
        return [(refusal.code, refusal.path) for refusal in found]


@pytest.fixture
def bench(area: Path, origin: Path) -> Bench:
    return Bench(area, origin)


def commit(workspace: Path, name: str, message: str) -> None:
    (workspace / name).parent.mkdir(parents=True, exist_ok=True)
    (workspace / name).write_text(f"{name}\n")
    run_git(workspace, "add", "-A", "-f")
    run_git(workspace, "commit", "-qm", message)


def test_agents_commits_are_kept_in_our_name_with_our_trailers(bench: Bench) -> None:
    commit(bench.workspace, "a.py", "First\n\nAicd-Run: forged\nCo-authored-by: Stranger <s@example.com>")
    commit(bench.workspace, "b.py", "Second, fixes #7 for @octocat")
    (bench.workspace / "c.py").write_text("uncommitted\n")
    head = bench.take("Rest").head
    subjects = text(bench.repository, "log", "--format=%s|%an", f"{bench.point.base}..{head}").splitlines()
    assert [line.split("|")[1] for line in subjects] == ["aicd"] * 3
    assert [line.split("|")[0] for line in subjects] == ["Rest", "Second, fixes #\u200b7 for @\u200boctocat", "First"]
    for one in text(bench.repository, "rev-list", f"{bench.point.base}..{head}").splitlines():
        assert read_trailers(bench.repository, one) == OWN
    assert "Stranger" not in text(bench.repository, "log", "--format=%B", head)


def test_hooks_and_configuration_of_the_agent_never_run(bench: Bench, area: Path) -> None:
    proof = area / "ran"
    script = f"#!/bin/sh\ntouch {proof}\n"
    hooks = bench.workspace / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-commit", "post-checkout", "pre-push", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(script)
        (hooks / name).chmod(0o755)
    (area / "evil.sh").write_text(script)
    (area / "evil.sh").chmod(0o755)
    run = f"{area}/evil.sh"
    (bench.workspace / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    with (bench.workspace / ".git" / "config").open("a") as config:
        config.write(
            f'[core]\n fsmonitor = {run}\n sshCommand = {run}\n[filter "evil"]\n clean = {run}\n smudge = {run}\n'
        )
        config.write(f'[diff "evil"]\n textconv = {run}\n command = {run}\n[uploadpack]\n packObjectsHook = {run}\n')
        config.write(f"[alias]\n add = !{run}\n[credential]\n helper = {run}\n")
    (bench.workspace / "new.py").write_text("x = 1\n")
    head = bench.take().head
    bench.push(head)
    assert text(bench.repository, "show", f"{head}:new.py") == "x = 1"
    assert not proof.exists()


def test_gitignore_is_respected_and_deletions_are_taken(bench: Bench) -> None:
    (bench.workspace / "debug.log").write_text("noise\n")
    (bench.workspace / "tests" / "test_add.py").unlink()
    head = bench.take().head
    assert text(bench.repository, "diff", "--name-status", bench.point.base, head) == "D\ttests/test_add.py"


def test_workspace_without_a_difference_gives_the_base(bench: Bench) -> None:
    assert bench.take().head == bench.point.base


def test_git_folder_that_became_a_link_elsewhere_is_not_followed(bench: Bench, area: Path) -> None:
    secret = area / "secret"
    run_git(area, "init", "-q", str(secret))
    commit(secret, "secret.txt", "Not yours")
    (bench.workspace / ".git").rename(area / "moved")
    (bench.workspace / ".git").symlink_to(secret / ".git")
    (bench.workspace / "x.py").write_text("x\n")
    head = bench.take().head
    assert text(bench.repository, "log", "--format=%s", f"{bench.point.base}..{head}") == "Work"


@pytest.mark.parametrize(
    "path",
    [
        *(".github/workflows/x.yml", ".GITHUB/x", ".github./x", "CODEOWNERS", "docs/CODEOWNERS", ".mcp.json"),
        *(".claude/settings.json", ".gitmodules", ".husky/pre-commit", "sub/.git/config", ".aicd/prompts/build.md"),
    ],
)
def test_protected_path_in_any_spelling_is_known(path: str) -> None:
    assert is_protected(path)


@pytest.mark.parametrize(
    "path", ["src/github.py", "docs/claude.md", ".aicd.yml", "githubish/x", "codeowners.md", ".gitignore"]
)
def test_path_that_only_looks_alike_is_free(path: str) -> None:
    assert not is_protected(path)


def test_change_that_may_not_leave_is_refused_before_the_push(bench: Bench, origin: Path) -> None:
    (bench.workspace / ".github").mkdir()
    (bench.workspace / ".github" / "x.yml").write_text("x\n")
    (bench.workspace / "out").symlink_to("/etc/passwd")
    (bench.workspace / "up").symlink_to("../../x")
    (bench.workspace / "to-ci").symlink_to(".github")
    (bench.workspace / "fine").symlink_to("calc")
    head = bench.take().head
    expected = [("protected-path", ".github/x.yml"), ("symlink-outside", "out")]
    assert bench.refusals(head) == [*expected, ("symlink-outside", "to-ci"), ("symlink-outside", "up")]
    with pytest.raises(NotAllowed, match=r"\.github/x\.yml"):
        bench.push(head)
    assert run_git(origin, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


SECRET = "ghs_canary_a1b2c3d4e5"
NOTHING = "nothing_of_that_kind"


def write_all(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def encoded(text: str) -> bytes:
    return base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", f"TOKEN = '{SECRET}'\n".encode()),
        ("a.bin", b"\0\1" + SECRET.encode() + b"\0"),
        ("notes/ghs_canary_a1b2c3d4e5.txt", b"x\n"),
        ("a.txt", encoded(SECRET)),
        ("a.txt", b"Basic " + encoded(f"x-access-token:{SECRET}")),
        ("a.txt", encoded(f"1{SECRET}")),
        ("a.txt", encoded(f"12{SECRET} and more")),
        ("a.txt", base64.encodebytes(f"{'long ' * 11}{SECRET}{' long' * 20}".encode())),
        ("a.txt", base64.urlsafe_b64encode(b"\xff\xfe\xff" + SECRET.encode())),
    ],
    ids=["line", "binary", "name", "base64", "basic", "shifted", "twice-shifted", "wrapped", "url-safe"],
)
def test_secret_in_a_change_is_refused_and_shown_nowhere(bench: Bench, origin: Path, name: str, content: bytes) -> None:
    write_all(bench.workspace, {name: content, "b.py": b"x = 1\n"})
    head = bench.take().head
    found = find_refusals(bench.repository, bench.point.base, head, 1000, (NOTHING, SECRET))
    assert [(one.code, one.path) for one in found] == [("secret", name.replace(SECRET, "***"))]
    assert SECRET not in str(found)
    with pytest.raises(NotAllowed, match="not pushed") as caught:
        bench.push(head, secrets=(SECRET,))
    assert SECRET not in str(caught.value)
    assert run_git(origin, "branch", "--list", bench.point.branch) == ""


def test_secret_with_characters_of_both_alphabets_is_found_in_each(bench: Bench) -> None:
    secret = "?~>?~>?~>?~>"
    write_all(bench.workspace, {"a": base64.b64encode(secret.encode()), "b": base64.urlsafe_b64encode(secret.encode())})
    assert find_leaks(bench.repository, bench.point.base, bench.take().head, (secret,)) == ("a", "b")


def test_what_the_base_held_already_is_no_leak_of_the_change(area: Path, origin: Path) -> None:
    write_all(area / "clone", {"known.txt": f"{SECRET}\nx\n".encode()})
    run_git(area / "clone", "add", "-A")
    run_git(area / "clone", "commit", "-qm", "Known")
    run_git(area / "clone", "push", "-q", "origin", "main")
    bench = Bench(area, origin)
    write_all(bench.workspace, {"known.txt": f"y\n{SECRET}\nz\n".encode()})
    head = bench.take().head
    assert find_leaks(bench.repository, bench.point.base, head, (SECRET,)) == ()
    bench.push(head, secrets=(SECRET,))
    write_all(bench.workspace, {"known.txt": f"{SECRET}\n{SECRET}\n".encode()})
    assert find_leaks(bench.repository, bench.point.base, bench.take().head, (SECRET,)) == ("known.txt",)


@pytest.mark.parametrize("where", ["message", "file"])
def test_secret_that_a_later_commit_takes_out_is_not_pushed_either(bench: Bench, where: str) -> None:
    commit(bench.workspace, "a.py", f"Use {SECRET}" if where == "message" else "Use it")
    if where == "file":
        (bench.workspace / "a.py").write_text(SECRET)
        run_git(bench.workspace, "commit", "-qam", "Write it")
        (bench.workspace / "a.py").write_text("gone\n")
    head = bench.take().head
    assert find_leaks(bench.repository, bench.point.base, head, (SECRET,)) == ()
    assert leaks_on_the_way(bench.repository, bench.point.base, head, (SECRET,))
    assert not leaks_on_the_way(bench.repository, bench.point.base, head, (NOTHING,))
    with pytest.raises(NotAllowed, match="earlier state or the message"):
        bench.push(head, secrets=(SECRET,))


def test_repository_inside_the_repository_is_refused(bench: Bench) -> None:
    inner = bench.workspace / "vendor"
    run_git(bench.workspace, "init", "-q", str(inner))
    commit(inner, "x.py", "Inner")
    assert bench.refusals(bench.take().head) == [("submodule", "vendor")]


def test_protected_path_touched_on_the_way_is_seen(bench: Bench) -> None:
    """Taken work drops a history like this one; the push looks again all the same."""
    commit(bench.workspace, "CODEOWNERS", "Take over")
    (bench.workspace / "CODEOWNERS").unlink()
    commit(bench.workspace, "ok.py", "Back again")
    run_git(bench.repository, "fetch", "-q", str(bench.workspace), "+HEAD:refs/heads/theirs")
    theirs = text(bench.repository, "rev-parse", "refs/heads/theirs")
    assert touched_on_the_way(bench.repository, bench.point.base, theirs) == ("CODEOWNERS",)
    with pytest.raises(NotAllowed, match="CODEOWNERS"):
        bench.push(theirs)
    head = bench.take().head
    assert touched_on_the_way(bench.repository, bench.point.base, head) == ()
    bench.push(head)


def test_change_over_the_line_limit_is_refused(bench: Bench) -> None:
    (bench.workspace / "long.txt").write_text("x\n" * 50)
    assert bench.refusals(bench.take().head, limit=49) == [("too-large", "")]


def test_giant_files_are_refused_before_they_are_stored(bench: Bench) -> None:
    with (bench.workspace / "big.bin").open("wb") as file:
        file.truncate(200 * 2**20)  # sparse: costs the test nothing
    with pytest.raises(CallerError, match="200 MiB"):
        bench.take()


def test_branch_of_an_earlier_attempt_is_replaced_from_a_fresh_start(area: Path, origin: Path, bench: Bench) -> None:
    (bench.workspace / "one.py").write_text("1\n")
    bench.push(bench.take().head)
    again = Bench(area / "again", origin)
    assert again.point.base == bench.point.base
    (again.workspace / "two.py").write_text("2\n")
    head = again.take().head
    again.push(head)
    again.push(head)  # after a lost answer
    assert run_git(origin, "rev-parse", WISH.branch) == head


def test_branch_of_ours_with_foreign_commits_is_never_overwritten(area: Path, origin: Path, bench: Bench) -> None:
    (bench.workspace / "one.py").write_text("1\n")
    bench.push(bench.take().head)
    with pytest.raises(Conflict, match="not this sprint's"):
        Bench(area / "other", origin, own=OTHER)


def test_branch_that_moved_meanwhile_is_not_overwritten(area: Path, origin: Path, bench: Bench) -> None:
    rival = Bench(area / "rival", origin)
    (rival.workspace / "rival.py").write_text("r\n")
    rival.push(rival.take().head)
    (bench.workspace / "one.py").write_text("1\n")
    with pytest.raises(CallerError, match="moved"):
        bench.push(bench.take().head)


def test_named_branch_is_built_on_top_of_what_it_holds(area: Path, origin: Path) -> None:
    clone = area / "clone"
    run_git(clone, "checkout", "-q", "-b", "feature/x")
    commit(clone, "human.py", "By hand")
    run_git(clone, "push", "-q", "origin", "feature/x")
    wish = Wish(branch="feature/x", branch_is_named=True)
    first = Bench(area / "first", origin, wish)
    assert first.point.base == run_git(clone, "rev-parse", "HEAD")
    (first.workspace / "one.py").write_text("1\n")
    first.push(first.take().head)
    assert Bench(area / "second", origin, wish).point.base == first.point.base


def test_second_sprint_starts_from_the_first_and_targets_its_branch(area: Path, origin: Path, bench: Bench) -> None:
    (bench.workspace / "one.py").write_text("1\n")
    first = bench.take().head
    bench.push(first)
    wish = Wish(branch="aicd/spec1/S2", branch_is_named=False, previous_branch=WISH.branch, previous_commit=first)
    second = Bench(area / "second", origin, wish, Trailers(run="r2", spec="spec-1", sprint="S2"))
    assert (second.point.base, second.point.target) == (first, WISH.branch)
    run_git(origin, "update-ref", "-d", f"refs/heads/{WISH.branch}")
    third = Bench(area / "third", origin, wish, Trailers(run="r2", spec="spec-1", sprint="S2"))
    assert (third.point.base, third.point.target) == (bench.point.base, "main")


def test_empty_repository_starts_from_nothing(area: Path) -> None:
    bare = area / "empty.git"
    run_git(area, "init", "-q", "--bare", str(bare))
    fresh = Bench(area, bare)
    assert (fresh.point.base, fresh.point.target) == (EMPTY_TREE, "")
    (fresh.workspace / "README.md").write_text("hello\n")
    head = fresh.take().head
    fresh.push(head)
    assert run_git(bare, "rev-parse", WISH.branch) == head


def test_target_branch_that_is_not_there_is_named(area: Path, origin: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        Bench(area, origin, WISH.model_copy(update={"target": "nowhere"}))


def test_work_on_the_target_branch_itself_is_refused(area: Path, origin: Path) -> None:
    with pytest.raises(CallerError, match="no pull request"):
        Bench(area, origin, Wish(branch="main", branch_is_named=True))


def test_token_is_in_no_file_and_no_argument(area: Path, origin: Path, bench: Bench) -> None:
    canary = "ghs_canary_0123456789"
    remote = Remote("https://127.0.0.1:1/acme/calc.git", SecretStr(canary))
    assert canary not in repr(remote)
    with pytest.raises(Exception, match="could not reach") as caught:
        fetch_repository(remote, area / "unreachable", WISH, OWN)
    assert canary not in str(caught.value)
    files = [path for path in area.rglob("*") if path.is_file()]
    assert not [path for path in files if canary.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("fatal: Authentication failed for 'https://x'", "git-authentication"),
        ("remote: Permission to a/b denied\nerror: 403", "git-permission"),
        ("fatal: repository 'https://x' not found", "not-found"),
        (" ! [rejected] a -> b (stale info)", "branch-moved"),
        ("remote: error: GH006: Protected branch update failed\n ! [remote rejected]", "push-refused"),
        ("fatal: unable to access: Could not resolve host", "git-unreachable"),
    ],
)
def test_refusal_of_git_becomes_an_error_with_its_code(words: str, code: str) -> None:
    assert translate_refusal(words, "https://x").code == code
