"""The evidence bundle: the same evidence gives the same bytes, and no altered byte goes unseen."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from action.evidence import read_reports
from action.gate.judge import judge
from action.publish.bundle import NAME_FORM, pack_bundle, seal, zip_files
from action.publish.signing import Signer, load_public_key, load_signer
from action.publish.unbundle import BundleCheck, check_bundle
from action.runfolder import RunFolder
from controlplane.bundle import ENVELOPE, BundleManifest, canonical, signed_bytes
from controlplane.dod import DefinitionOfDone
from controlplane.errors import CallerError
from controlplane.evidence import Evidence
from controlplane.plan import Plan, Sprint
from local.commands import verify_bundle
from local.commands.verify_bundle import BundleUnreadable, _read_zip, read_bundle
from tests.unit.action.publish.conftest import MakeReport

JUNIT = '<testsuite><testcase classname="a" name="x"/><testcase classname="a" name="y"/></testsuite>'
SECRET = "canary-0123456789"


def make_key() -> tuple[str, bytes]:
    """A private key in PEM and its raw public half."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, key.public_key().public_bytes_raw()


PEM, PUBLIC = make_key()
SIGNER = load_signer(PEM)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "unit.junit.xml").write_text(JUNIT)
    (reports / "notes.txt").write_text(f"token {SECRET}")
    (reports / "link").symlink_to("/etc/hostname")
    monkeypatch.chdir(tmp_path)
    run = RunFolder(tmp_path)
    sprint = Sprint(label="S1", dod=DefinitionOfDone(tests_min=2))
    evidence = read_reports([Path("reports/unit.junit.xml")])
    for name, noun in (
        ("sprint", sprint),
        ("evidence", evidence),
        ("verdict", judge(sprint.dod, evidence, Plan(sprints=(sprint,)))),
    ):
        run.save(name, noun)
    return run


Pack = Callable[..., dict[str, bytes]]


@pytest.fixture
def pack(folder: RunFolder, make_report: MakeReport) -> Pack:
    def packed(signer: Signer | None = SIGNER, **changes: Any) -> dict[str, bytes]:
        from controlplane.verdict import Verdict

        report = make_report(verdict=folder.load("verdict", Verdict), **changes)
        data = pack_bundle(folder, report, b"diff\n", signer, (SECRET,))
        assert data is not None
        return _read_zip(data)

    return packed


