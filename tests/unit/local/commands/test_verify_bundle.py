"""`aicd verify-bundle`, as it is called, on what publish packs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from action.publish.bundle import pack_bundle
from action.publish.signing import load_signer
from action.runfolder import RunFolder
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import Evidence
from controlplane.plan import Plan, Sprint
from controlplane.report import Report
from local.cli import run

JUNIT = '<testsuite><testcase classname="a" name="x"/></testsuite>'


def write_keys(folder: Path, name: str) -> str:
    """NAME.pem beside the private key, which is returned."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(public)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """bundle.zip, the same unpacked in `bundle`, its signer's key and another's."""
    from action.evidence import read_reports
    from action.gate.judge import judge

    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "j.xml").write_text(JUNIT)
    folder, sprint = RunFolder(tmp_path), Sprint(label="S1", dod=DefinitionOfDone())
    evidence: Evidence = read_reports([Path("reports/j.xml")])
    verdict = judge(sprint.dod, evidence, Plan(sprints=(sprint,)))
    for name, noun in (("sprint", sprint), ("evidence", evidence), ("verdict", verdict)):
        folder.save(name, noun)
    report = Report(
        title="t", repository="acme/calc", branch="b", base="a" * 40, commit="c" * 40, run_id="r", spec_id="s",
        sprint=sprint, verdict=verdict,
    )  # fmt: skip
    packed = pack_bundle(folder, report, None, load_signer(write_keys(tmp_path, "ours")), ())
    assert packed is not None
    write_keys(tmp_path, "other")
    (tmp_path / "bundle.zip").write_bytes(packed)
    with zipfile.ZipFile("bundle.zip") as archive:
        archive.extractall("bundle")
    return tmp_path


@pytest.mark.parametrize("bundle", ["bundle", "bundle.zip"])
@pytest.mark.parametrize(("key", "code"), [("", 0), ("--key ours.pem", 0), ("--key other.pem", 1)])
def test_bundle_is_checked_as_a_file_and_as_a_folder(workplace: Path, bundle: str, key: str, code: int) -> None:
    assert run(["verify-bundle", bundle, *key.split()]) == code


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("none.zip", 2),
        ("bundle --key none.pem", 2),
        ("bundle --key bundle.zip", 1),
        ("ours.pem", 1),
        ("reports", 1),
        ("", 2),
    ],
)
def test_endings_have_their_exit_codes(
    workplace: Path, arguments: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify-bundle", *arguments.split()]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_json_is_one_document(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify-bundle", "bundle.zip", "--key", "ours.pem", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["signature"], document["problems"]) == (True, "trusted", [])
    assert document["manifest"]["result"] == "PASSED"


def test_refusal_says_why(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bundle/reports/j.xml").write_text(JUNIT + "\n")
    Path("bundle/more\x1b[31m").write_text("x")
    assert run(["verify-bundle", "bundle", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)["problems"]
    assert [problem for problem in said if problem.startswith("reports/j.xml was altered")]
    assert run(["verify-bundle", "bundle"]) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_link_in_a_folder_is_refused(workplace: Path) -> None:
    Path("bundle/link").symlink_to("/etc/hostname")
    assert run(["verify-bundle", "bundle"]) == 1


def test_zip_that_was_packed_again_is_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile("again.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(Path("bundle").rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to("bundle").as_posix())
    assert run(["verify-bundle", "again.zip"]) == 1
    assert "packed again" in capsys.readouterr().out
