"""What a run has to say, from two looks at its figures (`sync.watching.figures`): the lines of its log. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

INFO, WARNING, ERROR = "info", "warning", "error"
LEVELS = (INFO, WARNING, ERROR)
_AT_IT = {"reading", "resting"}
_ENDED = {"success": INFO, "empty": INFO, "locked": WARNING, "failed": ERROR, "skipped": WARNING}


class Line(NamedTuple):
    """One line of a log: what happened, to which stream, and its particulars."""

    level: str
    event: str
    stream: str | None = None
    data: Mapping[str, Any] = {}


def news(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Line]:
    """The lines between two looks; `before` is {} at the first one."""
    if after["phase"] != before.get("phase"):
        yield Line(INFO, after["phase"])
    yield from (Line(WARNING, "note", data={"text": text}) for text in after["notes"][len(before.get("notes", ())) :])
    if after["refused"] > before.get("refused", 0):
        yield Line(WARNING, "the portal was asked too fast", data={"refused": after["refused"]})
    elif after["retries"] > before.get("retries", 0):
        yield Line(WARNING, "a request was repeated", data={"retries": after["retries"]})
    known = {stream["name"]: stream for stream in before.get("streams", ())}
    for stream in after["streams"]:
        yield from _of_stream(known.get(stream["name"], {}), stream)


def _of_stream(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Line]:
    name, state = after["name"], after["state"]
    if after.get("rests", 0) > before.get("rests", 0):
        until = after.get("rests_until")
        told = {"until": datetime.fromtimestamp(until, UTC).isoformat()} if until else {}
        yield Line(WARNING, "rests: operating time", name, told)
    if state == before.get("state"):
        return
    if before.get("state") not in _AT_IT and (state in _AT_IT or after.get("commands")):
        yield Line(INFO, "reading", name, {"table": after["table"]})
    if state in _ENDED:
        counts = {key: after[key] for key in ("rows", "commands", "portal_seconds", "rests") if after.get(key)}
        yield Line(_ENDED[state], state, name, {**counts, **({"error": after["error"]} if after["error"] else {})})
