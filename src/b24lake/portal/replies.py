"""Bodies of the portal's answers -> results, totals, times and errors. Pure: bytes in, values out.

Sources: settings/how-to-call-rest-api/general-principles.md (envelope), batch.md (sections), error-codes.md and
limits.md (errors) of the vendor's docs. Where these contradict real portals, both forms are read.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypedDict

import msgspec
from msgspec import Raw

from b24lake.errors import B24LakeError, LockedError, OverlongError, RetryError, StopError, StreamError
from b24lake.portal.refusals import refusal

BOM = b"\xef\xbb\xbf"  # on-premise portals whose PHP files begin with one send it along
LARGE = 1_000_000  # bytes of a body whose rows are left as they came: whoever wants them can often do without parsing

GATEWAY_GAVE_UP = {408, 502, 504, 524}  # HTTP statuses of a proxy that waited for the portal in vain


@dataclass(frozen=True, slots=True)
class Timing:
    """The `time` object of an answer. All seconds; moments are unix seconds of the portal's clock.

    operating, reset_at   what the portal booked for this method in its ten-minute window and when the oldest minute
                          leaves it; None where the portal says nothing
    """

    duration: float = 0.0
    operating: float | None = None
    reset_at: float | None = None
    finish: float | None = None
    date_start: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call or one command of a batch brought.

    content   the result; of a large body, the rows of a list and the values of an object are `Raw` JSON
    missing   a batch did not mention the command at all: neither rows nor an error, so ask again
    """

    content: Any = None
    error: B24LakeError | None = None
    total: int | None = None
    next: int | None = None
    timing: Timing = Timing()
    missing: bool = False

    @property
    def result(self) -> Any:
        """The result, parsed at each call."""
        if isinstance(self.content, list):
            return [parsed(item) for item in self.content]
        if isinstance(self.content, dict):
            return {key: parsed(item) for key, item in self.content.items()}
        return self.content


def parsed(value: Any) -> Any:
    """A value that may have been left as JSON. Raises StreamError where nobody can read it."""
    if not isinstance(value, Raw):
        return value
    try:
        return _loads(value)
    except ValueError as error:  # it is JSON, but nested too deeply
        raise _unreadable(error) from None


def printed(value: Any) -> str:
    """A value that was parsed here, as compact JSON: numbers have all their digits. Raises StreamError as `parsed`."""
    try:
        return _ENCODER.encode(value).decode()
    except RecursionError as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> StreamError:
    return StreamError("The portal sent a value that cannot be read", why=str(error), fix="report it")


def read(status: int, body: bytes, *, method: str) -> Answer:
    """The envelope of one HTTP answer. Raises the member of the error family that fits.

    Decides by the presence of `error`, not by the HTTP status: some methods document a refusal under 200.
    """
    try:
        envelope = _parsed_body(body.removeprefix(BOM), sections=method == "batch")
    except ValueError:
        raise _not_json(status, body, method) from None
    if not isinstance(envelope, dict):
        raise RetryError(f"{method} answered with {type(envelope).__name__} instead of an envelope")
    if "error" in envelope:
        raise refusal(status, envelope.get("error"), envelope.get("error_description"), method=method)
    if status >= 400 or "result" not in envelope:
        raise _without_result(status, method)
    return Answer(
        envelope["result"],
        total=whole(envelope.get("total")),
        next=whole(envelope.get("next")),
        timing=timing(envelope.get("time")),
    )


def read_batch(answer: Answer, methods: Mapping[str, str]) -> dict[str, Answer]:
    """A batch's sections, taken apart command by command.

    methods   the keys that were sent, each with its method; every one gets an Answer, `missing` where the portal
              said nothing about it. A result wins over an error of the same key (it cannot have both).
    """
    outer = answer.content if isinstance(answer.content, dict) else {}
    keys = list(methods)
    results, errors = _section(outer, "result", keys), _section(outer, "result_error", keys)
    totals, nexts = _section(outer, "result_total", keys), _section(outer, "result_next", keys)
    times = _section(outer, "result_time", keys)
    answers = {}
    for key, method in methods.items():
        if key in results:
            answers[key] = Answer(
                results[key], None, whole(totals.get(key)), whole(nexts.get(key)), timing(times.get(key))
            )
        elif key in errors:
            answers[key] = Answer(error=_command_error(errors[key], method), timing=timing(times.get(key)))
        else:
            answers[key] = Answer(missing=True)
    return answers


def timing(time: Any) -> Timing:
    """The `time` object, tolerant of absent keys, ints for floats and a moment printed as ISO text."""
    if not isinstance(time, dict):
        return Timing()
    return Timing(
        duration=_number(time.get("duration")) or 0.0,
        operating=_number(time.get("operating")),
        reset_at=_unix(time.get("operating_reset_at")),
        finish=_number(time.get("finish")),
        date_start=_moment(time.get("date_start")),
    )


