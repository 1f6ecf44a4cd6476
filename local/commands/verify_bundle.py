"""`aicd verify-bundle`: is this evidence what was measured, and does the verdict follow from it?"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.errors import CallerError, UsageError
from local.commands.output import print_json

if TYPE_CHECKING:
    from action.publish.unbundle import BundleCheck

app = typer.Typer(add_completion=False)

MAX_BYTES = 200 * 2**20
MAX_FILES = 2000
SAID = {
    "trusted": "signed by the key that was given",
    "self": "signed by the key it names itself; give --key to know whose that is",
    "unsigned": "unsigned: anybody may have made it",
    "unknown": "not checked",
}


@app.command("verify-bundle")
def verify_bundle(
    bundle: Annotated[Path, typer.Argument(help="The bundle: evidence-bundle.zip (or .zip.gz), or its folder.")],
    key: Annotated[Path | None, typer.Option(help="The public key (PEM) that must have signed it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Check an evidence bundle. Ends with 0 when all of it holds, with 1 when it is refused.

    With --key it is refused unless that key signed it. Whether GitHub attested it, GitHub's own program tells:
    gh attestation verify evidence-bundle.zip --repo OWNER/REPOSITORY --signer-workflow WORKFLOW
    (docs/evidence-bundle.md).
    """
    from action.publish.signing import load_public_key
    from action.publish.unbundle import BundleCheck, check_bundle

    public = load_public_key(_read_key(key)) if key is not None else None
    try:
        check = check_bundle(read_bundle(bundle), public)
    except BundleUnreadable as error:
        check = BundleCheck(problems=(error.message,))
    if json:
        print_json(_as_json(check))
    else:
        _print(check)
    return 0 if check.valid else 1


class BundleUnreadable(CallerError):
    """The bundle is not in the form that a bundle has."""

    default_code = "bundle-unreadable"


def read_bundle(path: Path) -> dict[str, bytes]:
    """All files by name; raises BundleUnreadable, or UsageError where there is nothing."""
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise UsageError(f"There is no file or folder {path}.", "Name the bundle's zip, or the folder it lies in.")
    if path.stat().st_size > MAX_BYTES:
        raise BundleUnreadable(f"The file is larger than any bundle ({MAX_BYTES // 2**20} MiB).")
    return _read_zip(_unpacked(path.read_bytes()))


def _unpacked(data: bytes) -> bytes:
    """Storage keeps a larger bundle as `.zip.gz`; a gzip file is never read past what a bundle may be."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            inner = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BundleUnreadable("The gzip file is damaged or cut off.") from error
    if len(inner) > MAX_BYTES:
        raise BundleUnreadable(f"The file unpacks to more than any bundle ({MAX_BYTES // 2**20} MiB).")
    return inner


def _read_folder(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file():
            raise BundleUnreadable(f"{name} is a link or no plain file; a bundle holds none.")
        total += path.stat().st_size
        if total > MAX_BYTES or len(files) >= MAX_FILES:
            raise BundleUnreadable("The folder holds more than any bundle.")
        files[name] = path.read_bytes()
    return files


def _read_zip(data: bytes) -> dict[str, bytes]:
    """Only a zip that is byte for byte what we write: nothing hides between its entries."""
    from action.publish.bundle import zip_files

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_FILES or any(one.compress_type != zipfile.ZIP_STORED for one in entries):
                raise BundleUnreadable("The zip is not written as a bundle is: altered, or packed again.")
            if sum(one.file_size for one in entries) > len(data):
                raise BundleUnreadable("The zip is not written as a bundle is: its sizes are not true.")
            files = {one.filename: archive.read(one) for one in entries}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise BundleUnreadable("The file is no zip, is damaged, or was altered.") from error
    if zip_files(files) != data:
        raise BundleUnreadable(
            "The zip is not written as a bundle is: altered, or packed again. Unpack it to check it."
        )
    return files


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"The key {path} cannot be read.", "Name a PEM file with an ed25519 public key.") from error


def _as_json(check: BundleCheck) -> dict[str, Any]:
    return {
        "valid": check.valid,
        "signature": check.signature,
        "key_id": check.key_id or None,
        "problems": list(check.problems),
        "not_recounted": list(check.not_recounted),
        "manifest": check.manifest.model_dump(mode="json") if check.manifest else None,
    }


def _plain(text: str) -> str:
    """Names in a bundle are anybody's; they do not speak to the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _print(check: BundleCheck) -> None:
    print("The bundle holds." if check.valid else "The bundle is refused.")
    for problem in check.problems:
        print(f"  - {_plain(problem)}")
    print(f"Signature: {SAID[check.signature]}{f' ({check.key_id})' if check.key_id else ''}")
    if check.valid and check.manifest is not None:
        told = check.manifest
        print(f"Verdict: {told.result.value}, computed again from {len(told.files)} files")
        print(_plain(f"Change: {told.repository} {told.base[:12]}..{told.head[:12]}"))
        if check.signature != "trusted" and told.ci_url:
            print("If GitHub attested it: gh attestation verify evidence-bundle.zip --repo OWNER/REPOSITORY")
            print("  --signer-workflow ai-continuous-delivery/aicd/.github/workflows/deliver.yml")
    for name in check.not_recounted:
        print(_plain(f"Not counted again, because it is not in the bundle: {name}"))
