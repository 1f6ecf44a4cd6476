"""Pictures and the list of files on the page: real PNG only, bounded, and named harmlessly."""

from __future__ import annotations

from action.publish.artifacts import Artifact, artifact_of
from action.publish.page import MAX_USEFUL, write_page
from action.publish.screenshots import MAX_PICTURE_BYTES, MAX_PICTURES, PNG, find_screenshots
from controlplane.report import ArtifactNote
from tests.unit.action.publish.conftest import RUN_ID, MakeReport

NASTY = '"><script>x</script>'


def picture(name: str, data: bytes = PNG + b"x") -> Artifact:
    return artifact_of("evidence", name, data)


def test_only_small_png_files_become_pictures() -> None:
    found = find_screenshots(
        [
            picture("e2e-base-results/test-b/shot.png"),
            picture("e2e-base-results/test-a/shot.png"),
            picture("page.png", b"<svg onload=alert(1)>"),
            picture("large.png", PNG + bytes(MAX_PICTURE_BYTES)),
            picture("trace.zip"),
        ]
    )
    assert [one.caption for one in found] == ["test-a · shot", "test-b · shot"]


def test_number_of_pictures_is_bounded() -> None:
    assert len(find_screenshots(picture(f"t/{n}.png") for n in range(99))) == MAX_PICTURES


def test_page_shows_pictures_without_obeying_their_names(make_report: MakeReport) -> None:
    page = write_page(make_report(), {}, find_screenshots([picture(f"a/{NASTY}.png")]))
    assert page.count("<img ") == 1
    assert 'src="data:image/png;base64,' in page
    assert "<script" not in page


def test_page_without_pictures_and_files_has_no_such_sections(make_report: MakeReport) -> None:
    page = write_page(make_report(), {})
    assert 'id="screenshots"' not in page
    assert 'id="kept"' not in page


def test_page_names_the_useful_files_and_no_logs(make_report: MakeReport) -> None:
    kinds = ["log", "evidence", "coverage", "junit", "bundle"]
    kept = [artifact_of(kind, f"{kind}-{n}.bin", b"x").note(RUN_ID) for kind in kinds for n in range(9)]
    page = write_page(make_report(), {}, (), [*kept, ArtifactNote(kind="junit", name=NASTY, content_type="x", size=1)])
    listed = page[page.index('id="kept"') : page.index('id="facts"')]
    assert listed.count("<tr><th") == MAX_USEFUL + 1
    assert listed.index("bundle-0.bin") < listed.index("junit-0.bin")
    assert "log-0.bin" not in listed
    assert "<script" not in page
