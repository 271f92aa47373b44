"""Bookmarks: what they are, and what they stand for. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson

from b24lake.portal.probe import Probe
from b24lake.reading.veil import NO_VEIL, Veil
from b24lake.streams.discovery import Found
from b24lake.streams.selection import Selected

Kind = Literal["time", "id"]
LOOK_BACK = 1_000  # ids below its bookmark that a log is read from
ASKED_OTHERWISE = (
    "it is asked otherwise than before: replication key, columns, the reader, an option, or the webhook's owner or"
    " scopes have changed"
)


def fingerprint(
    selected: Selected,
    probe: Probe,
    *,
    contacts: bool = False,
    parent: Found | None = None,
    veil: Veil = NO_VEIL,
    chosen: Collection[str] | None = None,
) -> str:
    """Stands for everything that was asked of a stream: if it differs, its bookmark does not hold and all is read.

    Part of it are the replication key, the parameters, the reader, the webhook's owner (whose rights filter the
    rows) and those of its scopes that matter to the stream.

    contacts   whether all contacts are put beside the rows
    veil       columns that nobody shall see
    chosen     the only columns that are wanted, by the keys of the portal's rows; None = all. The list of them that the
               portal is asked for does not count by itself
    parent     the stream whose records these rows belong to: what is asked of it counts as well
    """
    stream = selected.found.stream
    asked: dict[str, Any] = {
        "stream": stream.name,
        "method": stream.method,
        "params": dict(stream.params),
        "replication_key": selected.replication_key,
        "reader": stream.reader,
        "owner": probe.owner,
        "scopes": sorted(probe.scopes.intersection(stream.scopes)),
    }
    if contacts:
        asked["contacts"] = True
    if veil.left_out or veil.hashed:
        asked["veil"] = veil.asked
    if chosen is not None:
        asked["columns"] = sorted(chosen)
    if parent is not None:
        asked["parent"] = {"method": parent.stream.method, "filter": parent.stream.params.get("filter")}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def kind_of(selected: Selected) -> Kind:
    """What a stream's bookmarks are: the portal's clock, or of a log that only grows the last id."""
    return "id" if selected.replication_key == selected.found.stream.key else "time"


def shown(kind: str, value: int) -> str:
    """A bookmark for people: a moment, or an id."""
    return moment_of(value).isoformat() if kind == "time" else str(value)


def moment_of(milliseconds: int) -> datetime:
    """A bookmark of kind time as a moment."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def milliseconds_of(moment: datetime) -> int:
    """A moment as a bookmark of kind time."""
    return int(moment.timestamp() * 1000)
