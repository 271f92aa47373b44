"""Where the key that seals secrets is: found or made at the start, and replaced by another one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from b24lake.control.audit import Actor
from b24lake.control.database import Database
from b24lake.control.models import Setting
from b24lake.control.secrets import SETTING, VARIABLE, Keyring, keyring_of, new_key, reseal, wrong
from b24lake.errors import UsageError
from b24lake.sync.home import Home

NEXT_VARIABLE = "B24LAKE_NEW_KEY"


def open_keyring(database: Database, home: Home, environ: Mapping[str, str] = os.environ) -> Keyring:
    """The key of this installation; made where there is none yet, which is at the first start only.

    Raises UsageError for a key that is none, that others may read, that is not the one which sealed the database, or
    that is missing although something has been sealed.
    """
    file, given = home.ready().path / "key", environ.get(VARIABLE)
    if (known := _in_use(database)) and not _next(file).exists() and (given or file.exists()):
        keyring = keyring_of(given, None) if given else keyring_of(_read(file), file)
        if keyring.fingerprint == known:
            return keyring
    with suppress(IntegrityError):  # two first starts at once: the other one was faster
        return _opened(database, file, given)
    return _opened(database, file, given)


def _in_use(database: Database) -> str | None:
    """The fingerprint of the key that sealed the database."""
    with database.reading() as session:
        setting = session.get(Setting, SETTING)
    return str(setting.value["fingerprint"]) if setting else None


def _opened(database: Database, file: Path, given: str | None) -> Keyring:
    # In a transaction that writes, so that no key is rotated meanwhile.
    with database.writing() as session:
        setting = session.get(Setting, SETTING, with_for_update=True)
        known = str(setting.value["fingerprint"]) if setting else None
        keyring = keyring_of(given, None) if given else _of_file(file, known, database.shown)
        if known not in {None, keyring.fingerprint}:
            raise wrong(keyring.where)
        if known is None:
            session.add(Setting(key=SETTING, value={"fingerprint": keyring.fingerprint}))
    return keyring


def rotate(database: Database, keyring: Keyring, actor: Actor, environ: Mapping[str, str] = os.environ) -> Keyring:
    """Seal every secret anew, in one transaction.

    A key file gets a new key; for a key in the environment the new one is taken from B24LAKE_NEW_KEY. A crash in the
    middle leaves the old key in use, or the new one: the next start finds out which. Raises UsageError where the key
    has been rotated by somebody else, or one of the secrets was not sealed with it; nothing is changed then.
    """
    renewed = _renewed(keyring, environ)
    with database.writing() as session:
        setting = session.get_one(Setting, SETTING, with_for_update=True)
        if setting.value["fingerprint"] != keyring.fingerprint:
            raise wrong(keyring.where)
        if keyring.file:
            _write(_next(keyring.file), renewed.key)
        setting.value = {"fingerprint": renewed.fingerprint}
        session.flush()
        reseal(session, keyring, renewed)
        actor.did(session, "rotated", "key", {"fingerprint": renewed.fingerprint})
    if keyring.file:
        _opened(database, keyring.file, None)
    return renewed


def _renewed(keyring: Keyring, environ: Mapping[str, str]) -> Keyring:
    if keyring.file:
        return keyring_of(new_key(), keyring.file)
    given = environ.get(NEXT_VARIABLE)
    if not given:
        raise UsageError(
            "There is no new key",
            why=f"the key in use is in {VARIABLE}",
            fix=f"put one made by `b24lake key new` into {NEXT_VARIABLE}, run this again, then set {VARIABLE} to it",
        )
    renewed = keyring_of(given, None, variable=NEXT_VARIABLE)
    if renewed.fingerprint == keyring.fingerprint:
        raise UsageError(f"{VARIABLE} and {NEXT_VARIABLE} hold the same key", fix="make one with `b24lake key new`")
    return renewed


# --- the key file -----------------------------------------------------------------------------------------------------


def _of_file(file: Path, known: str | None, database: str) -> Keyring:
    """The key in the file, which is made where nothing has been sealed yet.

    known   fingerprint of the key that sealed the database; None = none did
    """
    _settle(file, known)
    if not file.exists() and known is not None:
        raise UsageError(
            "The key is missing",
            why=f"{VARIABLE} is not set and there is no {file}, but the secrets in {database} are sealed",
            fix="copy the file from where b24lake ran before, or set the variable",
        )
    if not file.exists():
        with suppress(FileExistsError):  # another process has just made it
            _write(file, new_key(), anew=True)
    return keyring_of(_read(file), file)


def _settle(file: Path, known: str | None) -> None:
    """Put a new key in its place where the database was sealed with it, and remove one that came to nothing."""
    waiting = _next(file)
    if not waiting.exists():
        return
    if keyring_of(_read(waiting), waiting).fingerprint == known:
        waiting.replace(file)
    elif file.exists() and keyring_of(_read(file), file).fingerprint == known:
        waiting.unlink()


def _next(file: Path) -> Path:
    return file.with_name(f"{file.name}.next")


def _write(file: Path, key: str, *, anew: bool = False) -> None:
    """Write a key so that it is there whole, also after a power cut, and for its owner alone.

    anew   raise FileExistsError where there is such a file
    """
    draft = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(f"{key}\n")
        out.flush()
        os.fsync(out.fileno())
    try:
        file.hardlink_to(draft) if anew else draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _read(file: Path) -> str:
    try:
        if file.stat().st_mode & 0o077:
            raise UsageError(
                f"Others may read the key {file}", why="its permissions are too wide", fix=f"run chmod 600 {file}"
            )
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"The key {file} cannot be read", why=why or "", fix="correct its permissions") from None
