"""Keeping a run's artifacts, 1,000 files of together 500 MB, against raw parallel PUTs of the same files.

Ours is everything that publish does with them: find, cut secrets out, hash, pack, sign, send, and note the row in the
database where there is one. The baseline reads each file and sends it, as many at once. Half of the bytes are logs and
reports, half is dense as pictures and traces are. All is on 127.0.0.1, where bytes cost nothing to send: on a network
the packed half is sent in a fraction of the time. The goal is a ratio of at most 1.2.

AICD_BENCH_FILES and AICD_BENCH_MEGABYTES name other amounts. Each pass is a process of its own, so that its peak of
memory is its own.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import statistics
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr

from action.publish.artifacts import collect_files
from action.publish.shelves import S3Shelf, StorageShelf
from action.publish.upload import UPLOADS_AT_ONCE, upload
from bench.measure import Measure, timed
from bench.sinks import BUCKET, StorageServer, empty_moto, forgetful_server, moto_server, storage_server
from controlplane.s3 import S3Keys, parse_store, presign
from controlplane.store import RunnerStore, connect

ROUNDS = 2
KEYS = S3Keys("bench", SecretStr("bench-secret-0123456789"))
RUN_ID = str(uuid.uuid4())
SECRETS = ("not-in-any-file-0123456789", "nor-is-this-9876543210")
Pass = tuple[float, int]


@dataclass(frozen=True)
class UploadMeasure(Measure):
    """As Measure, with the peak memory of both sides in MiB, the interpreter and its modules included."""

    ours_mib: int
    baseline_mib: int

    def __str__(self) -> str:
        return f"{super().__str__()}; peak memory {self.ours_mib} and {self.baseline_mib} MiB"


def run() -> Iterator[Measure]:
    count = int(os.environ.get("AICD_BENCH_FILES", "1000"))
    size = int(os.environ.get("AICD_BENCH_MEGABYTES", "500"))
    what = f"{count} artifacts of {size} MB"
    with tempfile.TemporaryDirectory(prefix="aicd-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        files = folder / "files"
        write_files(files, count, size * 1_000_000)
        with forgetful_server() as address:
            yield against_s3(f"{what} to S3, a server that forgets", address, files, lambda: None)
        with storage_server(folder) as server:
            yield against_storage(f"{what} to our Storage with a row each", server, files)
        with moto_server() as address:
            yield against_s3(f"{what} to S3, moto's server", address, files, lambda: empty_moto(address))


def write_files(folder: Path, count: int, total: int) -> None:
    """Sizes are spread from a tenth to nineteen tenths of the mean; every second file is a log."""
    chance = random.Random(7)
    dense = chance.randbytes(4_000_000)
    text = "".join(
        f"{chance.choice(('INFO', 'WARN', 'DEBUG'))} module.{chance.randrange(400)} took {chance.random():.9f} s, "
        f"id {chance.getrandbits(64):016x}\n"
        for _ in range(60_000)
    ).encode()
    folder.mkdir()
    for number in range(count):
        size = max(1, int(total / count * (0.1 + 1.8 * (number % 100) / 99)))
        source, suffix = (text, "log") if number % 2 == 0 else (dense, "zip")
        start = chance.randrange(len(source))
        repeated = (source[start:] + source * (size // len(source) + 1))[:size]
        (folder / f"{number:04}.{suffix}").write_bytes(repeated)


def against_s3(name: str, address: str, files: Path, empty: Callable[[], None]) -> Measure:
    return compare(name, lambda: apart(keep_in_s3, address, files), lambda: apart(put_to_s3, address, files), empty)


def against_storage(name: str, server: StorageServer, files: Path) -> Measure:
    return compare(
        name, lambda: apart(keep_in_storage, server, files), lambda: apart(put_to_storage, server, files), server.empty
    )


def compare(name: str, ours: Callable[[], Pass], baseline: Callable[[], Pass], empty: Callable[[], None]) -> Measure:
    pairs = []
    for _ in range(ROUNDS):
        passes = []
        for side in (ours, baseline):
            empty()
            passes.append(side())
        pairs.append(passes)
    return UploadMeasure(
        name,
        statistics.median(pair[0][0] for pair in pairs),
        f"{UPLOADS_AT_ONCE} raw PUTs at once",
        statistics.median(pair[1][0] for pair in pairs),
        ROUNDS,
        max(pair[0][1] for pair in pairs),
        max(pair[1][1] for pair in pairs),
    )


def apart(work: Callable[..., Pass], *arguments: object) -> Pass:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def keep_in_s3(address: str, files: Path) -> Pass:
    with httpx.Client() as client:
        shelf = S3Shelf(parse_store(f"s3://{BUCKET}", address), KEYS, client)
        return measured(lambda: upload(shelf, None, RUN_ID, collect_files([("", files)], SECRETS)))


def put_to_s3(address: str, files: Path) -> Pass:
    place = parse_store(f"s3://{BUCKET}", address)
    with httpx.Client() as client:

        def put(path: Path) -> None:
            client.put(presign(place, KEYS, "PUT", path.name, 900), content=path.read_bytes()).raise_for_status()

        return measured(lambda: at_once(put, files))


def keep_in_storage(server: StorageServer, files: Path) -> Pass:
    store = RunnerStore(connect(server.connection))
    return measured(lambda: upload(StorageShelf(store), store, server.run_id, collect_files([("", files)], SECRETS)))


def put_to_storage(server: StorageServer, files: Path) -> Pass:
    there = server.connection
    headers = {"apikey": there.publishable_key, "Authorization": f"Bearer {there.token.get_secret_value()}"}
    with httpx.Client(base_url=there.url, headers=headers) as client:

        def put(path: Path) -> None:
            address = f"/storage/v1/object/artifacts/{server.run_id}/{uuid.uuid4()}"
            client.post(address, content=path.read_bytes()).raise_for_status()

        return measured(lambda: at_once(put, files))


def at_once(put: Callable[[Path], None], files: Path) -> None:
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for done in [pool.submit(put, path) for path in sorted(files.iterdir())]:
            done.result()


def measured(work: Callable[[], object]) -> Pass:
    seconds = timed(work)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
