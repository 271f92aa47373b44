"""The bookmarks of a source's tables, seen and moved by people: where the next incremental read of each begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from b24lake.control import claims
from b24lake.control.audit import Actor
from b24lake.control.claims import Installation
from b24lake.control.database import Database
from b24lake.control.models import Source
from b24lake.control.source_settings import lake_of
from b24lake.errors import B24LakeError, UsageError
from b24lake.lake import bookmarks, catalog
from b24lake.lake.place import Place, at_once
from b24lake.lake.table import Bookmark, open_owned
from b24lake.sync.home import lock_name


@dataclass(frozen=True)
class Mark:
    """How far a stream has been read.

    table      as SQL knows it
    there      whether the table has a first version
    bookmark   None = it is always read in full
    error      why it cannot be told
    """

    stream: str
    table: str
    there: bool = False
    bookmark: Bookmark | None = None
    error: B24LakeError | None = None

    @property
    def value(self) -> str:
        """A moment in ISO 8601, or an id; "" = the next read is a full one."""
        return bookmarks.value_shown(self.bookmark) if self.bookmark else ""


def shown(source: Source, here: Installation) -> list[Mark]:
    """The bookmark of each stream that is read, from the logs of the tables."""
    tables = claims.tables_of(source, here)
    return at_once(lake_of(source, here.lake), lambda pair: _mark(source, *pair), sorted(tables.items()))


def of_stream(source: Source, here: Installation, stream: str) -> Mark:
    """The bookmark of one stream. Raises UsageError where the source does not read it."""
    return _mark(source, stream, _path(source, here, stream))


def _mark(source: Source, stream: str, path: Place) -> Mark:
    try:
        table = open_owned(path, claims.owner_of(source, stream))
        if table is None:
            return Mark(stream, claims.shown(path))
        return Mark(stream, claims.shown(path), there=True, bookmark=bookmarks.held(path, table))
    except B24LakeError as error:
        return Mark(stream, claims.shown(path), error=error)


def put(
    database: Database, here: Installation, actor: Actor, source: Source, stream: str, where: str | None
) -> Bookmark:
    """Have the next read of a stream begin at this time or id, or, for None, read everything.

    Raises UsageError for what cannot be a bookmark of it, StopError while a run holds the table.
    """
    path = _path(source, here, stream)
    with here.home.ready().lock(f"table-{lock_name(path)}", f"the table {claims.shown(path)}"):
        wanted = bookmarks.put(path, catalog.opened(path), where, actor.at, f"{actor.at:%Y%m%dT%H%M%S}-bookmark")
    told: dict[str, Any] = {"stream": stream, "table": claims.shown(path), "to": bookmarks.value_shown(wanted)}
    with database.writing() as session:
        actor.did(session, "moved the bookmark of", f"source {source.id}", told)
    return wanted


def _path(source: Source, here: Installation, stream: str) -> Place:
    path = claims.tables_of(source, here).get(stream)
    if path is None:
        raise UsageError(f"The source {source.id} does not read {stream!r}", fix="choose one of its streams")
    return path
