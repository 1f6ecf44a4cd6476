"""The database keeps the rules of Supabase's advisors; each of our checks of them is shown to be able to fail."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from local.postgres.copies import create_copy, drop_copy
from local.postgres.database import Database
from tests.database.advisors import RULES, Rule, without_selects

pytestmark = pytest.mark.database

MUTANTS = [(rule, mutant) for rule in RULES for mutant in rule.mutants]


@pytest.fixture(scope="module")
def copy(server: Database) -> Iterator[str]:
    """A copy's name; nobody writes to it for good."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    create_copy(server, name)
    yield name
    drop_copy(server, name)


@pytest.fixture
def superuser(server: Database, copy: str) -> Iterator[psycopg.Connection[object]]:
    """Some mutants are beyond the owner; whatever is done is rolled back."""
    with psycopg.connect(server.superuser_dsn_of(copy)) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_database_keeps_the_rule(rule: Rule, superuser: psycopg.Connection[object]) -> None:
    found = rule.find(superuser)
    assert found - rule.allowed.keys() == set()
    # An exception that is needed no more would hide the next fault of its name.
    assert rule.allowed.keys() - found == set()


@pytest.mark.parametrize(("rule", "mutant"), MUTANTS, ids=[f"{rule.name}-{mutant[:40]}" for rule, mutant in MUTANTS])
def test_rule_finds_its_mutant(rule: Rule, mutant: str, superuser: psycopg.Connection[object]) -> None:
    before = rule.find(superuser)
    superuser.execute(mutant)
    assert rule.find(superuser) - before


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ("(a = ( SELECT f(x) AS f))", "(a = )"),
        ("(a = ANY (ARRAY( SELECT f() AS f)))", "(a = ANY (ARRAY))"),
        ("(f() OR ( SELECT (g() AND h())))", "(f() OR )"),
        ("selected(a)", "selected(a)"),
    ],
)
def test_subqueries_are_cut_out_whole(expression: str, left: str) -> None:
    assert without_selects(expression) == left
