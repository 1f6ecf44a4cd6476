"""Every cheat and every honest change on real packages, each judged by the `aicd verify` command, as one table.

    python -m tests.acceptance.cheats_on_packages [--package NAME …] [--case NAME …] [--workers N] [--minutes N]

Cheats must be red and honest changes green. Ends with 0 when no cheat was green and at least 95 % of the honest changes
were, with 1 otherwise, and with 77 (skipped) where the packages cannot be fetched and none is in the cache. What the
minutes did not suffice for is counted as not run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from action.verify.options import default_cache_dir
from tests.acceptance import verify_cheats, verify_cheats_code, verify_cheats_tree, verify_honest
from tests.acceptance.verify_packages import Package, commit, git, write
from tests.acceptance.verify_real import SDISTS, NoIndex, Sdist, fetch, make_base

CHEATS = {**verify_cheats.ALL, **verify_cheats_code.ALL, **verify_cheats_tree.ALL}
LEAST_HONEST = 0.95
SKIPPED = 77
# A cheat may make a suite run for ever: verify stops it, and this is what verify itself may take.
VERIFY_SECONDS, CASE_SECONDS = 240, 900
COMMAND = (sys.executable, str(Path(sys.executable).with_name("aicd")))


@dataclass(frozen=True)
class Case:
    """One change of one package, committed as the branch that bears its name."""

    package: str
    name: str
    honest: bool


@dataclass(frozen=True)
class Judged:
    """What `aicd verify` said: `green`, `red`, or `broken` when it gave no verdict. `why` are what failed."""

    package: str
    name: str
    honest: bool
    said: str
    why: tuple[str, ...]
    seconds: float

    @property
    def wanted(self) -> bool:
        return self.said == ("green" if self.honest else "red")

    @property
    def cell(self) -> str:
        """t: the tests say so; i: integrity names it; !: not as it must be."""
        if self.said != "red":
            return self.said if self.wanted else f"{self.said.upper()} !"
        signs = "".join(sign for sign, word in (("t", "unit_pass"), ("i", "integrity")) if word in self.why)
        return f"red {signs}" if self.wanted else f"RED {signs} !"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    names = options.package or list(SDISTS)
    with _folder(options.keep) as root:
        cases, skipped = _prepare(names, options.case, options.cache, root)
        for reason in skipped:
            print(f"SKIPPED {reason}", file=sys.stderr)
        if not cases:
            return SKIPPED
        judged = _judge_all(cases, root, options.workers, 60 * options.minutes)
    print("\n".join(_table(judged)))
    print("\n".join(_figures(judged, skipped)))
    if len(judged) < len(cases):
        print(f"not run: {len(cases) - len(judged)} of {len(cases)}, since the time was up")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in judged], indent=1) + "\n")
    return 0 if _holds(judged) else 1


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where repositories, reports and logs are; the sandbox's users must come through."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="aicd-cheats-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Try every cheat on real packages.")
    parser.add_argument("--package", action="append", choices=sorted(SDISTS), help="only this one; repeatable")
    parser.add_argument("--case", action="append", help="only this cheat or honest change; repeatable")
    parser.add_argument("--workers", type=int, default=2, help="verifications at a time")
    parser.add_argument("--minutes", type=float, default=120, help="begin no verification after these")
    parser.add_argument("--cache", type=Path, default=default_cache_dir() / "sdists", help="where archives are kept")
    parser.add_argument("--keep", type=Path, help="a new folder in which repositories, reports and logs stay")
    parser.add_argument("--json", type=Path, help="also write the results there")
    return parser.parse_args(arguments)


def _prepare(names: list[str], only: list[str] | None, cache: Path, root: Path) -> tuple[list[Case], list[str]]:
    """A repository for each package that can be had, with a branch for each case."""
    cases, skipped = [], []
    for name in names:
        try:
            archive = fetch(SDISTS[name], cache)
        except NoIndex as error:
            skipped.append(f"{name}: {error}")
            continue
        cases += _branches(SDISTS[name], archive, root / name, only)
    # Case by case and not package by package: a run that is cut short has seen something of all of them.
    order = {case: number for number, case in enumerate(dict.fromkeys(case.name for case in cases))}
    return sorted(cases, key=lambda case: order[case.name]), skipped


def _branches(sdist: Sdist, archive: Path, folder: Path, only: list[str] | None) -> Iterator[Case]:
    package = make_base(sdist, archive, folder)
    for honest, name, change in _changes(package):
        if (only and name not in only) or change is None:
            continue
        git(folder, "checkout", "--quiet", "-b", name, "base")
        write(folder, change)
        commit(folder, name)
        yield Case(package.name, name, honest)


def _changes(package: Package) -> Iterator[tuple[bool, str, verify_cheats.Change | None]]:
    for name, honest in verify_honest.ALL.items():
        yield True, name, honest(package)
    for name, cheat in CHEATS.items():
        if name != "inputs_hard_coded" or package.hard_coded:
            yield False, name, cheat(package)


def _judge_all(cases: list[Case], root: Path, workers: int, seconds: float) -> list[Judged]:
    deadline = time.monotonic() + seconds
    dod = root / "dod.yaml"
    dod.write_text("unit_pass: true\n")
    judged = []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for number, one in enumerate(pool.map(lambda case: _judge(case, root, dod, deadline), cases), start=1):
            if one is None:
                continue
            judged.append(one)
            mark = "" if one.wanted else "   <-- not as it must be"
            print(f"[{number}/{len(cases)}] {one.package} {one.name}: {one.cell}{mark}", file=sys.stderr, flush=True)
    return judged


def _judge(case: Case, root: Path, dod: Path, deadline: float) -> Judged | None:
    started = time.monotonic()
    if started > deadline:
        return None
    reports = root / "reports" / case.package / case.name
    reports.mkdir(parents=True)
    command = [*COMMAND, "verify", "--repo", str(root / case.package), "--base", "base", "--head", case.name]
    command += ["--dod", str(dod), "--output", str(reports), "--timeout-seconds", str(VERIFY_SECONDS), "--json"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=CASE_SECONDS, check=False)
        said, why = _read(ended)
    except subprocess.TimeoutExpired:
        said, why = "broken", (f"no verdict within {CASE_SECONDS} s",)
    return Judged(case.package, case.name, case.honest, said, why, round(time.monotonic() - started, 1))


def _read(ended: subprocess.CompletedProcess[str]) -> tuple[str, tuple[str, ...]]:
    """The verdict, only where the exit code says the same."""
    try:
        verdict = json.loads(ended.stdout)
    except ValueError:
        return "broken", (f"exit code {ended.returncode}: {ended.stderr.strip()[-300:]}",)
    if ended.returncode != (0 if verdict["result"] == "PASSED" else 1):
        return "broken", (f"exit code {ended.returncode} for {verdict['result']}",)
    failing = [one for one in verdict["criteria"] if one["status"] != "passed"]
    told = [text for one in failing for text in one["evidence"] if not text.startswith("note: ")]
    why = (*(one["id"] for one in failing), *(one["reason"] for one in failing), *told[:5])
    return ("green" if verdict["result"] == "PASSED" else "red"), why


def _table(judged: list[Judged]) -> Iterator[str]:
    packages = list(dict.fromkeys(one.package for one in judged))
    cells = {(one.name, one.package): one.cell for one in judged}
    for title, honest in (("cheat", False), ("honest change", True)):
        names = list(dict.fromkeys(one.name for one in judged if one.honest is honest))
        if not names:
            continue
        width = max(len(name) for name in [*names, title])
        yield "| " + " | ".join([title.ljust(width), *(name.ljust(9) for name in packages)]) + " |"
        yield "|-" + "-|-".join(["-" * width, *("-" * max(len(name), 9) for name in packages)]) + "-|"
        for name in names:
            row = [cells.get((name, package), "–").ljust(max(len(package), 9)) for package in packages]
            yield "| " + " | ".join([name.ljust(width), *row]) + " |"
        yield ""


def _figures(judged: list[Judged], skipped: list[str]) -> Iterator[str]:
    cheats = [one for one in judged if not one.honest]
    honest = [one for one in judged if one.honest]
    yield "red because: t the tests do not pass, i integrity names it; – does not apply to the package"
    if cheats:
        escaped = [one for one in cheats if not one.wanted]
        yield f"cheats: {len(escaped)} of {len(cheats)} not red; on {len({one.package for one in cheats})} packages"
    fixes = [one for one in honest if one.name == "fix"]
    if fixes:
        yield f"honest fix: {sum(one.wanted for one in fixes)} of {len(fixes)} green"
    if honest:
        good = sum(one.wanted for one in honest)
        yield f"honest changes: {good} of {len(honest)} green ({good / len(honest):.1%}; at least {LEAST_HONEST:.0%})"
    seconds = sorted(one.seconds for one in judged)
    yield f"one verification: {seconds[len(seconds) // 2]} s (median), {seconds[-1]} s (longest)"
    if skipped:
        yield f"skipped: {len(skipped)} packages could not be fetched"


def _holds(judged: list[Judged]) -> bool:
    honest = [one for one in judged if one.honest]
    fixes_hold = all(one.wanted for one in honest if one.name == "fix")
    enough = not honest or sum(one.wanted for one in honest) / len(honest) >= LEAST_HONEST
    return fixes_hold and enough and all(one.wanted for one in judged if not one.honest)


if __name__ == "__main__":
    sys.exit(main())
