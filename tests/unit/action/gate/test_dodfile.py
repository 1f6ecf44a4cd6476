"""The Definition of Done from a file: read where it is right, named by line and column where it is not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from action.gate.dodfile import InvalidDefinitionOfDone, load_dod
from controlplane.errors import UsageError

SPEC = """\
meta: {project: p, repo: o/r}
planning:
  epics:
    - id: E1
      sprints:
        - id: S1
          dod: {coverage_min: 0.7}
"""


def written(tmp_path: Path, text: str | bytes, name: str = "dod.yml") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("coverage_min: 0.7\n", "dod.yml"),
        ("dod:\n  coverage_min: 0.7\n", "dod.yml"),
        ('{"coverage_min": 0.7}', "dod.json"),
        ('{\n\t"dod": {"coverage_min": 0.7}\n}', "dod.json"),
        ('{"coverage_min": 0.7}', "dod"),
        (SPEC, "spec.yaml"),
    ],
)
def test_definition_of_done_in_every_form_is_the_same(tmp_path, text, name):
    assert load_dod(written(tmp_path, text, name)).coverage_min == 0.7


@pytest.mark.parametrize("text", ["dod: {}", "{}"])
def test_empty_group_asks_for_nothing_but_unit_pass(tmp_path, text):
    assert load_dod(written(tmp_path, text)).model_fields_set == set()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("unit_pass: true\ncoverage_min: 85\n", "line 2, column 15"),
        ("coverage_min: .nan\n", "line 1"),
        ("coverage_min: many\n", "line 1"),
        ("coverage_min: 0.8\ncoverage_min: 0.1\n", "line 2"),
        ("unit_pass: true\ntests_min:\n", "line 2, column 1"),
        ("security_max: severe\n", "line 1"),
        ("custom: [{id: a}]\n", "line 1"),
        ("a: [1\n", "line"),
        ("- coverage_min\n", "key: value"),
        ("", "no Definition of Done"),
        (b"\xff\xfe\x00", "no Definition of Done"),
        ("[" * 100_000, "deeper"),
        (SPEC.replace("coverage_min: 0.7", "coverage_min: 7"), "line 7"),
        (SPEC + "        - id: S2\n          dod: {}\n", "2 sprints"),
        ("x: " + "y" * 300_000, "larger than 256 KiB"),
    ],
    ids=range(15),
)
def test_definition_of_done_that_is_wrong_says_where(tmp_path, text, told):
    before = time.process_time()
    with pytest.raises(InvalidDefinitionOfDone) as raised:
        load_dod(written(tmp_path, text))
    assert told in raised.value.message
    assert raised.value.exit_code == 1
    assert time.process_time() - before < 2


def test_aliases_cannot_blow_it_up(tmp_path):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(20)
    )
    before = time.process_time()
    with pytest.raises(InvalidDefinitionOfDone):
        load_dod(written(tmp_path, bomb))
    assert time.process_time() - before < 2


def test_missing_file_is_a_mistake_of_usage(tmp_path):
    with pytest.raises(UsageError):
        load_dod(tmp_path / "none.yml")
