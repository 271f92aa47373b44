"""What a source's portal offers, beside what the source reads of it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from b24lake.control import choices
from b24lake.control.claims import Installation
from b24lake.control.models import Source
from b24lake.control.secrets import Keyring
from b24lake.control.source_settings import switched_on, value_of, webhook_of
from b24lake.errors import UsageError
from b24lake.streams.definitions import GROUPS
from b24lake.streams.discovery import Discovery, Found
from b24lake.streams.selection import is_hidden
from b24lake.sync.run import look


def offered(source: Source, keyring: Keyring, here: Installation) -> Discovery:
    """What the portal has to read. Asks the portal; raises StopError where it does not answer."""
    how = {name: value_of(source, name) for name in ("portal_plan", "reader")}
    return look(webhook_of(source, keyring), here.home, **how)[0]


def picked(
    source: Source, found: Discovery, *, only: Sequence[str] = (), add: Sequence[str] = (), drop: Sequence[str] = ()
) -> list[str]:
    """What the source reads when it reads `only` this, or what it read, `add` and without `drop`: names and globs.

    Raises UsageError as `choices.matching`, and for what is to be dropped and is not read.
    """
    on = switched_on(source.options)
    names = choices.matching(found, only, on) if only else choices.selected(source.streams)
    names += [name for name in (choices.matching(found, add, on) if add else []) if name not in names]
    for pattern in drop:
        dropped = {name for name in names if fnmatchcase(name, pattern)}
        if not dropped:
            raise UsageError(f"The source {source.id} does not read {pattern}", fix="see what it reads, and drop that")
        names = [name for name in names if name not in dropped]
    return names


def lines(source: Source, found: Discovery) -> list[dict[str, Any]]:
    """Every stream of the portal, and those that the source reads although the portal no longer has them, by group."""
    gone = [one.stream for one in source.streams if one.stream not in found.streams]
    streams = {**found.streams, **{name: Found(choices.definition(name)) for name in gone}}
    ordered = sorted(streams.values(), key=lambda one: GROUPS.index(one.stream.group))
    return [_line(source, one, known=one.stream.name in found.streams) for one in ordered]


def _line(source: Source, one: Found, *, known: bool) -> dict[str, Any]:
    stream, locked = one.stream, one.locked
    row = next((row for row in source.streams if row.stream == stream.name), None) or choices.preset(
        source.prefix, stream
    )
    hidden = is_hidden(stream, switched_on(source.options))
    state = "gone" if not known else "locked" if locked else "hidden" if hidden else "available"
    return {
        "stream": stream.name,
        "group": stream.group,
        "title": stream.title,
        "status": state,
        "reason": f"{locked.what}: {locked.why}" if locked else f"{stream.option} is off" if hidden else None,
        "cure": locked.fix if locked else f"set {stream.option}=true" if hidden else None,
        "selected": row.selected and row in source.streams,
        "sync_type": row.sync_type,
        "sync_types": list(stream.sync_types),
        "replication_key": row.replication_key,
        "replication_keys": list(stream.replication_keys),
        "exclude": row.excluded,
        "hash": row.hashed,
        "table": f"{source.layer}.{row.table_name}",
        "cost": stream.cost,
    }
