"""Whether the tables of a lake hold just the rows of the portal they were read from, by their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deltalake import DeltaTable

from b24lake.streams.definitions import STREAMS
from benchmarks.portal import SandboxProcess

TABLES = {"product": "products"}  # stream -> the sandbox's table, where the names differ
AT_ONCE = {"page_ms": 0, "command_ms": 0, "round_trip_ms": 0, "threshold": 0, "operating_limit": 0}

Keys = Counter[tuple[str, ...]]


class Difference(NamedTuple):
    """Rows of one stream: on the portal, missing in its table, and more often there than on the portal."""

    rows: int
    missing: int
    too_many: int


def differences(portal: SandboxProcess, lake: Path, streams: Mapping[str, Sequence[str]]) -> dict[str, Difference]:
    """For each stream, named with its primary key. The portal answers at once from here on."""
    portal.set(**AT_ONCE)
    found = {}
    for name, key in streams.items():
        there, here = portal_keys(portal, name, key), table_keys(lake / "raw" / f"bitrix24_{name}", key)
        found[name] = Difference(there.total(), (there - here).total(), (here - there).total())
    return found


def portal_keys(portal: SandboxProcess, stream: str, key: Sequence[str]) -> Keys:
    """Keys of the table behind a stream; where the sandbox shows none, of what its method lists page by page."""
    rows = portal.rows(TABLES.get(stream, stream))
    return _keys(listed(portal, stream) if rows is None else rows, key)


def table_keys(table: Path, key: Sequence[str]) -> Keys:
    return _keys(DeltaTable(table).to_pyarrow_table(columns=list(key)).to_pylist(), key)


def listed(portal: SandboxProcess, name: str) -> Iterable[dict[str, Any]]:
    """A stream's rows, or its descriptors of fields, by the plainest way there is."""
    stream, start = STREAMS[name], 0
    while True:
        answer = portal.ask(stream.method, **{**stream.params, "start": start})
        page = answer["result"][stream.rows_at] if stream.rows_at else answer["result"]
        if stream.paging == "fields":
            yield from ({"id": code} for code in page)
            return
        yield from page
        if "next" not in answer:
            return
        start = answer["next"]


def _keys(rows: Iterable[dict[str, Any]], key: Sequence[str]) -> Keys:
    return Counter(tuple(str(row[part]) for part in key) for row in rows)
