"""Which tables of an installation's lake somebody reads who shows a token."""

from __future__ import annotations

from collections.abc import Iterator

from b24lake.control import sources
from b24lake.control.claims import Installation
from b24lake.control.database import Database
from b24lake.control.source_settings import lake_of
from b24lake.lake.reach import Reach, exactly


def reach(
    database: Database, here: Installation, only: frozenset[str] | None = None, tables: tuple[str, ...] | None = None
) -> Reach:
    """The tables that fit globs, and of these those of some sources.

    only     ids of the sources; None = all tables
    tables   globs over `layer.table`; None = all tables
    """
    limits = [] if tables is None else [tables]
    limits += [] if only is None else [exactly(_tables_of(database, here, only))]
    return Reach(here.lake, tuple(limits))


def _tables_of(database: Database, here: Installation, only: frozenset[str]) -> Iterator[str]:
    """The tables of sources in this installation's lake, as `layer.table`; what they have elsewhere is not here."""
    with database.reading() as session:
        for one in sources.listed(session):
            if one.id in only and lake_of(one, here.lake) == here.lake:
                yield from (f"{one.layer}.{each.table_name}" for each in one.streams if each.selected)
