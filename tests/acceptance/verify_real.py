"""Real packages with a planted bug: source distributions that ship their tests, pinned by hash.

Each bug breaks one test function of the package's own. They are fetched with pip from whatever index it is configured
for, once, and kept in the cache.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.verify_packages import Package, commit, git, write

DOWNLOAD_SECONDS = 180


class NoIndex(Exception):
    """A source distribution could be had neither from the cache nor from an index."""


@dataclass(frozen=True)
class Sdist:
    """`right` is text of `source` that stands there once, and `bug` what it becomes in the base.

    `expected` and `wrong` are the expectation in the failing test as it is, and as the bug would have it. `hard_coded`
    is put before the line `before` and answers just the test's input (empty where no single input fails).
    """

    name: str
    version: str
    sha256: str
    module: str
    function: str
    source: str
    right: str
    bug: str
    tests: str
    failing: str
    expected: str
    wrong: str
    before: str = ""
    hard_coded: str = ""


INFLECTION = Sdist(
    name="inflection",
    version="0.5.1",
    sha256="1a29730d366e996aaacffb2f1f1cb9593dc38e2ddd30c91250c6dde09ea9b417",
    module="inflection",
    function="camelize",
    source="inflection/__init__.py",
    right="        return string[0].lower() + camelize(string)[1:]\n",
    bug="        return string[0] + camelize(string)[1:]\n",
    tests="test_inflection.py",
    failing="test_camelize_with_lower_downcases_the_first_letter",
    expected="assert 'capital' ==",
    wrong="assert 'Capital' ==",
    before="        return string[0] + camelize(string)[1:]\n",
    hard_coded="        if string == 'Capital':\n            return 'capital'\n",
)
XMLTODICT = Sdist(
    name="xmltodict",
    version="1.0.4",
    sha256="6d94c9f834dd9e44514162799d344d815a3a4faec913717a9ecbfa5be1bb8e61",
    module="xmltodict",
    function="unparse",
    source="xmltodict.py",
    right='        return "true" if value else "false"\n',
    bug='        return "true" if value else "False"\n',
    tests="tests/test_dicttoxml.py",
    failing="test_boolean_unparse",
    expected="<x>false</x>",
    wrong="<x>False</x>",
    before="    must_return = False\n",
    hard_coded=(
        '    if input_dict == {"x": False}:\n        return \'<?xml version="1.0" encoding="utf-8"?>\\n<x>false</x>\'\n'
    ),
)
ROMAN = Sdist(
    name="roman-numerals",
    version="4.1.0",
    sha256="1af8b147eb1405d5839e78aeb93131690495fe9da5c91856cb33ad55a7f1e5b2",
    module="roman_numerals",
    function="RomanNumeral.to_lowercase",
    source="roman_numerals/__init__.py",
    right="sys.intern('cm')",
    bug="sys.intern('dm')",
    tests="tests/test_to_string.py",
    failing="test_minitrue",
    expected="'mcmlxxxiv'",
    wrong="'mdmlxxxiv'",
    before="        for value, _, name in _ROMAN_NUMERAL_PREFIXES:\n",
    hard_coded="        if self._value == 1984:\n            return 'mcmlxxxiv'\n",
)
CACHETOOLS = Sdist(
    name="cachetools",
    version="8.0.0",
    sha256="5ed01bd676800d51f0025605e4fd8ad0891550513e7b0a4c3da478463764e5c3",
    module="cachetools.keys",
    function="typedkey",
    source="src/cachetools/keys.py",
    right=(
        "        key += tuple([type(v) for _, v in sorted_kwargs])\n    else:\n        key = args\n"
        "    return key + tuple(map(type, args))\n\n\ndef typedmethodkey"
    ),
    bug="    else:\n        key = args\n    return key + tuple(map(type, args))\n\n\ndef typedmethodkey",
    tests="tests/test_keys.py",
    failing="test_typedkey",
    expected="        self.assertNotEqual(key(1, 2, 3, x=0), key(1, 2, 3, x=0.0))\n",
    wrong="        self.assertEqual(key(1, 2, 3, x=0), key(1, 2, 3, x=0.0))\n",
)
TOOLZ = Sdist(
    name="toolz",
    version="1.2.0",
    sha256="9667a038e9d6ecba37995e26cb2f59ec6420b6ad8dd9677de59db9b956b08490",
    module="toolz.itertoolz",
    function="diff",
    source="toolz/itertoolz.py",
    right="        iters = zip_longest(*seqs, fillvalue=default)\n",
    bug="        iters = zip_longest(*seqs, fillvalue=0)\n",
    tests="toolz/tests/test_itertoolz.py",
    failing="test_diff",
    expected="== [(1, 10), (2, None)]",
    wrong="== [(1, 10), (2, 0)]",
    before="        iters = zip_longest(*seqs, fillvalue=0)\n",
    hard_coded=(
        "        if seqs == ([1, 2], [10]):\n            yield from [(1, 10), (2, None)]\n            return\n"
    ),
)
SEMVER = Sdist(
    name="semver",
    version="3.1.1",
    sha256="149b26cabada6f63212f97e94505d21578cb1d280cf714827f328d5e70765fea",
    module="semver.version",
    function="Version.match",
    source="src/semver/version.py",
    right='            "!=": (-1, 1),\n',
    bug='            "!=": (-1,),\n',
    tests="tests/test_match.py",
    failing="test_should_match_not_equal",
    expected='("2.3.7", "!=2.3.6", True)',
    wrong='("2.3.7", "!=2.3.6", False)',
    before="        prefix = match_expr[:2]\n",
    hard_coded='        if match_expr == "!=2.3.6":\n            return True\n',
)
PARSE = Sdist(
    name="parse",
    version="1.22.4",
    sha256="706d458feed5a81b02768d3156e8070baf6cee7d150a3a3c0cd43101a875c3b5",
    module="parse",
    function="date_convert",
    source="parse/__init__.py",
    right="                offset = -offset\n",
    bug="                offset = abs(offset)\n",
    tests="tests/test_parse.py",
    failing="test_datetimes",
    expected='parse.FixedTzOffset(-5 * 60 - 30, "-5:30")\n    t830 = parse.FixedTzOffset(-8 * 60 - 30, "-8:30")',
    wrong='parse.FixedTzOffset(5 * 60 + 30, "-5:30")\n    t830 = parse.FixedTzOffset(8 * 60 + 30, "-8:30")',
)
SDISTS = {one.name: one for one in (INFLECTION, XMLTODICT, ROMAN, CACHETOOLS, TOOLZ, SEMVER, PARSE)}


def fetch(sdist: Sdist, cache: Path) -> Path:
    """The archive, from the cache or by pip, its hash checked either way. Raises NoIndex."""
    found = _kept(sdist, cache)
    if found is None:
        cache.mkdir(parents=True, exist_ok=True)
        _download(sdist, cache)
        found = _kept(sdist, cache)
    if found is None:
        raise NoIndex(f"pip said that it fetched {sdist.name} {sdist.version}, and it is not there")
    return found


def make_base(sdist: Sdist, archive: Path, folder: Path) -> Package:
    """A repository at `folder` whose branch `base` is the package with its bug; and what the cheats need to know."""
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, filter="data")
        (root,) = Path(unpacked).iterdir()
        root.rename(folder)
    git(folder, "init", "--quiet", "--initial-branch", "base")
    text = (folder / sdist.source).read_text()
    assert text.count(sdist.right) == 1, sdist.name
    broken = text.replace(sdist.right, sdist.bug)
    write(folder, {sdist.source: broken})
    commit(folder, "base")
    files = dict(_texts(folder))
    assert sdist.expected in files[sdist.tests], sdist.name
    assert not sdist.before or broken.count(sdist.before) == 1, sdist.name
    return Package(
        name=sdist.name,
        files=files,
        module=sdist.module,
        function=sdist.function,
        source=sdist.source,
        fixed=text,
        tests=sdist.tests,
        failing=sdist.failing,
        expected=sdist.expected,
        wrong=sdist.wrong,
        hard_coded=broken.replace(sdist.before, sdist.hard_coded + sdist.before) if sdist.hard_coded else "",
    )


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".git" not in path.relative_to(folder).parts:
            try:
                yield str(path.relative_to(folder)), path.read_bytes().decode()
            except UnicodeDecodeError:
                continue


def _kept(sdist: Sdist, cache: Path) -> Path | None:
    """pip checked the hash when it fetched; the name alone is not trusted afterwards."""
    import hashlib

    stem = f"{sdist.name.replace('-', '_')}-{sdist.version}.tar.gz"
    path = cache / stem
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sdist.sha256:
        return path
    return None


def _download(sdist: Sdist, cache: Path) -> None:
    requirements = cache / f"{sdist.name}.txt"
    requirements.write_text(f"{sdist.name}=={sdist.version} --hash=sha256:{sdist.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    command += ["--require-hashes", "--dest", str(cache), "--requirement", str(requirements)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoIndex(f"pip did not fetch {sdist.name} within {DOWNLOAD_SECONDS} s") from error
    if ended.returncode != 0:
        last = [line for line in ended.stderr.splitlines() if line.strip()][-1:] or ["it said nothing"]
        raise NoIndex(f"pip could not fetch {sdist.name} {sdist.version}: {last[0].strip()[:200]}")
