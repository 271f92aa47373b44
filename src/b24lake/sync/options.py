"""What one run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from b24lake.lake.keys import Policy
from b24lake.lake.moving import check_folder
from b24lake.lake.place import Place
from b24lake.reading.settings import Settings, require

POLICIES: tuple[Policy, ...] = get_args(Policy)
FOLDER = "bitrix24"


@dataclass(frozen=True, kw_only=True, slots=True)
class Options(Settings):
    """Settings of a run, with their defaults: how the portal is read, and where the rows go.

    streams            names or globs; () = all that the webhook may read
    full               read everything, whatever the sync type
    folder             that groups the tables in the catalog; None = as they are, new ones in `FOLDER`
    keep_placed        tables that somebody put into another folder by hand stay there
    tables             stream -> name of its table, where that is another one than prefix and stream
    deleted            what a full read of an INCREMENTAL stream does with rows that are gone
    accept_deletions   go on although a full read loses more rows than is believable
    exclude, hash      columns that are left out, or hashed, as contacts.PHONE
    """

    lake: Place
    streams: tuple[str, ...] = ()
    full: bool = False
    layer: str = "raw"
    folder: str | None = None
    keep_placed: bool = False
    prefix: str = "bitrix24_"
    tables: Mapping[str, str] = field(default_factory=dict)
    sync_types: Mapping[str, str] = field(default_factory=dict)
    replication_keys: Mapping[str, str] = field(default_factory=dict)
    deleted: Policy = "remove"
    accept_deletions: bool = False
    exclude: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        Settings.__post_init__(self)  # `super()` does not work in a class with slots
        check_folder(self.new_folder)
        require(
            self.deleted in POLICIES,
            f"There is no policy {self.deleted!r} for deleted rows",
            f"choose {', '.join(POLICIES)}",
        )

    @property
    def new_folder(self) -> str:
        """The folder of tables that are not there yet."""
        return FOLDER if self.folder is None else self.folder

    def table_of(self, stream: str) -> str:
        """The name of a stream's table."""
        return self.tables.get(stream, f"{self.prefix}{stream}")

    def stream_of(self, table: str) -> str | None:
        """The stream whose rows would go to such a table; None where no name of a stream leads there."""
        named = next((stream for stream, name in self.tables.items() if name == table), None)
        stream = named or table.removeprefix(self.prefix)
        return stream if self.table_of(stream) == table else None
