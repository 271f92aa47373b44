"""Bring a database up to this version of the program: all missing revisions in one transaction, by one process.

Alembic takes its time to load, and mostly there is nothing to do: it is imported where there is. A new database is made
as the models have it, which is what the revisions lead to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, Connection, Engine, MetaData, String, Table, column, inspect, select, table, text

from b24lake.control.connections import WRITES, connections
from b24lake.control.models import Base
from b24lake.errors import UsageError

FOLDER = Path(__file__).parent / "migrations"
VERSION_TABLE = "b24lake_version"
NEWEST = "head"
_LOCK = 0x62323461  # of PostgreSQL's advisory locks, ours


def migrate(url: URL, shown: str, *, to: str = NEWEST) -> None:
    """Apply the revisions that the database lacks. Whoever comes second waits, and finds nothing left to do.

    shown   the address as messages may tell it

    Raises UsageError where a newer version of the program wrote the database, or another program; it is left as it is.
    """
    engine = connections(url, foreign_keys=False)
    try:
        if to != NEWEST or not _current(engine):
            _migrate(engine, shown, to)
    finally:
        engine.dispose()


def _current(engine: Engine) -> bool:
    """Whether a database has all revisions."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return False
        return connection.scalars(select(column("version_num")).select_from(table(VERSION_TABLE))).all() == [newest()]


def newest() -> str:
    """The newest revision, by the names of the files."""
    return max(path.name for path in (FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]


def _migrate(engine: Engine, shown: str, to: str) -> None:
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        # Looked at behind the lock alone: before it, another process may be making the tables.
        if not inspect(connection).has_table(VERSION_TABLE):
            _refuse_foreign_tables(connection, shown)
            if to == NEWEST:
                _create(connection)
                return
        wanted = revisions()[-1] if to == NEWEST else to
        if _revision(connection, shown) != wanted:
            _upgrade(connection, wanted)


def _create(connection: Connection) -> None:
    """All tables of a new database at once, as the revisions would leave them."""
    version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
    version.primary_key.name = f"{VERSION_TABLE}_pkc"  # as Alembic calls it
    Base.metadata.create_all(connection)
    version.create(connection)
    connection.execute(version.insert(), {"version_num": newest()})


def revisions() -> list[str]:
    """All revisions, the oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(FOLDER))
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def _revision(connection: Connection, shown: str) -> str | None:
    """The revision of a database; None of one that b24lake has made nothing in. Raises UsageError for a newer one."""
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    current, known = context.get_current_revision(), revisions()
    if current is not None and current not in known:
        raise UsageError(
            f"The database {shown} was written by a newer version of b24lake",
            why=f"it is at revision {current}, and this program knows {known[-1]} at most",
            fix="install the newer version, or name another database",
        )
    return current


def _upgrade(connection: Connection, to: str) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(FOLDER))

    def steps(current: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(to, current)  # as Alembic's own `upgrade` does

    with EnvironmentContext(Config(), scripts, fn=steps, destination_rev=to) as environment:
        environment.configure(
            connection=connection,
            target_metadata=Base.metadata,
            version_table=VERSION_TABLE,
            render_as_batch=True,
            transactional_ddl=True,
        )
        environment.run_migrations()


def _refuse_foreign_tables(connection: Connection, shown: str) -> None:
    taken = sorted(set(inspect(connection).get_table_names()) & set(Base.metadata.tables))
    if taken:
        raise UsageError(
            f"The database {shown} belongs to another program",
            why=f"it has a table {taken[0]!r} that b24lake did not make",
            fix="make a database of its own for b24lake, and name that",
        )
