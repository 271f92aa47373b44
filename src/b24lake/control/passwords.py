"""Passwords: what may be one, and their argon2 hashes."""

from __future__ import annotations

import unicodedata
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from b24lake.errors import UsageError

SHORTEST, LONGEST = 10, 256  # signs
_DIFFERENT = 5  # signs at least
# OWASP's figures for Argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_AT_ONCE = BoundedSemaphore(4)  # many logins at once wait, and do not take 19 MiB each


def checked_password(password: str, name: str) -> str:
    """A new password of an account. Raises UsageError where it is too easy to guess."""
    text = _usual(password)
    fix = f"take at least {SHORTEST} signs; four or five words will do"
    if not SHORTEST <= len(text) <= LONGEST:
        why = f"it has {len(text)} signs, and {SHORTEST} to {LONGEST} are allowed"
        raise UsageError("This password cannot be used", why=why, fix=fix)
    if len(set(text)) < _DIFFERENT or text.casefold() in {name.casefold(), name.casefold() * 2}:
        raise UsageError("This password cannot be used", why="it is easy to guess", fix=fix)
    return text


def hashed(password: str) -> str:
    """What is kept of a password."""
    with _AT_ONCE:
        return _HASHER.hash(_bytes(password))


def fits(kept: str | None, password: str) -> bool:
    """Whether a password is the one that was hashed; None, for an account that does not exist, takes as long."""
    if len(password) > LONGEST:
        return False
    with _AT_ONCE:
        try:
            return _HASHER.verify(kept or _nobodys(), _bytes(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def outdated(kept: str) -> bool:
    """Whether a hash was made with other figures than today's."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    return _HASHER.hash(b"nobody has this password")


def _usual(password: str) -> str:
    """The same text however a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return _usual(password).encode("utf-8", "surrogatepass")
