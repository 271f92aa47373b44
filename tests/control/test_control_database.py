"""The database: brought up from any revision on SQLite and PostgreSQL, never from a newer one, never by two at once."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postgres_server import Postgres
from sqlalchemy import URL, Column, MetaData, insert, inspect, make_url, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from b24lake.control import connections, migrating
from b24lake.control.connections import address_of, shown
from b24lake.control.database import Database, open_database
from b24lake.control.migrating import VERSION_TABLE, migrate, revisions
from b24lake.control.models import Base, Run, RunLog, Setting, Source, SourceStream, Trigger
from b24lake.errors import RetryError, UsageError
from b24lake.sync.home import Home

NOW = datetime(2026, 11, 22, 10, 30, 15, 123456, tzinfo=UTC)


def source(name: str = "crm") -> Source:
    return Source(id=name, name=name, created_at=NOW, updated_at=NOW)


# --- revisions --------------------------------------------------------------------------------------------------------


def test_the_files_of_the_revisions_are_named_in_their_order() -> None:
    assert migrating.newest() == revisions()[-1]


@pytest.mark.parametrize("start", [None, *revisions()])
def test_every_revision_becomes_what_the_models_say(address: str, home: Home, start: str | None) -> None:
    if start is not None:
        migrate(address_of(address, home), "it", to=start)
    opened = open_database(address, home)
    with opened.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == revisions()[-1]
    opened.close()


def test_a_new_database_is_what_the_revisions_lead_to(address: str, home: Home) -> None:
    url = address_of(address, home)
    migrate(url, "it", to=revisions()[-1])
    by_revisions = described(url)
    engine = connections.connections(url, foreign_keys=False)
    Base.metadata.drop_all(engine)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
    engine.dispose()
    migrate(url, "it")
    assert described(url) == by_revisions


def described(url: URL) -> dict[str, Any]:
    """Columns, keys, indices and constraints of every table."""
    engine = connections.connections(url)
    looked = inspect(engine)
    asked = ("columns", "indexes", "foreign_keys", "check_constraints", "unique_constraints")

    def parts(table: str) -> dict[str, Any]:
        lists = {what: getattr(looked, f"get_{what}")(table) for what in asked}
        for index in lists["indexes"]:
            index["dialect_options"] = {name: str(said) for name, said in index.get("dialect_options", {}).items()}
        found = {what: sorted(map(str, its)) for what, its in lists.items()}
        return {**found, "key": str(looked.get_pk_constraint(table)["constrained_columns"])}

    told = {table: parts(table) for table in looked.get_table_names()}
    engine.dispose()
    return told


def test_rows_of_every_revision_survive_all_later_ones(
    address: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_revision(tmp_path / "migrations", monkeypatch)  # the last one of today is followed by another, too
    url, written = address_of(address, home), list[tuple[str, dict[str, Any]]]()
    for number, revision in enumerate(revisions(), start=1):
        migrate(url, "it", to=revision)
        written += filled(url, number)
    assert len(revisions()) > 1
    assert {table for table, _ in written} == set(Base.metadata.tables)
    opened = open_database(address, home)
    with opened.engine.connect() as connection:
        for table, row in written:
            found = connection.exec_driver_sql(f"SELECT * FROM {table}").mappings().all()
            assert [one for one in found if all(one[name] == row[name] for name in row if name in one)], (table, row)
        violated = connection.exec_driver_sql("PRAGMA foreign_key_check").all() if url.drivername == "sqlite" else []
    assert violated == []
    opened.close()


def filled(url: URL, number: int) -> list[tuple[str, dict[str, Any]]]:
    """Put a row into every table of a database as it is now. Returns them with their tables, as the driver has them."""
    engine, tables = connections.connections(url), MetaData()
    tables.reflect(engine)
    ours = [table for table in tables.sorted_tables if table.name != VERSION_TABLE]
    with engine.execution_options(**{connections.WRITES: True}).begin() as connection:
        rows = []
        for table in ours:
            before = connection.exec_driver_sql(f"SELECT * FROM {table.name}").mappings().all()
            connection.execute(insert(table), [{column.name: some(column, number) for column in table.columns}])
            after = connection.exec_driver_sql(f"SELECT * FROM {table.name}").mappings().all()
            rows += [(table.name, dict(row)) for row in after if row not in before]
    engine.dispose()
    assert len(rows) == len(ours)
    return rows


def some(column: Column[Any], number: int) -> Any:
    """A value of a column's type; every id of one number is the same, so that references are kept."""
    moment = NOW.replace(tzinfo=None) + timedelta(days=number)
    values = {bool: True, int: number, float: 1.5, bytes: b"x", datetime: moment, dict: {"x": number}}
    return values.get(column.type.python_type, f"x{number}")


REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9001", "{last}", None, None


def upgrade():
    with op.batch_alter_table("sources", recreate="auto") as table:
        table.alter_column("retries", type_=sa.BigInteger(), existing_type=sa.Integer())
        table.add_column(sa.Column("colour", sa.Text(), nullable=False, server_default="blue"))
    {then}
"""


def next_revision(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str = "") -> None:
    """The program as it may be tomorrow: a revision that rebuilds a table others refer to."""
    last = revisions()[-1]
    shutil.copytree(migrating.FOLDER, folder)
    (folder / "versions" / "9001_tomorrow.py").write_text(REVISION.format(last=last, then=then))
    monkeypatch.setattr(migrating, "FOLDER", folder)


def test_a_table_is_rebuilt_without_losing_what_refers_to_it(
    address: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_database(address, home)
    with opened.writing() as session:
        session.add(source())
        session.flush()
        session.add(SourceStream(source_id="crm", stream="deals", sync_type="FULL_TABLE", table_name="deals"))
    opened.close()
    next_revision(tmp_path / "migrations", monkeypatch)
    opened = open_database(address, home)
    with opened.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, colour FROM sources").all() == [("crm", "blue")]
        assert connection.exec_driver_sql("SELECT stream FROM source_streams").all() == [("deals",)]
    with opened.writing() as session:
        session.delete(session.get_one(Source, "crm"))
    with opened.reading() as session:
        assert session.scalars(select(SourceStream)).all() == []  # the references are there as before
    opened.close()


def test_an_upgrade_that_fails_leaves_everything_as_it_was(
    address: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_database(address, home)
    with opened.writing() as session:
        session.add(source())
    next_revision(tmp_path / "migrations", monkeypatch, then="raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        open_database(address, home)
    columns = {column["name"] for column in inspect(opened.engine).get_columns("sources")}
    with opened.reading() as session:
        assert (session.get_one(Source, "crm").name, "colour" in columns) == ("crm", False)
        assert session.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == revisions()[-2]
    opened.close()


def test_a_newer_database_is_refused_and_left_alone(database: Database, address: str, home: Home) -> None:
    with database.writing() as session:
        session.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(UsageError, match="newer version of b24lake"):
        open_database(address, home)
    with database.reading() as session:
        assert session.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == "9999"


def test_a_database_of_another_program_is_refused_and_left_alone(address: str, home: Home) -> None:
    engine = connections.connections(address_of(address, home))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE runs (id INTEGER PRIMARY KEY)"))
    with pytest.raises(UsageError, match="another program"):
        open_database(address, home)
    assert inspect(engine).get_table_names() == ["runs"]
    engine.dispose()


@pytest.mark.slow
def test_programs_that_start_at_once_make_the_tables_once(address: str, home: Home) -> None:
    home.ready()
    code = (
        "import sys; from pathlib import Path; from b24lake.control.database import open_database; "
        "from b24lake.sync.home import Home; open_database(sys.argv[1], Home(Path(sys.argv[2]))).close()"
    )
    command = [sys.executable, "-c", code, address, str(home.path)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, said
    open_database(address, home).close()


# --- addresses --------------------------------------------------------------------------------------------------------


def test_without_an_address_it_is_a_file_of_the_owner_alone(sqlite: Database, home: Home) -> None:
    file = home.path / "b24lake.db"
    assert (sqlite.shown, file.stat().st_mode & 0o777) == (str(file), 0o600)
    with sqlite.reading() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("mysql://ann:hunter2@db/lake", "begins with mysql:"),
        ("sqlite://", "begins with sqlite:"),
        ("sqlite:///:memory:", "begins with sqlite:"),
        ("hunter2", "cannot be read"),
        ("postgresql://ann:hunter2@db:port/lake", "cannot be read"),
        ("sqlite:////proc/nowhere/b24lake.db", "cannot be made"),
        ("postgresql://ann:hunter2@127.0.0.1:1/lake?password=hunter2", "does not answer"),
    ],
)
def test_a_wrong_address_is_a_clear_error_without_its_password(address: str, says: str, home: Home) -> None:
    with pytest.raises((UsageError, RetryError)) as caught:
        open_database(address, home)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_password_is_shown() -> None:
    url = make_url("postgresql+psycopg://ann:hunter2@db/lake?password=hunter2&sslmode=require")
    assert shown(url) == "postgresql://ann:***@db/lake?sslmode=require"


def test_a_database_shows_no_password_either(postgres_address: str, home: Home) -> None:
    opened = open_database(postgres_address.replace("b24lake@", "b24lake:hunter2@"), home)
    assert "hunter2" not in f"{opened!r} {opened} {opened.engine}"
    assert opened.shown.startswith("postgresql://b24lake:***@/")
    opened.close()


# --- what may go wrong ------------------------------------------------------------------------------------------------


def test_a_locked_file_is_a_clear_error(sqlite: Database, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = sqlite3.connect(home.path / "b24lake.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.1)
    hasty = open_database(None, home)
    with pytest.raises(RetryError, match="is locked"), hasty.writing() as session:
        session.add(source())
    with hasty.reading() as session:
        assert session.get(Source, "crm") is None
    holder.execute("COMMIT")
    holder.close()
    with hasty.writing() as session:
        session.add(source())
    hasty.close()


def test_a_file_that_is_no_database_is_left_alone(home: Home) -> None:
    file = home.ready().path / "b24lake.db"
    file.write_text("a shopping list, " * 100)
    with pytest.raises(UsageError, match="is not a database"):
        open_database(None, home)
    assert file.read_text().startswith("a shopping list")


def test_a_server_that_went_away_is_a_clear_error_and_found_again(postgres: Postgres, home: Home) -> None:
    opened = open_database(postgres.database(), home)
    with pytest.raises(RetryError, match="does not answer"), opened.writing() as session:
        session.add(source())
        session.flush()
        postgres.stop()
        session.execute(text("SELECT 1"))
    with pytest.raises(RetryError, match="does not answer"), opened.reading() as session:
        session.get(Source, "crm")
    postgres.start()
    with opened.reading() as session:
        assert session.get(Source, "crm") is None
    opened.close()


def test_a_folder_that_may_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used"):
        open_database(None, Home(tmp_path / "file" / "home"))


# --- what the tables promise ------------------------------------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as session:
        session.add(source())
        session.flush()
        raise ZeroDivisionError
    with database.reading() as session:
        assert session.get(Source, "crm") is None


def test_times_come_back_in_utc_whatever_their_zone(database: Database) -> None:
    with database.writing() as session:
        session.add(
            Source(id="crm", name="CRM", created_at=NOW, updated_at=NOW.astimezone(timezone(timedelta(hours=5))))
        )
    with database.reading() as session:
        found = session.get_one(Source, "crm")
    assert (found.created_at, found.updated_at) == (NOW, NOW)
    assert found.updated_at.tzinfo is UTC
    with pytest.raises(StatementError, match="has no zone"), database.writing() as session:
        session.add(Source(id="naive", name="naive", created_at=NOW.replace(tzinfo=None), updated_at=NOW))


def test_lists_and_maps_come_back_as_they_were(database: Database) -> None:
    value = {"nested": [1, 2.5, "ä", None, {"b": True}]}
    with database.writing() as session:
        session.add(Setting(key="some", value=value))
    with database.reading() as session:
        assert session.get_one(Setting, "some").value == value


def test_a_run_exists_once_for_each_trigger_and_time(database: Database) -> None:
    def run(name: str, due: datetime | None) -> Run:
        return Run(
            id=name,
            source_id="crm",
            portal="p",
            trigger_id="t1",
            cause="schedule",
            state="queued",
            queued_at=NOW,
            due_at=due,
        )

    with database.writing() as session:
        session.add(source())
        session.flush()
        session.add(Trigger(id="t1", source_id="crm", kind="schedule", spec={}, created_at=NOW))
        session.flush()
        session.add_all([run("one", NOW), run("two", NOW + timedelta(hours=1)), run("by hand", None)])
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(run("again", NOW))


def test_what_belongs_to_a_source_goes_with_it(database: Database) -> None:
    with database.writing() as session:
        session.add(source())
        session.flush()
        session.add(SourceStream(source_id="crm", stream="deals", sync_type="FULL_TABLE", table_name="deals"))
        session.add(Trigger(id="t1", source_id="crm", kind="schedule", spec={}, created_at=NOW))
        session.flush()
        session.add(
            Run(id="r1", source_id="crm", portal="p", trigger_id="t1", cause="manual", state="queued", queued_at=NOW)
        )
        session.flush()
        session.add(RunLog(run_id="r1", at=NOW, level="info", event="begun"))
    with database.writing() as session:
        session.delete(session.get_one(Source, "crm"))
    with database.reading() as session:
        left = [table.name for table in Base.metadata.sorted_tables if session.execute(select(table)).first()]
    assert left == []
