"""The database: a SQLite file in the home directory, or PostgreSQL where several workers share the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import URL, Engine, text
from sqlalchemy.orm import Session, sessionmaker

from b24lake.control.connections import WRITES, address_of, clear_errors, connections, shown
from b24lake.control.migrating import migrate
from b24lake.sync.home import Home

_CONFIGURATION = 0x62323463  # of PostgreSQL's advisory locks, ours
LOGINS = 0x6232346C


@dataclass(frozen=True)
class Database:
    """An open database. Its repr and `shown` hold no password; `url` does.

    Rows outlive the session that read them: take what is needed inside, and read again to see changes of others.
    """

    url: URL = field(repr=False)
    shown: str
    engine: Engine = field(repr=False)
    _read: sessionmaker[Session] = field(repr=False)
    _write: sessionmaker[Session] = field(repr=False)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session to look something up. Raises RetryError where the database is gone or locked."""
        with clear_errors(self.shown), self._read() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction: all of it or nothing. On SQLite it is the only writer from its first moment on.

        Raises RetryError where the database is gone or locked.
        """
        with clear_errors(self.shown), self._write() as session, session.begin():
            yield session

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def take_turns(session: Session, lock: int = _CONFIGURATION) -> None:
    """Let one transaction at a time change the configuration, so that two changes that fit alone fit together.

    lock   another one, for another thing that is changed by one transaction at a time
    """
    if session.get_bind().dialect.name == "postgresql":  # on SQLite there is one writer anyway
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


def open_database(address: str | None, home: Home) -> Database:
    """The database at `address`, or the file of the home directory; brought up to this version of the program.

    Raises UsageError for an address that is none, for a database of a newer version and for one that is not ours;
    RetryError where it cannot be reached.
    """
    url = address_of(address, home)
    with clear_errors(shown(url)):
        migrate(url, shown(url))
    engine = connections(url)
    writers = engine.execution_options(**{WRITES: True})
    return Database(
        url,
        shown(url),
        engine,
        sessionmaker(engine, expire_on_commit=False),
        sessionmaker(writers, expire_on_commit=False),
    )
