"""What a portal has to read, as a program sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from b24lake.reading.decode import SCHEMA_TAIL
from b24lake.reading.settings import Settings
from b24lake.streams.discovery import Discovery, Lock
from b24lake.streams.fields import schema
from b24lake.streams.selection import is_hidden

Status = Literal["available", "hidden", "locked"]


@dataclass(frozen=True, slots=True, eq=False)
class StreamInfo:
    """One stream of one portal.

    status             available; hidden until a setting is on; locked
    lock               of a locked one: the "scope" is missing, the "plan" does not have it, the owner's "rights" do not
                       allow it, its smart process is "gone", or something "other"
    why, cure          of one that is not available: what stands in the way, and what to do about it
    scopes             any one of these lets the webhook read it
    primary_key        the column whose value no two rows share
    replication_key    the column by which changes are asked for, where none is chosen; None: there is none, though a
                       stream with a `parent` can be read incrementally all the same
    replication_keys   all that can be chosen
    sync_types         INCREMENTAL, FULL_TABLE: those on offer, the preset one first
    parent             the stream whose records these rows belong to; "" = none. An incremental read brings all rows of
                       the records that have moved
    ranges             whether `ranges` can cut it
    cost               how many calls it takes; up to 50 of them go in one request
    schema             its columns; the label of a field is `comment` in the metadata of its column
    note               how it is read otherwise than usual; "" = it is not
    """

    name: str
    title: str
    group: str
    status: Status
    lock: Lock | None
    why: str
    cure: str
    scopes: tuple[str, ...]
    primary_key: str
    replication_key: str | None
    replication_keys: tuple[str, ...]
    sync_types: tuple[str, ...]
    parent: str
    ranges: bool
    cost: str
    schema: pa.Schema
    note: str

    @property
    def available(self) -> bool:
        """Whether it can be read."""
        return self.status == "available"

    @property
    def incremental(self) -> bool:
        """Whether `since` can be asked for."""
        return "INCREMENTAL" in self.sync_types


def info_of(name: str, discovery: Discovery, settings: Settings) -> StreamInfo:
    """A stream as discovery found it, with these settings."""
    found = discovery.streams[name]
    stream = found.stream
    parent = discovery.streams.get(stream.parent)
    locked = found.locked or (parent.locked if parent else None)
    lock = found.lock or (parent.lock if parent else None)
    hidden = is_hidden(stream, settings.switched_on)
    why, cure = ("it is switched off", f"set {stream.option}=True") if hidden else ("", "")
    if locked is not None:
        why, cure = ". ".join(part for part in (locked.what, locked.why) if part), locked.fix
    keys = tuple(found.column(key) for key in stream.replication_keys)
    return StreamInfo(
        name=name,
        title=stream.title,
        group=stream.group,
        status="locked" if locked is not None else "hidden" if hidden else "available",
        lock=lock,
        why=why,
        cure=cure,
        scopes=stream.scopes,
        primary_key=found.column(stream.key),
        replication_key=keys[0] if keys else None,
        replication_keys=keys,
        sync_types=stream.sync_types,
        parent=stream.parent,
        ranges=stream.paging == "keyset",
        cost=stream.cost,
        schema=pa.schema([*schema(found.columns), *SCHEMA_TAIL]),
        note=found.note,
    )
