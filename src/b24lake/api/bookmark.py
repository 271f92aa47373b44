"""Where a read ended: a program keeps it as JSON, and the next read goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self, get_args

import orjson

from b24lake.errors import UsageError
from b24lake.reading.marks import ASKED_OTHERWISE, Kind, milliseconds_of, moment_of

VERSION = 1
PRECISE = timedelta(minutes=1)  # how well the portal's clock is known
_FIX = "pass a bookmark as a reading gave it, or leave `since` out to read everything"


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where the next incremental read of one stream of one portal begins.

    portal        the portal's id: it survives a changed address
    stream        name of the stream
    kind          "time": `value` is the portal's clock when the read began, minus the overlap, in milliseconds since
                  1970 (UTC); "id": it is the last id of a log that only grows
    fingerprint   stands for everything that was asked (columns, settings, replication key, the webhook's owner and
                  scopes): if it differs, the next read is a full one
    """

    portal: str
    stream: str
    kind: Literal["time", "id"]
    value: int
    fingerprint: str

    @property
    def at(self) -> datetime | None:
        """The moment from which on changes will be read; None where the bookmark is an id."""
        return moment_of(self.value) if self.kind == "time" else None

    def as_dict(self) -> dict[str, Any]:
        """As plain data: strings and whole numbers alone."""
        return {
            "version": VERSION,
            "portal": self.portal,
            "stream": self.stream,
            "kind": self.kind,
            "value": self.value,
            "fingerprint": self.fingerprint,
        }

    def to_json(self) -> str:
        """As one line of JSON of about 150 characters."""
        return orjson.dumps(self.as_dict()).decode()

    @classmethod
    def from_json(cls, told: str | bytes | Mapping[str, Any]) -> Self:
        """The bookmark in such a line, or in its plain data.

        Raises UsageError where it is none, or was written by a version of b24lake that keeps more in it.
        """
        try:
            data = told if isinstance(told, Mapping) else orjson.loads(told)
        except orjson.JSONDecodeError as error:
            raise UsageError("The bookmark cannot be read", why=f"it is not JSON: {error}", fix=_FIX) from None
        if not isinstance(data, Mapping):
            raise UsageError("The bookmark cannot be read", why="it is not an object", fix=_FIX)
        if data.get("version") != VERSION:
            raise UsageError(
                f"The bookmark is of version {data.get('version')!r}",
                why=f"this b24lake knows version {VERSION}",
                fix=_FIX,
            )
        return cls._of(data)

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        texts = [data.get(name) for name in ("portal", "stream", "fingerprint")]
        kind, value = data.get("kind"), data.get("value")
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53
        if not whole or kind not in get_args(Kind) or not all(isinstance(text, str) and text for text in texts):
            raise UsageError("The bookmark cannot be read", why="something in it is missing or changed", fix=_FIX)
        portal, stream, fingerprint = map(str, texts)
        return cls(portal, stream, "id" if kind == "id" else "time", int(str(value)), fingerprint)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a read is about to ask, as its bookmark will say it.

    offered   whether the stream can be asked for its changes at all
    clock     the portal's time
    """

    portal: str
    stream: str
    kind: Kind
    fingerprint: str
    offered: bool
    clock: datetime


Since = Bookmark | Mapping[str, Any] | datetime | str


def begin(since: Since | None, wanted: Wanted) -> tuple[int | None, str]:
    """From which value on to read (None = in full), and why it is a full read although a bookmark was given, or "".

    Raises UsageError for a bookmark of another stream or portal, one in the future, and what is none.
    """
    if since is None or (isinstance(since, str) and not since.strip()):
        return None, ""
    if isinstance(since, datetime) or (isinstance(since, str) and not since.lstrip().startswith("{")):
        return _time(since, wanted), ""
    bookmark = since if isinstance(since, Bookmark) else Bookmark.from_json(since)
    if bookmark.stream != wanted.stream:
        raise UsageError(f"The bookmark is of stream {bookmark.stream}, not of {wanted.stream}", fix=_FIX)
    if bookmark.portal != wanted.portal:
        raise UsageError(
            "The bookmark is of another portal",
            why=f"it says {bookmark.portal}, and this one is {wanted.portal}",
            fix=_FIX,
        )
    if bookmark.kind == "time":
        _not_ahead(moment_of(bookmark.value), wanted)
    if not wanted.offered or (bookmark.kind, bookmark.fingerprint) != (wanted.kind, wanted.fingerprint):
        return None, ASKED_OTHERWISE
    return bookmark.value, ""


def _time(since: datetime | str, wanted: Wanted) -> int:
    """A moment as a bookmark; without an offset it is in UTC."""
    if not wanted.offered or wanted.kind == "id":
        why = (
            "its bookmarks are ids"
            if wanted.offered
            else "the portal has no field by which its changes can be asked for"
        )
        raise UsageError(
            f"Stream {wanted.stream} cannot be read from a time on",
            why=why,
            fix="leave `since` out" + (", or pass a bookmark of an earlier reading" if wanted.offered else ""),
        )
    try:
        moment = since if isinstance(since, datetime) else datetime.fromisoformat(since.strip())
    except ValueError:
        raise UsageError(f"{since!r} is neither a time nor a bookmark", fix="write 2026-10-20T12:00:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    _not_ahead(moment, wanted)
    if moment_of(1) > moment:
        raise UsageError(f"{since} is before the first record there can be", fix="leave `since` out")
    return milliseconds_of(moment)


def _not_ahead(moment: datetime, wanted: Wanted) -> None:
    if moment > wanted.clock + PRECISE:
        raise UsageError(
            f"{moment.isoformat(timespec='seconds')} has not come yet",
            why=f"changes up to then would never be read; the portal's clock shows {wanted.clock.isoformat()}",
            fix="pass a time or a bookmark of the past",
        )
