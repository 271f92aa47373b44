"""Which commands read a stream, and what their answers mean. Pure: no connection, no clock.

A keyset stream is read in chains: each page asks for ids above the last id of the page before it, by a reference into
the same batch (`$result[...]`), with start=-1, so that the portal never counts (settings/performance/huge-data.md of
the vendor's docs). A reference that cannot be resolved makes the portal begin the table anew without an error, so a
chain is trusted only up to its first short page, missing page, error, or id that does not rise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypedDict

import msgspec
import orjson
from msgspec import Raw

from b24lake.errors import B24LakeError, PagingError, RetryError, StreamError
from b24lake.portal.connection import Command
from b24lake.portal.phpquery import Reference, reference
from b24lake.portal.replies import Answer, listed, parsed, whole
from b24lake.reading.values import moment
from b24lake.streams.definitions import ORIGINAL_NAMES, Stream
from b24lake.streams.fields import descriptor_rows

LIMIT = 200  # rows of one page of open lines, at most
PAGE = 50  # rows of one page, fixed by the portal
Row = dict[str, Any] | Raw  # as JSON where it came in a large body


@dataclass(frozen=True, slots=True)
class Since:
    """Only rows changed at or after `moment` (in the server's zone). `text` is the moment as the filter sends it."""

    key: str
    moment: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Chain:
    """`pages` pages in a row, of ids above `after`, from below."""

    after: int
    pages: int


@dataclass(frozen=True, slots=True)
class Read:
    """What a chain's answers brought.

    rows       rows that can be trusted, ids rising
    reached    ids in (chain.after, reached] are now read completely
    finished   it came to a page that was not full
    problem    why the chain ended early: the part from `reached` on must be asked again (None: it did not)
    wasted     pages that were asked beyond the end
    """

    rows: list[Row] = field(default_factory=list)
    reached: int = 0
    finished: bool = False
    problem: B24LakeError | None = None
    wasted: int = 0


def chain_commands(stream: Stream, chain: Chain, since: Since | None, prefix: str) -> dict[str, Command]:
    """The commands of one chain, keyed `prefix0`, `prefix1` …; the keys must not be numbers (batch.md).

    They name no upper bound: a full page that reaches beyond one proves that nothing is missing below, which a page
    that the bound itself has made short does not.
    """
    commands = {}
    after: int | Reference = chain.after
    for page in range(chain.pages):
        commands[f"{prefix}{page}"] = Command(stream.method, page_params(stream, after, None, since))
        after = reference(f"{prefix}{page}", *_wrapper(stream), PAGE - 1, stream.key)
    return commands


def newest_command(stream: Stream, since: Since | None) -> Command:
    """The page with the highest ids, ids only: how far the stream reaches."""
    params = page_params(stream, 0, None, since, descending=True)
    return Command(stream.method, narrowed(params, [stream.key]))


def page_params(
    stream: Stream, after: int | Reference, upto: int | None, since: Since | None, *, descending: bool = False
) -> dict[str, Any]:
    """Parameters of one page of ids in (after, upto], in the spelling of the method's family."""
    conditions: dict[str, Any] = {**stream.params.get("filter", {}), f">{stream.key}": after}
    if upto is not None:
        conditions[f"<={stream.key}"] = upto
    if since is not None:
        conditions[f">={since.key}"] = since.text
    direction = "DESC" if descending else "ASC"
    if stream.spelling == "call":
        return {**stream.params, "FILTER": conditions, "SORT": stream.key, "ORDER": direction, "start": -1}
    if stream.spelling == "user":
        return {**stream.params, "FILTER": conditions, "sort": stream.key, "order": direction, "start": -1}
    return {**stream.params, "filter": conditions, "order": {stream.key: direction}, "start": -1}


def count_params(stream: Stream, upto: int | None, since: Since | None = None) -> dict[str, Any]:
    """Parameters of a page that the portal counts: `total` is the number of rows with ids up to `upto`."""
    return narrowed({**page_params(stream, 0, upto, since), "start": 0}, [stream.key])


def narrowed(params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Parameters that ask for these fields alone, where the method can be asked for fields.

    Portals were seen to leave out standard fields that are named while custom ones keep their own names.
    """
    if "select" not in params:
        return dict(params)
    return {name: value for name, value in params.items() if name != ORIGINAL_NAMES} | {"select": [*names]}


def read_chain(stream: Stream, chain: Chain, since: Since | None, answers: Sequence[Answer]) -> Read:
    """Judge a chain's answers, in order. Keeps what can be trusted and says where to go on."""
    rows: list[Row] = []
    reached = chain.after
    for number, answer in enumerate(answers):
        problem = answer.error or (RetryError(f"{stream.method} was left unanswered") if unanswered(answer) else None)
        if problem is None:
            page = _page(stream, answer)
            problem = _untrusted(stream, page, reached, since)
        if problem is not None:
            return Read(rows, reached, problem=problem)
        rows += page
        reached = _last(stream, page, reached)
        if len(page) < PAGE:
            return Read(rows, reached, finished=True, wasted=len(answers) - number - 1)
    return Read(rows, reached)


def unanswered(answer: Answer) -> bool:
    """Whether a command brought neither rows nor an error: an overloaded portal leaves it out, or says null."""
    return answer.error is None and (answer.missing or answer.content is None)


def rows_of(stream: Stream, result: Any) -> list[Row]:
    """The rows in a result, at the place the stream says, as a list; other places the docs print are read as well.

    Raises StreamError where there is no list of objects.
    """
    if stream.paging == "fields":
        found = result.get("fields", result) if isinstance(result, dict) and stream.rows_at else result
        return [*descriptor_rows(found, stream.translation, stream.choices)]
    if stream.rows_at and isinstance(result, dict):
        result = result.get(stream.rows_at, result)
    rows = listed(result)
    if not isinstance(result, list | dict) or not all(isinstance(row, dict) for row in rows):
        raise StreamError(f"{stream.method} answered something that is not a list of records")
    return rows


def whole_row(stream: Stream, result: Any) -> Row:
    """The one row in a result. Raises StreamError where there is none."""
    row = result.get(stream.rows_at, result) if stream.rows_at and isinstance(result, dict) else result
    if not isinstance(row, dict):
        raise StreamError(f"{stream.method} answered something that is not a record")
    return row


def _page(stream: Stream, answer: Answer) -> Sequence[Row]:
    """The rows of one page, left as JSON where they came so."""
    content = answer.content
    if stream.rows_at and isinstance(content, dict) and isinstance(content.get(stream.rows_at), Raw):
        with suppress(msgspec.ValidationError):
            content = _JSON_LIST.decode(content[stream.rows_at])
    if isinstance(content, list) and all(isinstance(row, Raw) and memoryview(row)[0] == ord("{") for row in content):
        return content
    return rows_of(stream, answer.result)


def key_of(stream: Stream, row: Row) -> int | None:
    """A row's id as a number; None where it is not one."""
    return whole(value_of(row, stream.key))


def value_of(row: Row, key: str) -> Any:
    """One value of a row. The first one of JSON, which the id is, is found without a look at the others."""
    if isinstance(row, dict):
        return row.get(key)
    first, decoder = _finders(key)
    found = first.match(row)
    return orjson.loads(found[1]) if found else parsed(decoder.decode(row).get(key))


_JSON_LIST = msgspec.json.Decoder(list[Raw])


@cache
def _finders(key: str) -> tuple[re.Pattern[bytes], msgspec.json.Decoder[Any]]:
    """What finds the value of a key: at the beginning of a row, and anywhere in it."""
    name = re.escape(orjson.dumps(key))
    first = re.compile(rb'\{\s*%s\s*:\s*("[^"\\]*"|-?[0-9]{1,18})\s*[,}]' % name)
    only = TypedDict("only", {key: Raw}, total=False)  # type: ignore[misc]
    return first, msgspec.json.Decoder(only)


def offset_command(stream: Stream, start: int) -> Command:
    """One page of a stream that can only be paged by position."""
    if stream.paging == "limit":
        asked = {"order": {stream.key: "ASC"}, "limit": LIMIT, "offset": start}
        return Command(stream.method, {**stream.params, "PARAMS": asked})
    if stream.spelling == "department":
        return Command(stream.method, {**stream.params, "sort": stream.key, "order": "ASC", "start": start})
    return Command(stream.method, {**stream.params, "start": start} if start else dict(stream.params))


def each_command(stream: Stream, number: int) -> Command:
    """The call with the parameters of that number."""
    return Command(stream.method, {**stream.params, **stream.each[number]})


def child_command(stream: Stream, parent: int, start: int = 0) -> Command:
    """The call for the children of one record; `start` where they come in pages."""
    if stream.parent_param:
        return Command(stream.method, {**stream.params, stream.parent_param: parent})
    conditions = {**stream.params.get("filter", {}), stream.parent_key: parent}
    asked = {**stream.params, "filter": conditions, "order": {stream.key: "ASC"}}
    return Command(stream.method, {**asked, "start": start} if start else asked)


def next_offset(stream: Stream, start: int, page: Sequence[Row], answer: Answer, seen: int) -> int | None:
    """Where the next page by position begins; None at the end. Open lines end with an empty page: they tell no total.

    Some of these methods are not documented to be paged at all and answer everything at once, with a `total` or
    without: they end where `total` rows are there, or on a page that is not full. `seen` counts the different rows so
    far; the caller stops where a page brings none (the method ignores `start`).
    """
    if not page:
        return None
    if stream.paging == "limit":
        return start + len(page)
    if answer.next is not None and answer.next > start:
        return answer.next
    more = seen < answer.total if answer.total is not None else len(page) % PAGE == 0
    return start + max(PAGE, len(page) // PAGE * PAGE) if more else None


def _wrapper(stream: Stream) -> tuple[str, ...]:
    return (stream.rows_at,) if stream.rows_at else ()


def _last(stream: Stream, page: Sequence[Row], reached: int) -> int:
    return (key_of(stream, page[-1]) or reached) if page else reached


def _untrusted(stream: Stream, page: Sequence[Row], reached: int, since: Since | None) -> B24LakeError | None:
    """Why a page cannot be trusted; None if it can: every id is a number, and above the one before."""
    if len(page) > PAGE:
        return PagingError(f"{stream.method} sent a page of {len(page)} rows", why="pages hold 50 rows")
    last = reached
    for row in page:
        key = key_of(stream, row)
        if key is None:
            return PagingError(
                f"{stream.method} sent a row whose {stream.key} is not a number: {value_of(row, stream.key)!r}",
                why="without ids that rise, rows could be lost between pages",
            )
        if key <= last:
            return PagingError(
                f"{stream.method} does not page by {stream.key}: {key} came after {last}",
                why=f"the portal ignored the filter on {stream.key} or its order",
            )
        last = key
    return _ignored(stream, page, since) if since is not None else None


class FilterIgnoredError(PagingError):
    """Rows came that the change filter should have kept out."""


def _ignored(stream: Stream, page: Sequence[Row], since: Since) -> B24LakeError | None:
    zone = since.moment.tzinfo or UTC
    for row in page:
        value = value_of(row, since.key)
        try:
            changed = moment(str(value), zone)
        except ValueError:
            changed = None
        if changed is None or changed < since.moment:
            return FilterIgnoredError(
                f"{stream.method} ignored the filter >={since.key}={since.text}",
                why=f"a row came with {since.key} {value!r}",
            )
    return None