def reseal(files: dict[str, bytes], signer: Signer | None, **changes: Any) -> dict[str, bytes]:
    """As somebody would who can hash and sign, and has altered files or the manifest."""
    manifest = manifest_of(files)
    listed = tuple(
        {"name": name, "size": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
        for name in sorted(files)
        if name != ENVELOPE
    )
    plan = hashlib.sha256(files["sprint.json"]).hexdigest()
    told = {**manifest.model_dump(), "files": listed, "plan_sha256": plan, **changes}
    return {**files, ENVELOPE: seal(BundleManifest.model_validate(told), signer)}


def manifest_of(files: dict[str, bytes]) -> BundleManifest:
    payload = base64.b64decode(json.loads(files[ENVELOPE])["payload"])
    return BundleManifest.model_validate(json.loads(payload)["predicate"])


def refused(check: BundleCheck, reason: str) -> bool:
    return not check.valid and reason in "; ".join(check.problems)


def test_bundle_as_packed_holds(pack: Pack) -> None:
    files = pack()
    check = check_bundle(files, PUBLIC)
    assert (check.problems, check.signature) == ((), "trusted")
    assert sorted(files) == [
        ENVELOPE, "change.patch", "evidence.json", "refusals.json", "reports/notes.txt", "reports/unit.junit.xml",
        "sprint.json", "verdict.json",
    ]  # fmt: skip


def test_envelope_is_dsse_around_an_in_toto_statement(pack: Pack) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    envelope = json.loads(pack()[ENVELOPE])
    payload = base64.b64decode(envelope["payload"])
    statement = json.loads(payload)
    kind = envelope["payloadType"]
    encoded = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(base64.b64decode(envelope["signatures"][0]["sig"]), encoded)
    assert (kind, statement["_type"]) == ("application/vnd.in-toto+json", "https://in-toto.io/Statement/v1")
    assert {"name": "acme/calc", "digest": {"gitCommit": "b" * 40}} in statement["subject"]


def test_same_evidence_gives_the_same_bytes_but_for_the_times(pack: Pack) -> None:
    assert zip_files(pack()) == zip_files(pack())
    later = pack(duration_seconds=99.0, started_at="2030-01-01T00:00:00Z")
    first = pack()
    assert {name for name in first if first[name] != later[name]} == {ENVELOPE}
    assert manifest_of(later).model_copy(update={"times": {}}) == manifest_of(first).model_copy(update={"times": {}})


def test_secrets_are_not_packed(pack: Pack) -> None:
    files = pack()
    assert not [name for name, data in files.items() if SECRET.encode() in data]
    assert files["reports/notes.txt"] == b"token ***"


def test_every_single_altered_byte_is_seen(pack: Pack) -> None:
    files = pack()
    for name, data in files.items():
        for place in range(len(data)):
            altered = bytearray(data)
            altered[place] ^= 1
            check = check_bundle({**files, name: bytes(altered)}, PUBLIC)
            assert not check.valid, (name, place)
            assert check.problems[0]


def test_every_single_altered_byte_of_the_zip_is_seen(pack: Pack) -> None:
    whole = zip_files(pack())
    for place in range(0, len(whole), 7):
        altered = bytearray(whole)
        altered[place] ^= 32
        try:
            files = _read_zip(bytes(altered))
        except CallerError:
            continue
        assert not check_bundle(files, PUBLIC).valid, place


@pytest.mark.parametrize(
    "name", ["verdict.json", "evidence.json", "sprint.json", "refusals.json", "reports/unit.junit.xml", ENVELOPE]
)
def test_file_that_is_gone_is_named(pack: Pack, name: str) -> None:
    files = pack()
    del files[name]
    assert refused(check_bundle(files, PUBLIC), f"{name} is missing")


@pytest.mark.parametrize("name", ["extra.txt", "reports/../../x", "reports/more.xml"])
def test_file_that_was_added_is_named(pack: Pack, name: str) -> None:
    assert refused(check_bundle({**pack(), name: b"x"}, PUBLIC), f"{name} was added")


@pytest.mark.parametrize("signer", [None, SIGNER], ids=["unsigned", "signed"])
def test_verdict_that_does_not_follow_is_refused_even_with_a_new_manifest(pack: Pack, signer: Signer | None) -> None:
    files = pack()
    files["verdict.json"] = files["verdict.json"].replace(b"2 ", b"3 ", 1)
    assert refused(check_bundle(reseal(files, signer)), "not the verdict")


def test_evidence_that_says_more_than_its_report_is_refused(pack: Pack) -> None:
    files = pack()
    files["reports/unit.junit.xml"] = JUNIT.replace('name="y"/>', 'name="y"><failure/></testcase>').encode()
    assert refused(check_bundle(reseal(files, SIGNER), PUBLIC), "does not say what reports/unit.junit.xml says")


def test_report_that_is_not_in_the_bundle_is_refused(pack: Pack) -> None:
    files = pack()
    del files["reports/unit.junit.xml"]
    assert refused(check_bundle(reseal(files, SIGNER), PUBLIC), "not in the bundle")


def test_report_too_large_for_the_bundle_is_told(pack: Pack) -> None:
    files = pack()
    data = files.pop("reports/unit.junit.xml")
    left = {"name": "reports/unit.junit.xml", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    check = check_bundle(reseal(files, SIGNER, left_out=(left,)), PUBLIC)
    assert (check.problems, check.not_recounted) == ((), ("reports/unit.junit.xml",))


def test_easier_definition_of_done_is_refused(pack: Pack) -> None:
    files = pack()
    files["sprint.json"] = files["sprint.json"].replace(b'"tests_min": 2', b'"tests_min": 1')
    assert refused(check_bundle(reseal(files, SIGNER), PUBLIC), "not the verdict")
    assert refused(check_bundle(reseal(files, SIGNER, plan_sha256="0" * 64), PUBLIC), "not the plan")


def test_manifest_with_another_result_is_refused(pack: Pack) -> None:
    assert refused(check_bundle(reseal(pack(), SIGNER, result="FAILED"), PUBLIC), "manifest says FAILED")


def test_signature_of_another_key_is_refused(pack: Pack) -> None:
    other = load_signer(make_key()[0])
    assert refused(check_bundle(pack(signer=other), PUBLIC), "another key")
    files, foreign = pack(), json.loads(pack(signer=other)[ENVELOPE])
    mixed = {**json.loads(files[ENVELOPE]), "signatures": foreign["signatures"]}
    assert refused(check_bundle({**files, ENVELOPE: canonical(mixed)}, PUBLIC), "altered")


def test_signature_over_something_else_is_refused(pack: Pack) -> None:
    files = pack()
    envelope = json.loads(files[ENVELOPE])
    envelope["signatures"][0]["sig"] = base64.b64encode(SIGNER.sign(signed_bytes(b"other"))).decode()
    assert refused(check_bundle({**files, ENVELOPE: canonical(envelope)}, PUBLIC), "does not fit")


def test_signature_that_was_taken_off_is_refused(pack: Pack) -> None:
    files = pack()
    bare = {**json.loads(files[ENVELOPE]), "signatures": []}
    assert refused(check_bundle({**files, ENVELOPE: canonical(bare)}), "signature cannot be read")
    assert refused(check_bundle(pack(signer=None), PUBLIC), "unsigned")


def test_unsigned_bundle_says_so(pack: Pack) -> None:
    check = check_bundle(pack(signer=None))
    assert (check.problems, check.signature, check.key_id) == ((), "unsigned", "")
    assert check_bundle(pack()).signature == "self"


def test_run_without_a_verdict_has_no_bundle(folder: RunFolder, make_report: MakeReport) -> None:
    (folder.path / "verdict.json").unlink()
    assert pack_bundle(folder, make_report(), None, None, ()) is None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b"{}", b"\xff", b'{"payload": 1}', b"[" * 100_000,
        canonical({"payload": 1, "payloadType": "", "signatures": []}),
        canonical({"payload": "e30=", "payloadType": "", "signatures": 3}),
    ],
    ids=range(9),
)  # fmt: skip
def test_envelope_that_is_none_is_refused_in_words(pack: Pack, data: bytes) -> None:
    check = check_bundle({**pack(), ENVELOPE: data})
    assert not check.valid
    assert check.problems[0]


