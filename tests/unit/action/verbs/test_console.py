"""What reaches the runner's log is a command only when it is ours."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from action.console import SUMMARY_LIMIT_BYTES, Console, fit_summary
from action.settings import GitHubContext

ON_GITHUB = GitHubContext(actions=True)


def console(github: GitHubContext = ON_GITHUB, secrets: tuple[str, ...] = ()) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(github, secrets, stream), stream


@pytest.mark.parametrize("line", ["::error::x", "  ::set-env name=A::b", "text\n::add-mask::x", "a ##[error]b"])
def test_said_text_of_others_is_no_command(line: str) -> None:
    ours, stream = console()
    ours.say(line)
    for said in stream.getvalue().splitlines():
        assert not said.strip().startswith("::")
        assert "##[" not in said


def test_foreign_output_stands_between_stop_and_a_random_word() -> None:
    ours, stream = console()
    ours.foreign("::error::gotcha\n::endgroup::")
    first, *_, last = stream.getvalue().splitlines()
    word = first.removeprefix("::stop-commands::")
    assert len(word) == 32
    assert last == f"::{word}::"


def test_error_is_one_line_whatever_is_in_it() -> None:
    ours, stream = console()
    ours.error("100 %\nsecond line\r::warning::x", title="a:b,c")
    assert stream.getvalue() == "::error title=a%3Ab%2Cc::100 %25%0Asecond line%0D::warning::x\n"


def test_mask_is_silent_outside_a_workflow() -> None:
    """There it would print the very secret it is to hide."""
    ours, stream = console(GitHubContext())
    ours.mask("canary-0123456789")
    assert stream.getvalue() == ""


def test_secret_is_hidden_in_lines_outputs_and_summary(tmp_path: Path) -> None:
    github = GitHubContext(actions=True, output=tmp_path / "out", step_summary=tmp_path / "summary")
    ours, stream = console(github, ("canary-0123456789",))
    ours.say("x canary-0123456789")
    ours.set_output("a", "canary-0123456789")
    ours.write_summary("canary-0123456789")
    assert "canary" not in stream.getvalue() + (tmp_path / "out").read_text() + (tmp_path / "summary").read_text()


def test_output_of_any_text_is_one_value(tmp_path: Path) -> None:
    github = GitHubContext(actions=True, output=tmp_path / "out")
    ours, _ = console(github)
    ours.set_output("verdict", "a=b\nEOF\nname<<EOF")
    first, *middle, last = (tmp_path / "out").read_text().splitlines()
    assert first == f"verdict<<{last}"
    assert middle == ["a=b", "EOF", "name<<EOF"]


def test_summary_over_the_limit_is_cut_at_a_line_and_says_so() -> None:
    cut = fit_summary("ü" * 99 + "\n" + "line of text ü\n" * 100_000)
    assert len(cut.encode()) <= SUMMARY_LIMIT_BYTES
    assert cut.endswith("_Cut here: the rest is in the full report._\n")
    assert "line of text ü\n\n\n_Cut" in cut


def test_summaries_of_one_step_fit_together(tmp_path: Path) -> None:
    target = tmp_path / "summary.md"
    ours, _ = console(GitHubContext(actions=True, step_summary=target))
    for _ in range(5):
        ours.write_summary("line of text ü\n" * 30_000)
    assert target.stat().st_size <= SUMMARY_LIMIT_BYTES
    assert "Cut here" in target.read_text(encoding="utf-8")


def test_secrets_that_two_threads_keep_at_once_are_both_kept() -> None:
    ours, _ = console(GitHubContext())
    other = threading.Thread(target=ours.keep_secret, args=("the-other-secret",))

    class Meddling(str):
        """While it is sorted in, another one comes."""

        looks = 0

        def __len__(self) -> int:
            self.looks += 1
            if self.looks == 2:
                other.start()
                other.join(0.2)
            return super().__len__()

    ours.keep_secret(Meddling("one-secret"))
    other.join()
    assert set(ours.secrets) == {"one-secret", "the-other-secret"}
