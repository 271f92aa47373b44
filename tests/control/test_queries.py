"""Saved queries and what people ran: one name each, no secrets, and no more than are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from desk import NOBODY, NOW

from b24lake.control import audit, queries
from b24lake.control.audit import Actor
from b24lake.control.database import Database
from b24lake.errors import ConflictError, NotFoundError, UsageError

ANN = Actor("ann", NOW)


def save(database: Database, name: str, sql: str = "SELECT 1", description: str = "") -> str:
    with database.writing() as session:
        return queries.save(session, ANN, name, sql, description).id


def test_a_query_is_saved_changed_and_deleted(database: Database) -> None:
    one = save(database, " Big  deals ", "SELECT 1\r\nAS a  ", "what <b>counts</b> ")
    with database.reading() as session:
        kept = queries.found(session, one)
    assert (kept.name, kept.sql, kept.description) == ("Big deals", "SELECT 1\nAS a", "what <b>counts</b>")
    assert (kept.saved_by, kept.updated_at) == ("ann", NOW)
    later = Actor("bob", NOW + timedelta(hours=1))
    with database.writing() as session:
        queries.change(session, later, queries.found(session, one), "Bigger", "SELECT 2")
    with database.reading() as session:
        kept = queries.found(session, one)
    assert (kept.name, kept.sql, kept.description) == ("Bigger", "SELECT 2", "")
    assert (kept.saved_by, kept.created_at, kept.updated_at) == ("ann", NOW, later.at)
    with database.writing() as session:
        queries.delete(session, later, queries.found(session, one))
    with database.reading() as session, pytest.raises(NotFoundError):
        queries.found(session, one)
    said = [(each.who, each.action, each.object) for each in audit.entries(database)]
    assert said == [
        ("bob", "deleted", "query Bigger"),
        ("bob", "changed", "query Bigger"),
        ("ann", "created", "query Big deals"),
    ]


def test_a_name_is_taken_once(database: Database) -> None:
    one, two = save(database, "b"), save(database, "A")
    with pytest.raises(ConflictError, match="already"):
        save(database, "b")
    with database.writing() as session:
        queries.change(session, ANN, queries.found(session, one), "b", "SELECT 3")  # its own name is free
    with pytest.raises(ConflictError), database.writing() as session:
        queries.change(session, ANN, queries.found(session, two), "b", "SELECT 4")
    with database.reading() as session:
        assert [(each.name, each.sql) for each in queries.listed(session)] == [("A", "SELECT 1"), ("b", "SELECT 3")]


@pytest.mark.parametrize(
    ("name", "sql", "description"),
    [
        ("", "SELECT 1", ""),
        ("  ", "SELECT 1", ""),
        ("x" * 101, "SELECT 1", ""),
        ("a\x1bb", "SELECT 1", ""),
        ("a", " \n", ""),
        ("a", "x" * 100_001, ""),
        ("a", "SELECT 1", "x" * 1_001),
        ("a", f"SELECT '{NOBODY}'", ""),
        ("a", "SELECT 1", NOBODY),
    ],
)
def test_what_cannot_be_kept_is_refused(database: Database, name: str, sql: str, description: str) -> None:
    with pytest.raises(UsageError):
        save(database, name, sql, description)
    with database.reading() as session:
        assert queries.listed(session) == []


def remember(database: Database, who: str, *texts: str) -> None:
    for text in texts:
        with database.writing() as session:
            queries.remember(session, who, NOW, text, seconds=0.5, rows=3)


def test_the_last_queries_of_each_person_are_kept(database: Database) -> None:
    remember(database, "bob", "SELECT 0")
    remember(database, "ann", *(f"SELECT {number}" for number in range(queries.KEPT + 5)))
    with database.reading() as session:
        found = [each.sql for each in queries.past(session, "ann")]
        assert [each.sql for each in queries.past(session, "bob")] == ["SELECT 0"]
    assert (len(found), found[0], found[-1]) == (queries.KEPT, f"SELECT {queries.KEPT + 4}", "SELECT 5")


def test_the_same_query_again_stands_there_once(database: Database) -> None:
    remember(database, "ann", "SELECT 1", "SELECT 2", "SELECT 2", "SELECT 1")
    with database.reading() as session:
        assert [each.sql for each in queries.past(session, "ann")] == ["SELECT 1", "SELECT 2", "SELECT 1"]


def test_nobody_reads_what_somebody_else_ran(database: Database) -> None:
    remember(database, "ann", "SELECT 1")
    with database.reading() as session:
        [one] = queries.past(session, "ann")
        assert queries.past_one(session, "ann", one.id).rows == 3
        for who, number in (("bob", one.id), ("ann", one.id + 1)):
            with pytest.raises(NotFoundError):
                queries.past_one(session, who, number)


def test_a_webhook_in_a_query_that_was_run_loses_its_secret(database: Database) -> None:
    with database.writing() as session:
        queries.remember(session, "ann", NOW, f"SELECT '{NOBODY}'", seconds=1, error=f"no {NOBODY}")
    with database.reading() as session:
        [one] = queries.past(session, "ann")
    assert "SECRETSECRET" not in one.sql + one.error
    assert "***" in one.sql


def test_what_somebody_ran_is_forgotten_when_they_want_it(database: Database) -> None:
    remember(database, "ann", "SELECT 1")
    remember(database, "bob", "SELECT 2")
    with database.writing() as session:
        queries.forget(session, "ann")
    with database.reading() as session:
        assert (queries.past(session, "ann"), len(queries.past(session, "bob"))) == ([], 1)