def whole(value: Any) -> int | None:
    """An int that may come as text; None for anything else."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def mapping(value: Any) -> dict[str, Any]:
    """An object that PHP may have written as a list: `[]` is the empty one, a list is keyed from "0".

    >>> mapping([]), mapping(["a", "b"]), mapping({"x": 1}), mapping(None)
    ({}, {'0': 'a', '1': 'b'}, {'x': 1}, {})
    """
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def listed(value: Any) -> list[Any]:
    """A list that PHP may have written as an object with numeric keys; empty for anything else."""
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []


class _Sections(TypedDict, total=False):
    """A batch's sections in their usual shape."""

    result: dict[str, list[Raw] | dict[str, Raw] | None]
    result_error: Any
    result_total: Any
    result_next: Any
    result_time: Any


class _Envelope(TypedDict, total=False):
    """A batch's answer in its usual shape, as far as it is read here."""

    result: _Sections
    error: Any
    error_description: Any
    total: Any
    next: Any
    time: Any


_LARGE_BATCH = msgspec.json.Decoder(_Envelope)
_LEADING, _TRAILING = rb"u[dD][89abAB][0-9a-fA-F]{2}", rb"u[dD][c-fC-F][0-9a-fA-F]{2}"  # halves of a pair
_ESCAPE = re.compile(rb"\\(?:%b\\%b|(?P<half>%b|%b)|.)" % (_LEADING, _TRAILING, _LEADING, _TRAILING), re.DOTALL)


def _parsed_body(body: bytes, *, sections: bool) -> Any:
    """A body's JSON. Half a character, where a text was cut in the middle of an emoji, becomes U+FFFD.

    sections   it is a batch's, so that its rows may stay as they are
    """
    parse = _parsed_batch if sections else _loads
    try:
        return parse(body)
    except ValueError:
        mended = _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], body)
        if mended == body:
            raise
        return parse(mended)


def _parsed_batch(body: bytes) -> Any:
    """A batch's JSON, with the rows as they came where it is large and of the usual shape."""
    if len(body) >= LARGE and _is_utf8(body):
        with suppress(msgspec.MsgspecError, RecursionError):
            return _LARGE_BATCH.decode(body)
    return _loads(body)


def _loads(text: bytes | Raw) -> Any:
    """JSON -> values: whole numbers of any length, and `Raw` fractions where a float does not hold all of a number.

    Raises ValueError for anything else than JSON.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _fraction(text: str) -> float | Raw:
    number = float(text)
    if len(text) <= _EXACT and "e" not in text and "E" not in text:
        return number
    return number if _same(text, number) else Raw(text.encode())


def _same(text: str, number: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(number))
    except InvalidOperation:  # an exponent of very many digits
        return False


_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(float_hook=_fraction)
_EXACT = 16  # a float holds any fifteen digits and a point


def _is_utf8(body: bytes) -> bool:
    """Whether all of a body is UTF-8, which nobody looks at who skips texts."""
    import pyarrow as pa  # slow to load, and needed for large bodies only

    bounds = pa.py_buffer(struct.pack("=ii", 0, len(body)))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, bounds, pa.py_buffer(body)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _section(outer: Mapping[str, Any], name: str, keys: Iterable[str]) -> dict[str, Any]:
    """One of the five sections, keyed as sent. A list pairs with the sent keys only when those are numbers from 0."""
    section = outer.get(name)
    if isinstance(section, list) and section and [*keys][: len(section)] != [str(n) for n in range(len(section))]:
        return {}
    return mapping(section)


def _command_error(error: Any, method: str) -> B24LakeError:
    body = error if isinstance(error, dict) else {"error": error}
    made = refusal(0, body.get("error"), body.get("error_description"), method=method)
    if isinstance(made, StopError):  # the batch itself was let in, so the webhook works: this is about the method
        return LockedError(made.what, why=made.why, fix=made.fix, code=made.code)
    return made


def _not_json(status: int, body: bytes, method: str) -> B24LakeError:
    page = b"<html" in body[:2000].lower() or b"<!doctype" in body[:2000].lower()
    what = f"{method} answered HTTP {status} with {'a web page' if page else 'a body that is not JSON'}"
    if status in {400, 401, 404, 405, 410}:
        return StopError(
            what,
            why="this address is not the REST interface of a Bitrix24 portal, or the portal is closed",
            fix="open the portal in a browser and compare its address with the webhook URL",
        )
    kind = OverlongError if status in GATEWAY_GAVE_UP else RetryError
    return kind(
        what,
        why="a proxy answered in the portal's place, or the answer was cut off",
        fix="run it again later; if it stays, open the portal's address in a browser",
    )


def _without_result(status: int, method: str) -> B24LakeError:
    if status >= 500 or status < 400:
        return RetryError(f"{method} answered HTTP {status} without a result")
    return StopError(f"{method} answered HTTP {status} without a result or an error", fix="check the webhook URL")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Raw):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unix(value: Any) -> float | None:
    number = _number(value)
    if number is not None:
        return number or None
    moment = _moment(value)
    return moment.timestamp() if moment else None


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
