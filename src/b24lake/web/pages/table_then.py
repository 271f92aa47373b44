"""What the pages on versions share: the table, and its versions as they are shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from deltalake import DeltaTable
from sqlalchemy import select

from b24lake.control.models import Run
from b24lake.lake import catalog, retention
from b24lake.lake.place import Place
from b24lake.lake.versions import VersionInfo, history
from b24lake.web.asking import Asking


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it is shown.

    what     what it was for, in words
    ends     from when on a run or vacuum makes it unreadable; None = it is so already, or the newest one
    run      the run that wrote it; "" where this service knows of none
    """

    info: VersionInfo
    what: str
    newest: bool
    ends: datetime | None
    run: str

    @property
    def number(self) -> int:
        """Its number."""
        return self.info.version


@dataclass(frozen=True, slots=True)
class Table:
    """An open table with its versions, newest first."""

    path: Place
    delta: DeltaTable
    versions: tuple[VersionInfo, ...]

    @property
    def name(self) -> str:
        """As SQL knows it."""
        return f"{self.path.parent.name}.{self.path.name}"

    @property
    def newest(self) -> int:
        """The number of its newest version."""
        return int(self.delta.version())


def table_of(asked: Asking, layer: str, name: str) -> Table:
    """One table. Raises UsageError where there is none, StreamError where it cannot be read."""
    path = catalog.find(asked.site.here.lake, f"{layer}.{name}")
    delta = catalog.opened(path)
    return Table(path, delta, history(path, delta))


def shown(asked: Asking, table: Table, some: Sequence[VersionInfo]) -> list[Version]:
    """Some of a table's versions as they are shown."""
    ends = retention.ends(table.versions, retention.kept(table.delta))
    known = known_runs(asked, {one.run_id for one in some})
    return [
        Version(
            one,
            did(asked, one),
            newest=one.version == table.newest,
            ends=ends.get(one.version),
            run=one.run_id if one.run_id in known else "",
        )
        for one in some
    ]


def known_runs(asked: Asking, ids: Collection[str]) -> set[str]:
    """Those of the runs that have a page: the command line's have none, and old ones are forgotten."""
    with asked.site.database.reading() as session:
        return set(session.scalars(select(Run.id).where(Run.id.in_(ids))))


def did(asked: Asking, one: VersionInfo) -> str:
    """What a version was for, in the viewer's language; what another program calls it stays as it is."""
    _ = asked.say
    if "restored" in one.metadata:
        return _("Restore of version {version}").format(version=one.metadata["restored"])
    return {
        "first read": _("First read"),
        "full read": _("Full read"),
        "changes read": _("Changes read"),
        "properties": _("Settings"),
        "new columns": _("New columns"),
        "column notes": _("Descriptions of columns"),
        "description": _("Description"),
        "compaction": _("Small files put together"),
        "vacuum": _("Old files removed"),
        "bookmark": _("Bookmark"),
    }.get(one.did, one.did)
