"""Accounts, logins and tokens: on both kinds of databases, and on the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from desk import NOW, Desk
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from b24lake.control import accounts, logins, tokens
from b24lake.control.audit import Actor
from b24lake.control.database import Database
from b24lake.control.models import Account, LoginAttempt, Token
from b24lake.control.passwords import checked_password, fits, hashed
from b24lake.errors import ConflictError, NotFoundError, UsageError
from running import Lake, Ran, command, environment

PASSWORD = "correct horse battery"
ACTOR = Actor("ann", NOW)
Run = Callable[..., Ran]


def account(database: Database, name: str = "ann", role: str = "manager") -> None:
    with database.writing() as session:
        accounts.add(session, ACTOR, name, role, PASSWORD)


def attempt(database: Database, password: str, at: datetime = NOW, name: str = "ann") -> bool:
    return logins.log_in(database, name, password, "10.0.0.1", at) is not None


# --- passwords and names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "5 signs"),
        ("x" * 257, "257 signs"),
        ("aaaaaaaaaaaa", "easy to guess"),
        ("abababababab", "easy to guess"),
        ("Ann.Smith@example", "easy to guess"),
        ("ann.smith@exampleann.smith@example", "easy to guess"),
        ("", "0 signs"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(password: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        checked_password(password, "ann.smith@example")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "пароль из слов", "p\x00ssword \ud800 odd", " blanks around "]
)
def test_a_password_fits_its_own_hash_alone(password: str) -> None:
    kept = hashed(password)
    assert password not in kept
    assert fits(kept, password)
    assert not fits(kept, password + "x")
    assert not fits(kept, "x" * 5_000)
    assert not fits(None, password)
    assert not fits("no hash", password)
    assert kept != hashed(password)


def test_a_password_is_the_same_however_it_is_typed() -> None:
    assert fits(hashed("caf\u00e9 au lait"), "cafe\u0301 au lait")


@given(st.text())
def test_what_is_kept_as_a_name_is_always_the_same_name(text: str) -> None:
    name = accounts.name_of(text)
    assert name is None or (accounts.name_of(name) == name and name.isascii() and name == name.lower())


# --- logins -----------------------------------------------------------------------------------------------------------


def test_attempts_at_once_are_no_way_round_the_limit(database: Database) -> None:
    account(database)
    limited: list[bool] = []

    def guess(number: int) -> None:
        try:
            attempt(database, f"wrong {number}")
            limited.append(False)
        except UsageError:
            limited.append(True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(guess, range(logins.OF_ACCOUNT + 6)))
    assert sorted(limited) == [False] * logins.OF_ACCOUNT + [True] * 6
    with pytest.raises(UsageError, match="Too many"):
        attempt(database, PASSWORD, NOW + logins.WINDOW - timedelta(seconds=1))
    assert attempt(database, PASSWORD, NOW + logins.WINDOW)


def test_names_that_no_database_holds_belong_to_nobody(database: Database) -> None:
    for name in ("a\x00b", "\ud800", "", "x" * 10_000):
        assert not attempt(database, PASSWORD, name=name)


def test_what_was_typed_as_a_name_is_not_kept(database: Database) -> None:
    attempt(database, "wrong", name="my password by mistake")
    with database.reading() as session:
        kept = session.scalars(select(LoginAttempt.subject)).all()
    assert "mistake" not in repr(kept)
    assert "address 10.0.0.1" in kept


def test_a_session_is_over_when_it_was_ended_or_its_account_changed(database: Database) -> None:
    account(database)
    person = logins.log_in(database, "ann", PASSWORD, "", NOW)
    assert person is not None
    assert logins.whose(database, "ann", person.stamp, "s1") == person
    logins.log_out(database, "ann", "s1", NOW)
    logins.log_out(database, "ann", "s1", NOW)  # twice is no harm
    assert logins.whose(database, "ann", person.stamp, "s1") is None
    assert logins.whose(database, "ann", person.stamp, "s2") == person
    assert logins.whose(database, "ann", "older", "s2") is None
    assert logins.whose(database, "nobody", person.stamp, "s2") is None


def test_the_last_manager_stays_one(database: Database) -> None:
    account(database)
    account(database, "bob", "editor")
    with pytest.raises(ConflictError):
        account(database, "ANN")
    for change in (
        lambda session, one: accounts.change_role(session, ACTOR, one, "viewer"),
        lambda session, one: accounts.remove(session, ACTOR, one),
    ):
        with pytest.raises(UsageError, match="last manager"), database.writing() as session:
            change(session, accounts.found(session, "ann"))
    with database.writing() as session:
        accounts.change_role(session, ACTOR, accounts.found(session, "bob"), "manager")
        accounts.remove(session, ACTOR, accounts.found(session, "ann"))
    with database.reading() as session:
        assert [(one.name, one.role) for one in session.scalars(select(Account))] == [("bob", "manager")]
        with pytest.raises(NotFoundError, match="did you mean bob"):
            accounts.found(session, "bobb")


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_goes_with_its_account_and_never_grows(desk: Desk) -> None:
    source, database = desk.make("crm"), desk.database
    account(database)
    account(database, "ed", "editor")
    with database.writing() as session:
        text = tokens.add(session, ACTOR, "t", ["write", "read"], account="ed", sources=[source])[1]
    found = tokens.bearer(database, text, NOW)
    assert found == tokens.Bearer("ed (token t)", frozenset({"read", "write"}), frozenset({"crm"}))
    with database.writing() as session:
        for wrong in (["admin"], ["odd"], []):
            with pytest.raises(UsageError):
                tokens.add(session, ACTOR, "t", wrong, account="ed")
        for more in ({"sources": ["nothing"]}, {"account": "nobody"}, {"expires_at": NOW}):
            with pytest.raises(UsageError):
                tokens.add(session, ACTOR, "t", ["read"], **more)
        for name in ("", " ", "a\nb", "x" * 101, "a\x00b"):
            with pytest.raises(UsageError, match="name of a token"):
                tokens.add(session, ACTOR, name, ["read"])
    for wrong_text in ("", "b24l_", text[:-1], text + "x", "b24l_\x00", "b24l_\ud800"):
        assert tokens.bearer(database, wrong_text, NOW) is None
    with database.writing() as session:
        accounts.remove(session, ACTOR, accounts.found(session, "ed"))
    assert tokens.bearer(database, text, NOW) is None
    with database.reading() as session:
        assert session.scalars(select(Token)).all() == []


def test_the_configuration_holds_no_accounts_and_no_tokens(small_desk: Desk) -> None:
    account(small_desk.database, "somebody")
    with small_desk.database.writing() as session:
        text = tokens.add(session, ACTOR, "some token", ["read"])[1]
    exported = small_desk.export()
    assert not any(word in exported for word in ("somebody", "some token", text))


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_accounts_and_tokens_on_the_command_line(lake: Lake, tmp_path: Path) -> None:
    def ran(*words: str, typed: str = "", code: int = 0) -> Ran:
        done = subprocess.run(
            command(*words), capture_output=True, text=True, env=environment(lake), timeout=120, input=typed
        )
        assert done.returncode == code, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    refused = ran("serve", "--host", "0.0.0.0", "--port", "0", code=2)
    assert "b24lake user add NAME --role manager" in refused.err
    file = tmp_path / "password.txt"
    file.write_text(f"{PASSWORD}\n")
    assert (
        ran("user", "add", "Ann", "--role", "manager", "--password-file", str(file)).out
        == "ann (manager) may log in.\n"
    )
    ran("user", "add", "bob", typed=f"{PASSWORD}\n")
    assert ran("user", "role", "bob", "editor", "--json").json["role"] == "editor"
    assert "easy to guess" in ran("user", "password", "bob", typed="aaaaaaaaaaaa\n", code=2).err
    made = ran("token", "add", "ci", "--scope", "run", "--expires", "90d", "--user", "bob", "--json").json
    assert (made["scopes"], made["account"], made["token"][:5]) == (["run"], "bob", "b24l_")
    listed = ran("token", "list")
    assert "ci" in listed.out
    assert made["token"] not in listed.out
    ran("token", "revoke", made["id"])
    ran("user", "remove", "bob")
    assert [one["name"] for one in ran("user", "list", "--json").json["accounts"]] == ["ann"]


def test_a_token_may_be_limited_to_tables(database: Database) -> None:
    with database.writing() as session:
        made, text = tokens.add(session, ACTOR, "agent", ["read"], tables=["raw.*_deals", " *_users"])
        assert tokens.document(made)["tables"] == ["*.*_users", "raw.*_deals"]
        for wrong in ("", "raw.", "a b.c", "raw/x.y", "x" * 300 + ".y"):
            with pytest.raises(UsageError, match="names no tables"):
                tokens.add(session, ACTOR, "t", ["read"], tables=[wrong])
        with pytest.raises(UsageError, match="more than 100"):
            tokens.add(session, ACTOR, "t", ["read"], tables=[f"raw.t{number}" for number in range(101)])
    found = tokens.bearer(database, text, ACTOR.at)
    assert found is not None
    assert found.tables == ("*.*_users", "raw.*_deals")