@pytest.mark.parametrize("pem", ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_key_that_is_none_is_an_error_that_does_not_repeat_it(pem: str) -> None:
    with pytest.raises(CallerError, match="openssl"):
        load_signer(pem)
    with pytest.raises(CallerError, match="openssl"):
        load_public_key(pem.encode())


def test_names_that_a_manifest_cannot_hold_are_not_packed() -> None:
    assert not NAME_FORM.fullmatch("reports/a\nb")
    assert not NAME_FORM.fullmatch("/etc/x")
    assert NAME_FORM.fullmatch("reports/ä b[1].xml")


def test_packed_bundle_is_read_as_it_comes_from_storage(pack: Pack, tmp_path: Path) -> None:
    files = pack()
    packed = tmp_path / "evidence-bundle.zip.gz"
    packed.write_bytes(gzip.compress(zip_files(files)))
    assert read_bundle(packed) == files
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(BundleUnreadable, match="cut off"):
        read_bundle(packed)


def test_packed_bundle_is_read_no_further_than_a_bundle_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_bundle, "MAX_BYTES", 2**20)
    bomb = tmp_path / "bomb.zip.gz"
    bomb.write_bytes(gzip.compress(bytes(2**20 + 1)))
    with pytest.raises(BundleUnreadable, match="more than any bundle"):
        read_bundle(bomb)


def test_manifest_names_what_measured_and_claude_where_it_built(folder: RunFolder, pack: Pack) -> None:
    evidence = folder.require("evidence", Evidence, "verify")
    told = {"python": "3.12.1", "pytest": "9.0.1", "git": "2.39.5"}
    folder.save("evidence", evidence.model_copy(update={"tools": told}))
    folder.append("executions.jsonl", {"metadata": {"claude_code": "2.1.329"}})
    tools = manifest_of(pack()).tools
    assert told.items() <= tools.items()
    assert (tools["claude"], tools["judge-python"]) == ("2.1.329", platform.python_version())


@pytest.mark.parametrize(
    "told", ["", "x", "{}", '{"metadata": {"claude_code": {}}}', '{"metadata": {"claude_code": "a\\nb"}}']
)
def test_manifest_names_no_claude_where_nothing_says_so(folder: RunFolder, pack: Pack, told: str) -> None:
    (folder.path / "executions.jsonl").write_text(told)
    assert set(manifest_of(pack()).tools) == {"aicd", "python"}
