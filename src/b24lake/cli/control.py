"""What the commands over the service share: its database, its key, and who asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common

if TYPE_CHECKING:
    from b24lake.control.audit import Actor
    from b24lake.control.claims import Installation
    from b24lake.control.database import Database
    from b24lake.control.moments import Clock
    from b24lake.control.secrets import Keyring
    from b24lake.sync.home import Home

DatabaseAddress = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="postgresql://USER:PASSWORD@HOST/NAME, where several workers share the work. [default: HOME/b24lake.db]",
        envvar="B24LAKE_DATABASE",
        show_default=False,
    ),
]

MoveTables = Annotated[
    bool,
    typer.Option(
        "--move-tables",
        help="Move tables that get another name, layer or lake, with their history. [default: they stay, and what the "
        "next run does is said]",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Control:
    """The service as a command sees it."""

    database: Database
    keyring: Keyring
    home: Home
    clock: Clock
    who: str


@contextmanager
def opened(address: str | None, home_dir: Path | None) -> Iterator[Control]:
    """Open the database and the key while the block runs. Raises UsageError or RetryError that says what is wrong."""
    from b24lake.control.audit import somebody
    from b24lake.control.database import open_database
    from b24lake.control.keys import open_keyring
    from b24lake.control.moments import now

    home = common.home(home_dir)
    database = open_database(address, home)
    try:
        yield Control(database, open_keyring(database, home), home, now, somebody())
    finally:
        database.close()


def acting(control: Control) -> Actor:
    """Who changes something by this command, and when."""
    from b24lake.control.audit import Actor

    return Actor(control.who, control.clock())


def installation(control: Control, lake: str | None) -> Installation:
    """Where this installation is; `lake` as given on the command line."""
    from b24lake.control.claims import Installation

    return Installation(control.home, common.lake(lake, control.home.path))


def local(at: datetime | None) -> str:
    """A moment for people: this machine's time, to the minute."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M %Z") if at else ""


def moment(text: str | None) -> str:
    """A moment of a JSON document, for people: local time, to the second."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else ""
