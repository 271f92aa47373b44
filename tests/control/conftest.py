"""What the tests of the control plane share: databases of both kinds, each of them empty."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from postgres_server import Postgres, missing

from b24lake.control.database import Database, open_database
from b24lake.sync.home import Home
from service import Service

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; where there is none, the tests that need one are skipped, but never in CI."""
    if missing():
        wanted = "PostgreSQL is needed: on Debian and Ubuntu, apt-get install postgresql"
        pytest.fail(wanted) if os.environ.get("CI") else pytest.skip(wanted)
    server = Postgres()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def postgres_address(postgres: Postgres) -> str:
    """The address of a new, empty database."""
    return postgres.database()


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, home: Home) -> str:
    """The address of a new, empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{home.path}/b24lake.db"
    return str(request.getfixturevalue("postgres_address"))


@pytest.fixture
def database(address: str, home: Home) -> Iterator[Database]:
    """An open database, once of each kind."""
    opened = open_database(address, home)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(home: Home) -> Iterator[Database]:
    """An open SQLite database."""
    opened = open_database(None, home)
    yield opened
    opened.close()


@pytest.fixture
def service(database: Database, home: Home, tmp_path: Path) -> Service:
    """A service on a database of either kind, without a worker."""
    return Service(database, home, tmp_path / "lake")


@pytest.fixture
def small(sqlite: Database, home: Home, tmp_path: Path) -> Service:
    """A service on SQLite."""
    return Service(sqlite, home, tmp_path / "lake")


@pytest.fixture
def desk(database: Database, home: Home, tmp_path: Path) -> Desk:
    """An installation on a database of either kind, to be configured."""
    return Desk(database, home, tmp_path / "lake")


@pytest.fixture
def small_desk(sqlite: Database, home: Home, tmp_path: Path) -> Desk:
    """An installation on SQLite."""
    return Desk(sqlite, home, tmp_path / "lake")


@pytest.fixture
def service_on_postgres(postgres_address: str, home: Home, tmp_path: Path) -> Iterator[Service]:
    """A service on PostgreSQL."""
    opened = open_database(postgres_address, home)
    yield Service(opened, home, tmp_path / "lake")
    opened.close()
