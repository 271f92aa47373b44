"""Tables written by the lake itself, without a portal: for tests of what is done to tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from b24lake.lake.keys import Deletions
from b24lake.lake.merging import commit_merge
from b24lake.lake.place import Place
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staging
from b24lake.lake.table import Bookmark, Commit, Counts, Owner, table_path

OWNER = Owner("portal-1", "deals", "https://acme.bitrix24.com", "sales")
STAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("ID", pa.int64(), nullable=False),
        pa.field("TITLE", pa.string(), metadata={"comment": "Title"}),
        pa.field("SUM", pa.decimal128(18, 2)),
        pa.field("_synced_at", STAMP),
    ]
)


def write(
    lake: Place,
    titles: Mapping[int, str | None],
    run: str = "run-1",
    *,
    name: str = "deals",
    mark: int | None = None,
    full: bool = True,
    schema: pa.Schema = SCHEMA,
    owner: Owner = OWNER,
    **more: Any,
) -> Counts:
    """One version of `raw.NAME` with a row for each id and its title; `more` sets other columns of all rows."""
    path = table_path(lake, "raw", name)
    given = {"SUM": 10, "_synced_at": datetime.now(UTC), **more}
    columns = {"ID": list(titles), "TITLE": list(titles.values())}
    columns |= {each: [value] * len(titles) for each, value in given.items()}
    data = pa.table({each.name: pa.array(columns[each.name], each.type) for each in schema}, schema=schema)
    staging = Staging(path, run, "ID", [], schema=schema, spool=not full)
    staging.add(data)
    bookmark = None if mark is None else Bookmark("time", "asked", mark)
    commit = Commit(run, bookmark, {"b24lake.sync_type": "INCREMENTAL"})
    if full:
        return commit_full(path, owner, staging.close(), commit, deletions=Deletions(accept=True))
    return commit_merge(path, owner, staging.close(), commit)
