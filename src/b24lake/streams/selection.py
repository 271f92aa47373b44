"""Which streams a person asked for, and how each is read."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from b24lake.errors import LockedError, UsageError
from b24lake.streams.definitions import Stream
from b24lake.streams.discovery import Discovery, Found

INCREMENTAL, FULL_TABLE = "INCREMENTAL", "FULL_TABLE"


@dataclass(frozen=True, slots=True)
class Selected:
    """A stream that a run shall read.

    exact             it was named in full, so that it counts as failed where it is locked
    replication_key   None where the stream has none
    """

    found: Found
    exact: bool
    sync_type: str
    replication_key: str | None

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.found.stream.name


def select(
    streams: Mapping[str, Found],
    patterns: Sequence[str] = (),
    *,
    sync_types: Mapping[str, str] | None = None,
    replication_keys: Mapping[str, str] | None = None,
    switched_on: Collection[str] = (),
) -> tuple[Selected, ...]:
    """The streams that match any of the patterns (names or globs; all streams if there are none).

    switched_on   the settings that are on: streams that need another one are hidden

    Raises UsageError for a name or glob that matches nothing, and for options a stream does not have.
    """
    for name, found in streams.items():
        if name in patterns and is_hidden(found.stream, switched_on):
            raise UsageError(f"Stream {name} is switched off", fix=f"add {switch(found.stream)}")
    streams = {name: found for name, found in streams.items() if not is_hidden(found.stream, switched_on)}
    wanted = [name for name in streams if not patterns or any(_matches(name, pattern) for pattern in patterns)]
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in streams):
            raise _unknown(pattern, streams)
    types, keys = sync_types or {}, replication_keys or {}
    for name in (*types, *keys):
        if name not in streams:
            raise _unknown(name, streams)
    return tuple(
        Selected(streams[name], name in patterns, _sync_type(streams[name], types), _key(streams[name], keys))
        for name in wanted
    )


def lock_of(selected: Selected, discovery: Discovery) -> LockedError | None:
    """Why a stream cannot be read; one of children needs its parents."""
    parent = selected.found.stream.parent
    return selected.found.locked or (discovery.streams[parent].locked if parent else None)


def is_hidden(stream: Stream, switched_on: Collection[str]) -> bool:
    """Whether a stream is not offered until a setting is on."""
    return bool(stream.option) and stream.option not in switched_on


def switch(stream: Stream) -> str:
    """The command line's option that brings a hidden stream out."""
    return f"--{stream.option.replace('_', '-')}"


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern)


def _unknown(name: str, streams: Mapping[str, Found]) -> UsageError:
    near = difflib.get_close_matches(name.lower(), streams, n=3, cutoff=0.5)
    return UsageError(
        f"There is no stream {name!r}",
        fix=f"did you mean {' or '.join(near)}" if near else "see `b24lake streams` for the names",
    )


def _sync_type(found: Found, types: Mapping[str, str]) -> str:
    offered = found.stream.sync_types
    chosen = types.get(found.stream.name, offered[0]).upper()
    if chosen not in offered:
        raise UsageError(
            f"Stream {found.stream.name} cannot be read as {chosen}",
            why="the portal has no field by which its changes can be asked for"
            if chosen == INCREMENTAL
            else "the sync types are INCREMENTAL and FULL_TABLE",
            fix=f"choose {' or '.join(offered)}",
        )
    return chosen


def _key(found: Found, keys: Mapping[str, str]) -> str | None:
    offered = found.stream.replication_keys
    chosen = keys.get(found.stream.name, offered[0] if offered else None)
    chosen = next((key for key in offered if found.column(key) == chosen), chosen)
    if chosen is not None and chosen not in offered:
        raise UsageError(
            f"Stream {found.stream.name} has no replication key {chosen}",
            fix=f"choose {' or '.join(offered)}" if offered else "leave it out: this stream is always read in full",
        )
    return chosen
