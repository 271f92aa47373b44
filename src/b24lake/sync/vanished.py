"""Smart processes of earlier runs that the portal no longer has: found by their tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from b24lake.errors import StreamError
from b24lake.lake.files import open_table
from b24lake.lake.table import owner_of
from b24lake.streams import smart
from b24lake.streams.discovery import Discovery, Found
from b24lake.sync.options import Options


def with_vanished(discovery: Discovery, options: Options, portal: str) -> Discovery:
    """The portal's streams and, as locked ones, those of its tables whose smart process it does not name any more.

    A smart process whose table is named in the options was there once, too.
    """
    earlier = {**dict(_tables(options, portal)), **_named(options)}
    missing = {name: number for name, number in earlier.items() if name not in discovery.streams}
    if not missing:
        return discovery
    found = {name: _found(name, number, discovery) for name, number in sorted(missing.items())}
    return replace(discovery, streams={**discovery.streams, **found})


def _found(name: str, number: int, discovery: Discovery) -> Found:
    stream = next(one for one in smart.streams_of(smart.SmartType(number, "")) if one.name == name)
    untold = discovery.streams["spa_types"].locked
    return Found(stream, locked=smart.gone(number) if discovery.knows_types or untold is None else untold)


def _named(options: Options) -> dict[str, int]:
    numbers = {name: smart.entity_type_of(name) for name in options.tables}
    return {name: number for name, number in numbers.items() if number is not None}


def _tables(options: Options, portal: str) -> Iterator[tuple[str, int]]:
    """Stream and entityTypeId of the tables that hold this portal's smart processes."""
    layer = options.lake / options.layer
    for folder in layer.iterdir() if layer.is_dir() else ():
        name = options.stream_of(folder.name) or ""
        number = smart.entity_type_of(name)
        if number is None or not (folder / "_delta_log").is_dir():
            continue
        with suppress(StreamError):  # a damaged table of a smart process that is gone is nothing to this run
            table = open_table(folder)
            owner = owner_of(table) if table is not None else None
            if owner is not None and (owner.portal, owner.stream) == (portal, name):
                yield name, number
