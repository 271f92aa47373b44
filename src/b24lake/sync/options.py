"""What one run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import get_args

from b24lake.errors import UsageError
from b24lake.lake.keys import Policy
from b24lake.lake.moving import check_folder
from b24lake.lake.place import Place
from b24lake.portal.limits import PLANS, Plan
from b24lake.streams.definitions import ReaderName
from b24lake.streams.readers import READERS

POLICIES: tuple[Policy, ...] = get_args(Policy)
FOLDER = "bitrix24"


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Settings of a run, with their defaults.

    streams            names or globs; () = all that the webhook may read
    full               read everything, whatever the sync type
    folder             that groups the tables in the catalog; None = as they are, new ones in `FOLDER`
    tables             stream -> name of its table, where that is another one than prefix and stream
    threshold          operating seconds above which a method rests; 0 = off
    overlap            how far before its last start an incremental read begins
    concurrency        requests on their way at once
    deleted            what a full read of an INCREMENTAL stream does with rows that are gone
    accept_deletions   go on although a full read loses more rows than is believable
    deal_contacts      fill CONTACT_IDS of deals; deal_comments, deal_products offer these streams
    deal_categories    funnels whose deals are read, by id; () = all
    calls_look_back    what `calls` have instead of the overlap: their rows change later
    reader             which way deals, leads, contacts and companies are read
    exclude, hash      columns that are left out, or hashed, as contacts.PHONE
    """

    lake: Place
    streams: tuple[str, ...] = ()
    full: bool = False
    layer: str = "raw"
    folder: str | None = None
    prefix: str = "bitrix24_"
    tables: Mapping[str, str] = field(default_factory=dict)
    sync_types: Mapping[str, str] = field(default_factory=dict)
    replication_keys: Mapping[str, str] = field(default_factory=dict)
    threshold: float = 200.0
    overlap: timedelta = timedelta(minutes=5)
    concurrency: int = 4
    portal_plan: str = "standard"
    deleted: Policy = "remove"
    accept_deletions: bool = False
    deal_contacts: bool = False
    deal_comments: bool = False
    deal_products: bool = False
    deal_categories: tuple[int, ...] = ()
    calls_look_back: timedelta = timedelta(days=2)
    reader: ReaderName = "classic"
    exclude: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(self.threshold >= 0, "The operating threshold is negative", "give seconds, or 0 to switch it off")
        _require(1 <= self.concurrency <= 32, "The concurrency is out of range", "give 1 to 32 requests")
        _require(self.overlap >= timedelta(0), "The overlap is negative", "give a duration such as 5m")
        _require(self.calls_look_back >= timedelta(0), "The look-back of calls is negative", "give one such as 2d")
        check_folder(self.new_folder)
        _require(
            self.portal_plan in PLANS, f"There is no portal plan {self.portal_plan!r}", f"choose {' or '.join(PLANS)}"
        )
        _require(
            self.deleted in POLICIES,
            f"There is no policy {self.deleted!r} for deleted rows",
            f"choose {', '.join(POLICIES)}",
        )
        _require(self.reader in READERS, f"There is no reader {self.reader!r}", f"choose {' or '.join(READERS)}")

    @property
    def new_folder(self) -> str:
        """The folder of tables that are not there yet."""
        return FOLDER if self.folder is None else self.folder

    def table_of(self, stream: str) -> str:
        """The name of a stream's table."""
        return self.tables.get(stream, f"{self.prefix}{stream}")

    @property
    def plan(self) -> Plan:
        """The request limits of the portal's tariff."""
        return PLANS[self.portal_plan]

    @property
    def switched_on(self) -> frozenset[str]:
        """The settings that are on, of those that offer a stream."""
        return frozenset(name for name in ("deal_comments", "deal_products") if getattr(self, name))

    def overlap_of(self, stream: str) -> timedelta:
        """How far before its last start an incremental read of this stream begins."""
        return self.calls_look_back if stream == "calls" else self.overlap

    def stream_of(self, table: str) -> str | None:
        """The stream whose rows would go to such a table; None where no name of a stream leads there."""
        named = next((stream for stream, name in self.tables.items() if name == table), None)
        stream = named or table.removeprefix(self.prefix)
        return stream if self.table_of(stream) == table else None


def _require(holds: bool, what: str, fix: str) -> None:
    if not holds:
        raise UsageError(what, fix=fix)
