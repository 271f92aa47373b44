"""The way to a database: its address, its connections, and what is said when one fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from b24lake.errors import B24LakeError, RetryError, StopError, UsageError
from b24lake.sync.home import Home

BUSY_SECONDS = 15  # how long one writer of a SQLite file waits for another
CONNECT_SECONDS = 10  # how long PostgreSQL may take to answer
_POSTGRESQL = {
    "connect_timeout": CONNECT_SECONDS,
    # A network that swallows everything is noticed in seconds, not after the system's quarter of an hour.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    # A process that is frozen in the middle of a transaction must not hold up those that take over from it.
    "options": "-c idle_in_transaction_session_timeout=15s",
}
WRITES = "b24lake_writes"
"""The execution option of a connection whose transactions write."""
_ADDRESSES = "give postgresql://USER:PASSWORD@HOST/NAME, or nothing for a file in the home directory"


# --- addresses --------------------------------------------------------------------------------------------------------


def address_of(address: str | None, home: Home) -> URL:
    """Where the database is: a URL of PostgreSQL or SQLite, else `b24lake.db` in the home directory.

    Raises UsageError without naming what was given: it may hold a password.
    """
    if not address:
        return _file(home.ready().path / "b24lake.db")
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise UsageError("The address of the database cannot be read", fix=_ADDRESSES) from None
    kind = url.drivername.partition("+")[0]
    if kind in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return _file(Path(url.database).expanduser())
    raise UsageError(
        "The database can be in PostgreSQL or in a SQLite file", why=f"the address begins with {kind}:", fix=_ADDRESSES
    )


def shown(url: URL) -> str:
    """The address without its password.

    >>> shown(make_url("postgresql+psycopg://ann:secret@db/lake?password=secret&sslmode=require"))
    'postgresql://ann:***@db/lake?sslmode=require'
    """
    if url.drivername == "sqlite":
        return str(url.database)
    kept = {name: value for name, value in url.query.items() if "pass" not in name.lower()}
    return url.set(drivername="postgresql", query=kept).render_as_string(hide_password=True)


def _file(path: Path) -> URL:
    """A SQLite file that only its owner may read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as error:
        raise UsageError(
            f"The database {path} cannot be made", why=error.strerror or "", fix="choose another place for it"
        ) from None
    return URL.create("sqlite", database=str(path.absolute()))


# --- connections ------------------------------------------------------------------------------------------------------


def connections(url: URL, *, foreign_keys: bool = True) -> Engine:
    """Connections to a database.

    foreign_keys   False while SQLite's tables are rebuilt, which drops the old ones
    """
    if url.drivername != "sqlite":
        # A connection that died while nobody used it is replaced without anyone noticing.
        own = {name: value for name, value in _POSTGRESQL.items() if name not in url.query}
        return create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=own)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})

    def set_up(connection: Any, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin where we say, below, not where the driver thinks
        with suppress(sqlite3.OperationalError):  # another program is just about to do the same
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    """A reader that turned writer halfway would be refused at once where another writes: writers queue up at first."""
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


# --- errors -----------------------------------------------------------------------------------------------------------


@contextmanager
def clear_errors(database: str) -> Iterator[None]:
    """Turn what a driver says into what a person can do about it; violated constraints stay what they are.

    Raises RetryError where the database is locked or gone, StopError where it refuses, UsageError where it is none.
    """
    try:
        yield
    except DBAPIError as error:
        clear = _clear(database, error)
        if clear is None:
            raise
        raise clear from None


def _clear(database: str, error: DBAPIError) -> B24LakeError | None:
    said = (str(error.orig).strip().splitlines() or [""])[0]
    if "permission denied" in said or "readonly" in said or "unable to open" in said:
        return StopError(f"The database {database} may not be written", why=said, fix="correct its permissions")
    if "disk" in said or "No space left" in said:
        return StopError(f"The database {database} cannot be written", why=said, fix="see to the disk: is it full?")
    if "database is locked" in said:
        return RetryError(
            f"The database {database} is locked",
            why=f"another program has been writing to it for more than {BUSY_SECONDS} seconds",
            fix="end that program, or try again",
        )
    if _is_sqlite(error) and type(error) is not DatabaseError:
        return None  # nothing else goes wrong with a file that is not our mistake
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return RetryError(f"The database {database} does not answer", why=said, fix="see that it runs and lets you in")
    if type(error) is DatabaseError:
        return UsageError(
            f"{database} is not a database, or a damaged one", why=said, fix="name another one, or put a copy back"
        )
    return None


def _is_sqlite(error: DBAPIError) -> bool:
    return isinstance(error.orig, sqlite3.Error)
