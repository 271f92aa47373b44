"""Which of the two ways to read the core CRM each stream goes. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from b24lake.errors import LockedError
from b24lake.streams.definitions import ReaderName
from b24lake.streams.discovery import Discovery, Found

READERS: tuple[ReaderName, ...] = get_args(ReaderName)


def read_by(discovery: Discovery, reader: ReaderName) -> Discovery:
    """The streams as a reader gives them; a stream whose classic method the portal no longer has goes the other way."""
    streams = dict(discovery.streams)
    for name, universal in discovery.universal.items():
        classic = streams[name]
        if reader == "universal":
            streams[name] = _with_cure(universal, classic)
        elif classic.lock == "plan" and universal.locked is None:
            assert classic.locked is not None
            streams[name] = replace(universal, note=f"is read by {universal.stream.method}. {classic.locked.what}")
    return replace(discovery, streams=streams)


def _with_cure(universal: Found, classic: Found) -> Found:
    """The universal stream; where it is locked and the classic one is not, the cure is to read that."""
    error = universal.locked
    if error is None or classic.locked is not None:
        return universal
    fix = ", or ".join(filter(None, ["read it with --reader classic", error.fix]))
    return replace(universal, locked=LockedError(error.what, why=error.why, fix=fix, code=error.code))
