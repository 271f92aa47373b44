"""Which streams a source reads, and how: by name alone, or by what its portal offers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from b24lake.control.models import Source, SourceStream
from b24lake.control.source_settings import switched_on
from b24lake.errors import UsageError
from b24lake.lake.table import checked_name
from b24lake.reading.veil import needed_by
from b24lake.streams.definitions import STREAMS, Stream
from b24lake.streams.discovery import Discovery
from b24lake.streams.selection import is_hidden, select
from b24lake.streams.smart import SmartType, entity_type_of, streams_of
from b24lake.sync.privacy import refuse_needed

HIDING = {"exclude": "excluded", "hash": "hashed"}
"""Lists of columns, by names or globs, and where they are kept."""
STREAM_FIELDS: Mapping[str, str] = {
    "sync_type": "How it is read; empty = as suggested",
    "replication_key": "By which field changes are asked for; empty = as suggested",
    "table": "Name of its table; empty = prefix and stream",
    "exclude": "Columns that are left out, by names or globs, as PHONE,UF_*",
    "hash": "Columns of which a hash is kept, in the same form",
}


def definition(name: str) -> Stream:
    """The stream of this name; of a smart process, whether there is one or not. Raises UsageError for any other."""
    number = entity_type_of(name)
    if number is not None:
        return next(one for one in streams_of(SmartType(number, "")) if one.name == name)
    if name not in STREAMS:
        near = get_close_matches(name.lower(), STREAMS, n=3, cutoff=0.5)
        raise UsageError(
            f"There is no stream {name!r}",
            fix=f"did you mean {' or '.join(near)}" if near else "see docs/streams.md for the names",
        )
    return STREAMS[name]


def matching(found: Discovery, patterns: Sequence[str], on: Collection[str]) -> list[str]:
    """The streams that names and globs (none: all) choose of what a portal offers, without those that are locked.

    on   the settings that are on, of those that offer a stream

    Raises UsageError for a name or glob that matches nothing, and for a stream named that is locked or switched off.
    """
    for name in patterns:
        if name in found.streams:
            _refuse_hidden(found.streams[name].stream, on)
    chosen = select(found.streams, patterns, switched_on=on)
    for one in chosen:
        locked = one.found.locked
        if one.exact and locked is not None:
            raise UsageError(
                f"The stream {one.name} cannot be read", why=f"{locked.what}: {locked.why}", fix=locked.fix
            )
    return [one.name for one in chosen if one.found.locked is None]


def choose(source: Source, names: Collection[str]) -> None:
    """Read exactly these streams from now on; the settings of others are kept for later.

    Raises UsageError for a stream that does not exist or that a setting hides.
    """
    rows = {one.stream: one for one in source.streams}
    for name in names:
        stream = definition(name)
        if is_hidden(stream, switched_on(source.options)):
            raise UsageError(
                f"The stream {name} is switched off",
                why=f"{stream.option} is not true",
                fix=f"set {stream.option}=true",
            )
        if name not in rows:
            rows[name] = preset(source.prefix, stream)
            source.streams.append(rows[name])
    for name, row in rows.items():
        row.selected = name in names


def _refuse_hidden(stream: Stream, on: Collection[str]) -> None:
    if is_hidden(stream, on):
        raise UsageError(
            f"The stream {stream.name} is switched off",
            why=f"{stream.option} is not true",
            fix=f"set {stream.option}=true",
        )


def preset(prefix: str, stream: Stream) -> SourceStream:
    """A stream as it is suggested."""
    return SourceStream(
        stream=stream.name,
        selected=True,
        sync_type=stream.sync_types[0],
        replication_key=next(iter(stream.replication_keys), None),
        table_name=f"{prefix}{stream.name}",
        excluded=[],
        hashed=[],
    )


def drop_hidden(source: Source) -> list[str]:
    """No longer read the streams that a setting hides now. Returns their names."""
    on = switched_on(source.options)
    hidden = [one for one in source.streams if one.selected and is_hidden(definition(one.stream), on)]
    for one in hidden:
        one.selected = False
    return [one.stream for one in hidden]


def change(source: Source, name: str, changes: Mapping[str, Any]) -> None:
    """Change how a stream is read: settings of `STREAM_FIELDS`; None or "" = as suggested.

    Raises UsageError for what the stream does not offer.
    """
    stream = definition(name)
    row = next((one for one in source.streams if one.stream == name), None)
    if row is None:
        raise UsageError(f"The source {source.id} does not read {name}", fix="choose the stream first")
    put(row, stream, changes, source.prefix)


def put(row: SourceStream, stream: Stream, changes: Mapping[str, Any], prefix: str) -> None:
    """As `change`, for a row alone."""
    usual = preset(prefix, stream)
    for field, value in changes.items():
        if field == "sync_type":
            row.sync_type = _offered(stream, "sync type", str(value or usual.sync_type).upper(), stream.sync_types)
        elif field == "replication_key":
            row.replication_key = _offered(stream, "replication key", value, stream.replication_keys) if value else None
            row.replication_key = row.replication_key or usual.replication_key
        elif field == "table":
            row.table_name = checked_name(str(value or usual.table_name))
        elif field in HIDING:
            setattr(row, HIDING[field], columns(stream, field, value))
        else:
            near = get_close_matches(field, STREAM_FIELDS, n=1, cutoff=0.4)
            raise UsageError(
                f"A stream has no setting {field!r}",
                fix=f"did you mean {near[0]}" if near else f"it has {', '.join(STREAM_FIELDS)}",
            )
    needed = needed_by(stream, row.replication_key)
    for field, column in HIDING.items():
        for name in getattr(row, column):
            if name in needed:
                raise refuse_needed(field, f"{stream.name}.{name}", stream.name, name)


def columns(stream: Stream, field: str, given: Any) -> list[str]:
    """Names and globs of columns, each once. Raises UsageError for what cannot be one."""
    names = given if isinstance(given, list | tuple) else str(given or "").replace(",", " ").split()
    for name in names:
        if not re.fullmatch(r"[^\s,.]+", str(name)):
            raise UsageError(
                f"{stream.name}.{field} cannot be {name!r}",
                why="it is a list of columns, by names or globs",
                fix=f"write {stream.name}.{field}=PHONE,UF_*",
            )
    return list(dict.fromkeys(map(str, names)))


def _offered(stream: Stream, what: str, value: str, offered: Sequence[str]) -> str:
    if value not in offered:
        raise UsageError(
            f"{stream.name} has no {what} {value!r}",
            fix=f"choose {' or '.join(offered)}" if offered else "leave it out: this stream is always read in full",
        )
    return value


def rename(source: Source, old_prefix: str) -> None:
    """Give the tables whose names begin with the old prefix the new one."""
    for one in source.streams:
        if one.table_name.startswith(old_prefix):
            one.table_name = checked_name(f"{source.prefix}{one.table_name.removeprefix(old_prefix)}")


def selected(streams: Iterable[SourceStream]) -> list[str]:
    """The names of those that are read."""
    return [one.stream for one in streams if one.selected]


def split_changes(words: Iterable[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """`KEY=VALUE` and `STREAM.KEY=VALUE`, as settings of a source and of its streams.

    >>> split_changes(["retries=3", "deals.table=d"])
    ({'retries': '3'}, {'deals': {'table': 'd'}})
    """
    plain: dict[str, str] = {}
    streams: dict[str, dict[str, str]] = {}
    for word in words:
        key, sign, value = word.partition("=")
        stream, dot, field = key.partition(".")
        if not sign or not key:
            raise UsageError(f"{word!r} is no change", fix="write KEY=VALUE or STREAM.KEY=VALUE")
        (streams.setdefault(stream, {}) if dot else plain)[field if dot else key] = value
    return plain, streams
