"""Secrets at rest: sealed with a key that is checked before it is used, and rotated without losing one."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from desk import NOBODY, NOW, Desk
from sqlalchemy import select

from b24lake.control.audit import Actor
from b24lake.control.channels import add, webhook_address
from b24lake.control.database import Database
from b24lake.control.keys import open_keyring, rotate
from b24lake.control.models import Audit, Channel, Source
from b24lake.control.secrets import Keyring, new_key
from b24lake.control.source_settings import webhook_of
from b24lake.errors import UsageError
from b24lake.sync.home import Home

SECRET = "SECRETSECRET"
HOOK = "https://hooks.example.com/services/HUSHHUSH"


def opened(desk: Desk, environ: dict[str, str] | None = None) -> Keyring:
    return open_keyring(desk.database, desk.home, environ or {})


def secrets(desk: Desk, keyring: Keyring) -> tuple[str, str]:
    """What the database keeps sealed, unsealed."""
    with desk.database.reading() as session:
        channel = session.get_one(Channel, "ops")
        return webhook_of(session.get_one(Source, "crm"), keyring).code, keyring.unseal_json(channel.config["url"])


@pytest.fixture
def full(desk: Desk) -> Desk:
    desk.make("crm")
    add(desk.database, desk.keyring, "ops", webhook_address(HOOK))
    return desk


# --- the key ----------------------------------------------------------------------------------------------------------


def test_the_first_start_makes_a_key_for_its_owner_alone(small_desk: Desk) -> None:
    file = small_desk.home.path / "key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert opened(small_desk) == small_desk.keyring
    assert file.read_text().strip() not in f"{small_desk.keyring!r} {small_desk.keyring}"


def test_a_key_is_never_pickled(small_desk: Desk) -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(small_desk.keyring)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused(small_desk: Desk, mode: int) -> None:
    (small_desk.home.path / "key").chmod(mode)
    with pytest.raises(UsageError, match="chmod 600"):
        opened(small_desk)


def test_the_environment_comes_before_the_file(sqlite: Database, home: Home) -> None:
    keyring = open_keyring(sqlite, home, {"B24LAKE_KEY": new_key()})
    assert keyring.file is None
    assert not (home.path / "key").exists()


@pytest.mark.parametrize("text", ["", "swordfish", "é" * 44, "a" * 44])
def test_what_is_no_key_is_refused(small_desk: Desk, text: str) -> None:
    (small_desk.home.path / "key").write_bytes(text.encode())
    with pytest.raises(UsageError, match=r"holds no key|cannot be read"):
        opened(small_desk)


def test_a_wrong_key_is_refused_and_nothing_is_overwritten(full: Desk) -> None:
    file, right = full.home.path / "key", full.keyring
    before = file.read_text()
    wrong = new_key()
    with pytest.raises(UsageError, match="not the one that sealed"):
        opened(full, {"B24LAKE_KEY": wrong})
    file.write_text(wrong)
    with pytest.raises(UsageError, match="Nothing was changed"):
        opened(full)
    assert file.read_text() == wrong
    file.write_text(before)
    assert secrets(full, opened(full)) == secrets(full, right) == (SECRET, HOOK)


def test_a_missing_key_is_not_replaced_by_another_one(full: Desk) -> None:
    (full.home.path / "key").unlink()
    with pytest.raises(UsageError, match="The key is missing"):
        opened(full)
    assert not (full.home.path / "key").exists()


@pytest.mark.slow
def test_programs_that_start_at_once_have_one_key(address: str, home: Home) -> None:
    home.ready()
    code = (
        "import sys; from pathlib import Path; from b24lake.control.database import open_database; "
        "from b24lake.control.keys import open_keyring; from b24lake.sync.home import Home; "
        "home = Home(Path(sys.argv[2])); database = open_database(sys.argv[1], home); "
        "print(open_keyring(database, home, {}).fingerprint); database.close()"
    )
    command = [sys.executable, "-c", code, address, str(home.path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    said = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * 4, said
    assert len({out for out, _ in said}) == 1


# --- what is sealed ---------------------------------------------------------------------------------------------------


def test_no_file_holds_a_secret_in_clear(small_desk: Desk) -> None:
    small_desk.make("crm")
    add(small_desk.database, small_desk.keyring, "ops", webhook_address(HOOK))
    rotate(small_desk.database, small_desk.keyring, small_desk.actor, {})
    files = [path for path in small_desk.home.path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"b24lake.db", "key"}
    for file in files:
        assert SECRET.encode() not in file.read_bytes(), file
        assert b"HUSHHUSH" not in file.read_bytes(), file


def test_nothing_tells_a_secret(full: Desk) -> None:
    with full.database.reading() as session:
        told = [f"{row!r} {vars(row)}" for row in session.scalars(select(Source))]
        told += [str(row.detail) for row in session.scalars(select(Audit))]
    assert told
    assert SECRET not in " ".join([*told, repr(full), full.export()])


# --- rotation ---------------------------------------------------------------------------------------------------------


def test_a_rotated_key_opens_everything_and_the_old_one_nothing(full: Desk) -> None:
    old = full.keyring
    renewed = rotate(full.database, old, full.actor, {})
    assert opened(full) == renewed != old
    assert (full.home.path / "key").stat().st_mode & 0o777 == 0o600
    assert secrets(full, renewed) == (SECRET, HOOK)
    with pytest.raises(UsageError, match="start this program again"):
        secrets(full, old)


def test_a_program_with_the_old_key_can_seal_nothing_any_more(full: Desk) -> None:
    rotate(full.database, full.keyring, full.actor, {})
    with pytest.raises(UsageError, match="not the one that sealed"):
        full.make("another")
    with pytest.raises(UsageError, match="not the one that sealed"):
        rotate(full.database, full.keyring, full.actor, {})
    assert secrets(full, opened(full)) == (SECRET, HOOK)


def test_a_key_in_the_environment_is_rotated_to_another_one_there(database: Database, home: Home) -> None:
    first, second = new_key(), new_key()
    keyring = open_keyring(database, home, {"B24LAKE_KEY": first})
    actor = Actor("ann", NOW)
    for environ, says in [
        ({}, "There is no new key"),
        ({"B24LAKE_NEW_KEY": first}, "the same key"),
        ({"B24LAKE_NEW_KEY": "x"}, "B24LAKE_NEW_KEY holds no key"),
    ]:
        with pytest.raises(UsageError, match=says):
            rotate(database, keyring, actor, environ)
    rotate(database, keyring, actor, {"B24LAKE_NEW_KEY": second})
    with pytest.raises(UsageError, match="not the one that sealed"):
        open_keyring(database, home, {"B24LAKE_KEY": first})
    assert open_keyring(database, home, {"B24LAKE_KEY": second}).file is None


def test_a_rotation_that_meets_a_secret_of_another_key_changes_nothing(full: Desk) -> None:
    with full.database.writing() as session:
        stranger = Keyring(new_key(), "another", None)
        session.get_one(Source, "crm").webhook = stranger.encrypt(NOBODY)
    with pytest.raises(UsageError, match="Nothing was changed"):
        rotate(full.database, full.keyring, full.actor, {})
    assert opened(full) == full.keyring
    with full.database.reading() as session:
        assert full.keyring.unseal_json(session.get_one(Channel, "ops").config["url"]) == HOOK
        assert stranger.unseal(session.get_one(Source, "crm").webhook or b"") == NOBODY


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_rotation_that_is_killed_leaves_one_key_that_fits(full: Desk, moment: str) -> None:
    """A process ends itself in the middle, as kill -9 would."""
    place = "reseal" if moment == "before the commit" else "_opened"
    code = (
        "import os, sys\nfrom datetime import datetime, UTC\nfrom pathlib import Path\n"
        "from b24lake.control import keys\nfrom b24lake.control.audit import Actor\n"
        "from b24lake.control.database import open_database\nfrom b24lake.sync.home import Home\n"
        "home = Home(Path(sys.argv[2])); database = open_database(sys.argv[1], home)\n"
        "keyring = keys.open_keyring(database, home, {})\n"
        f"keys.{place} = lambda *_: os._exit(9)\n"
        "keys.rotate(database, keyring, Actor('ann', datetime.now(UTC)), {})\n"
    )
    address = full.database.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", code, address, str(full.home.path)], check=False, timeout=120)
    assert done.returncode == 9
    assert (full.home.path / "key.next").exists()
    found = opened(full)
    assert (found == full.keyring) == (moment == "before the commit")
    assert secrets(full, found) == (SECRET, HOOK)
    assert {path.name for path in full.home.path.glob("key*")} == {"key"}
    assert (full.home.path / "key").stat().st_mode & 0o777 == 0o600
