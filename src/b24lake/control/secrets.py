"""What is kept secret at rest: webhooks and passwords, sealed with one key that is not in the database.

The key is in B24LAKE_KEY, or in the file `key` of the home directory, for its owner only, made at the first start. The
database knows the key's fingerprint: a wrong key is noticed before anything is read or sealed with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.models import Channel, Setting, Source
from b24lake.errors import UsageError

VARIABLE = "B24LAKE_KEY"
SEALED = "sealed"
"""The only name in a JSON value that stands for a secret: {"sealed": token}."""
SETTING = "key"
"""The setting that holds the fingerprint."""


@dataclass(frozen=True)
class Keyring:
    """The key in use. Shows its fingerprint alone, and refuses to be pickled.

    file   where the key is; None = in the environment
    """

    key: str = field(repr=False)
    fingerprint: str
    file: Path | None

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is a secret and is never pickled")

    def seal(self, text: str, session: Session) -> bytes:
        """What the transaction may write down instead of a secret.

        Raises UsageError where the database has been sealed with another key since this one was opened.
        """
        known = session.get(Setting, SETTING, with_for_update={"read": True}, populate_existing=True)
        if known is None or known.value["fingerprint"] != self.fingerprint:
            raise wrong(self.where)
        return self.encrypt(text)

    def seal_json(self, text: str, session: Session) -> dict[str, str]:
        """The same as a JSON value."""
        return {SEALED: self.seal(text, session).decode()}

    def unseal(self, token: bytes) -> str:
        """The secret. Raises UsageError where another key sealed it."""
        try:
            return Fernet(self.key).decrypt(token).decode()
        except InvalidToken:
            raise wrong(self.where) from None

    def unseal_json(self, value: Any) -> str:
        """The secret in a JSON value."""
        return self.unseal(str(value[SEALED]).encode())

    def encrypt(self, text: str) -> bytes:
        """As `seal`, for whoever has made sure that this is the key."""
        return Fernet(self.key).encrypt(text.encode())

    @property
    def where(self) -> str:
        """Where the key came from, as messages say it."""
        return f"in {self.file}" if self.file else f"in {VARIABLE}"


def keyring_of(text: str, file: Path | None, *, variable: str = VARIABLE) -> Keyring:
    """The key that a file or a variable holds. Raises UsageError where it is none."""
    key = text.strip()
    try:
        Fernet(key)
    except ValueError:
        raise UsageError(
            f"{file or variable} holds no key",
            why="a key is 32 bytes as url-safe base64",
            fix="make one with `b24lake key new`",
        ) from None
    return Keyring(key, hashlib.sha256(key.encode()).hexdigest()[:16], file)


def new_key() -> str:
    """A key nobody has had before."""
    return Fernet.generate_key().decode()


def is_sealed(value: Any) -> bool:
    """Whether a JSON value is a sealed secret."""
    return isinstance(value, dict) and set(value) == {SEALED}


def wrong(where: str) -> UsageError:
    """What is said where a key does not fit the database."""
    return UsageError(
        f"The key {where} is not the one that sealed the secrets in the database",
        why="it was replaced or rotated, or the database is that of another installation",
        fix="put the right key back; where it was rotated, start this program again. Nothing was changed",
    )


def reseal(session: Session, old: Keyring, new: Keyring) -> None:
    """Seal every secret of the database with another key."""
    for source in session.scalars(select(Source).where(Source.webhook.is_not(None)).with_for_update()):
        source.webhook = new.encrypt(old.unseal(source.webhook or b""))
    for channel in session.scalars(select(Channel).with_for_update()):
        channel.config = _resealed(channel.config, old, new)
    for setting in session.scalars(select(Setting).with_for_update()):
        setting.value = _resealed(setting.value, old, new)


def _resealed(value: Any, old: Keyring, new: Keyring) -> Any:
    if is_sealed(value):
        return {SEALED: new.encrypt(old.unseal_json(value)).decode()}
    if isinstance(value, dict):
        return {name: _resealed(each, old, new) for name, each in value.items()}
    if isinstance(value, list):
        return [_resealed(each, old, new) for each in value]
    return value
