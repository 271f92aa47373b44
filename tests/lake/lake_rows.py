"""A small table of deals in a real lake, and rows to write into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from b24lake.lake.keys import Deletions
from b24lake.lake.merging import commit_merge
from b24lake.lake.place import Place
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staged, Staging
from b24lake.lake.table import Bookmark, Commit, Counts, Owner, table_path

NOON = datetime(2026, 8, 21, 12, 0, tzinfo=UTC)
STAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("ID", pa.int64(), nullable=False, metadata={"comment": "Deal"}),
        pa.field("TITLE", pa.string(), metadata={"comment": "Title"}),
        pa.field("SUM", pa.decimal128(18, 2)),
        pa.field("PHONE", pa.list_(pa.struct([("ID", pa.string()), ("VALUE", pa.string())]))),
        pa.field("CHANGED", STAMP),
        pa.field("_synced_at", STAMP),
        pa.field("_misfits", pa.map_(pa.string(), pa.string())),
    ]
)


def rows(
    ids: list[Any] | range, *, title: str = "deal", run: int = 0, schema: pa.Schema = SCHEMA, **more: Any
) -> pa.Table:
    """One row per id; `run` is the hour in `_synced_at`; `more` replaces whole columns by one value."""
    given = {
        "ID": list(ids),
        "TITLE": [f"{title} {each}" for each in ids],
        "SUM": [10] * len(ids),
        "PHONE": [[{"ID": "1", "VALUE": "+7"}]] * len(ids),
        "CHANGED": [NOON] * len(ids),
        "_synced_at": [NOON + timedelta(hours=run)] * len(ids),
        "_misfits": [None] * len(ids),
    } | {name: [value] * len(ids) for name, value in more.items()}
    return pa.table({each.name: pa.array(given[each.name], each.type) for each in schema}, schema=schema)


def with_columns(*fields: pa.Field, without: tuple[str, ...] = (), base: pa.Schema = SCHEMA) -> pa.Schema:
    """The schema with these fields instead of, or besides, those it has."""
    named = {each.name: each for each in base if each.name not in without} | {each.name: each for each in fields}
    return pa.schema(list(named.values()))


@dataclass
class Deals:
    """One table and the short way to write and read it."""

    lake: Place
    owner: Owner = field(default_factory=lambda: Owner("portal-1", "deals", "sales", "bitrix24"))
    runs: int = 0

    @property
    def path(self) -> Place:
        return table_path(self.lake, "raw", "bitrix24_deals")

    def stage(self, *batches: pa.Table, spool: bool = False, schema: pa.Schema | None = None) -> Staged:
        self.runs += 1
        declared = schema or (batches[0].schema if batches else SCHEMA)
        staging = Staging(self.path, f"run-{self.runs}", "ID", ["CHANGED"], schema=declared, spool=spool)
        for batch in batches:
            staging.add(batch)
        return staging.close()

    def commit(self, mark: int | None = None) -> Commit:
        bookmark = None if mark is None else Bookmark("time", "asked", mark)
        return Commit(f"run-{self.runs}", bookmark, {"b24lake.sync_type": "any"})

    def full(
        self, *batches: pa.Table, mark: int | None = None, schema: pa.Schema | None = None, **guard: Any
    ) -> Counts:
        staged = self.stage(*batches, schema=schema)
        return commit_full(self.path, self.owner, staged, self.commit(mark), deletions=Deletions(**guard))

    def merge(self, *batches: pa.Table, mark: int | None = None) -> Counts:
        return commit_merge(self.path, self.owner, self.stage(*batches, spool=True), self.commit(mark))

    def delta(self) -> DeltaTable:
        return DeltaTable(str(self.path))

    def read(self) -> dict[Any, dict[str, Any]]:
        """Key -> row."""
        table = self.delta().to_pyarrow_table().to_pylist()
        assert len({row["ID"] for row in table}) == len(table)
        return {row["ID"]: row for row in table}

    def files(self) -> set[str]:
        return {each.name for each in self.path.iterdir()} if self.path.exists() else set()
