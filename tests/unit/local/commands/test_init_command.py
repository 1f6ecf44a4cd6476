"""`aicd init`: what it writes works as it stands."""

from __future__ import annotations

from action.verify.checkout import Snapshot
from action.verify.policy import read_policy
from controlplane.evidence import IntegrityFinding
from local.commands.init import CONFIGURATION_TEXT


def test_example_in_the_configuration_allows_what_it_shows_once_it_is_uncommented() -> None:
    setting, _, example = CONFIGURATION_TEXT.partition("# integrity:")
    text = setting + "\n".join(line.removeprefix("# ") for line in f"# integrity:{example}".splitlines())
    policy = read_policy(Snapshot("0" * 40, {}, {".aicd.yml": text.encode()}), {})
    finding = IntegrityFinding(kind="test-vanished", fails=True, file="tests/legacy/test_old.py")
    assert policy.notes == ()
    assert not policy.apply(finding).fails
    assert policy.apply(finding.model_copy(update={"file": "tests/test_new.py"})).fails
