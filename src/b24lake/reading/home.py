"""The home directory: locks, shared request buckets, and the addresses a portal has had."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import orjson

from b24lake.errors import HeldError, UsageError
from b24lake.portal.budget import Budget
from b24lake.portal.connection import Connection
from b24lake.portal.limits import PLANS
from b24lake.portal.webhook import Webhook


@dataclass(frozen=True, slots=True)
class Home:
    """Where b24lake keeps what is not data: `locks/`, `portals.json`."""

    path: Path

    def ready(self) -> Home:
        """Make the directory, for its owner only. Raises UsageError where that is not possible."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.locks.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageError(
                f"The home directory {self.path} cannot be used",
                why=error.strerror or str(error),
                fix="set --home or B24LAKE_HOME to a directory that you may write",
            ) from None
        return self

    @property
    def locks(self) -> Path:
        """Folder of lock files and request buckets."""
        return self.path / "locks"

    def bucket(self, portal: str) -> Path:
        """File of the request bucket that all programs of this machine share for one portal."""
        return self.locks / f"{portal}.bucket"

    def portal(self, address: str) -> str:
        """A portal's id: it stays the same when the portal moves, as long as the move was seen (`moved`)."""
        return str(self._known().get(address, {}).get("id") or portal_id(address))

    def current(self, webhook: Webhook) -> Webhook:
        """The webhook at the address where its portal was last seen."""
        known = self._known()
        for _move in range(len(known)):
            origin = known.get(webhook.address, {}).get("moved_to")
            if not origin:
                break
            webhook = replace(webhook, origin=str(origin))
        return webhook

    def moved(self, old: Webhook, new: Webhook) -> None:
        """Remember that the portal at `old` answers at `new` now: the same portal, asked there from now on."""
        portal = self.portal(old.address)
        known = {**self._known(), old.address: {"id": portal, "moved_to": new.origin}, new.address: {"id": portal}}
        file = self.path / "portals.json"
        draft = file.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(orjson.dumps(known, option=orjson.OPT_INDENT_2))
        draft.replace(file)

    def _known(self) -> dict[str, dict[str, str]]:
        try:
            known = orjson.loads((self.path / "portals.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        entries = known.items() if isinstance(known, dict) else ()
        return {address: entry for address, entry in entries if isinstance(entry, dict)}

    def hash_key(self) -> bytes:
        """The key of hashed columns: B24LAKE_HASH_KEY, else `hash.key`, which is made where there is none.

        Raises UsageError where it cannot be read.
        """
        told = os.environ.get("B24LAKE_HASH_KEY")
        if told:
            return told.encode()
        file = self.path / "hash.key"
        try:
            with suppress(FileExistsError):
                handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                with os.fdopen(handle, "w") as made:
                    made.write(secrets.token_hex(32))
            return file.read_bytes().strip()
        except OSError as error:
            raise UsageError(
                f"The key of hashed columns, {file}, cannot be read",
                why=error.strerror or str(error),
                fix="correct its permissions, or set B24LAKE_HASH_KEY",
            ) from None

    @contextmanager
    def lock(self, name: str, holds: str) -> Iterator[None]:
        """Hold the lock `name` while the block runs. Raises HeldError that says who has it.

        holds   what is shown to others, as "the table raw.bitrix24_deals"
        """
        with (self.locks / f"{name}.lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise HeldError(
                    f"Another run holds {holds}",
                    why=f"process {_holder(file)} is at it",
                    fix="wait until it has ended, or stop it, then run again",
                ) from None
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            yield
            file.truncate(0)


def portal_id(address: str) -> str:
    """The id of a portal, from the first address it was seen at: host, port and path prefix.

    >>> portal_id("acme.bitrix24.com")
    '02bbf8f18815ea38'
    """
    return hashlib.sha256(address.lower().encode()).hexdigest()[:16]


def connect(webhook: Webhook, home: Home, *, portal_plan: str = "standard") -> Connection:
    """A connection that shares the portal's request budget with the other programs of this machine."""
    here = home.ready().current(webhook)
    budget = Budget(PLANS[portal_plan], home.bucket(home.portal(here.address)))
    return Connection(here, budget, on_move=lambda moved: home.moved(here, moved))


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
