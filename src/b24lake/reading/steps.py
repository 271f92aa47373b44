"""What is read before the rows of a stream: the ids of the records whose children they are, or what is put beside them.

A step is read under the name of its stream: its commands, seconds and rests count as the stream's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from b24lake.errors import StreamError
from b24lake.reading.children import Parents
from b24lake.reading.paging import narrowed
from b24lake.reading.reader import Rows
from b24lake.reading.schedule import Ask
from b24lake.reading.walk import Done
from b24lake.streams.discovery import Found
from b24lake.streams.fields import name_of

Ids = np.ndarray[Any, np.dtype[np.int64]]

# method of the parents -> the fields by which a record tells that it, or what belongs to it, has moved
MOVED = {"crm.deal.list": ("DATE_MODIFY", "LAST_ACTIVITY_TIME"), "crm.item.list": ("updatedTime", "lastActivityTime")}


class Step(Protocol):
    """One read that comes before that of the rows."""

    @property
    def ask(self) -> Ask:
        """What to read."""

    def take(self, rows: Rows) -> None:
        """Keep what came."""

    def restart(self) -> None:
        """Rows begin to come anew: forget those that came."""

    def ended(self) -> None:
        """Everything has been read. Raises StreamError where something is missing."""

    def instead(self, error: StreamError) -> Sequence[Step]:
        """What to read where this cannot be read; nothing = the stream ends with the error."""


@dataclass(slots=True)
class IdsOf:
    """The ids of records: those that there are, or that have moved since the bookmark."""

    ask: Ask
    parents: Parents
    came: list[Ids] = field(default_factory=list)
    closed: list[tuple[int, int]] = field(default_factory=list)

    def take(self, rows: Rows) -> None:
        """Keep the ids, eight bytes each."""
        check_filter(rows.batch, self.ask)
        self.came.append(ids_in(rows.batch, self.ask))
        self.closed += rows.closed

    def restart(self) -> None:
        """Forget them."""
        self.came.clear()
        self.closed.clear()

    def ended(self) -> None:
        """Add them to those of the steps before."""
        check_whole([*self.closed, *self.ask.done.closed], self.ask.done.below)
        self.parents.ids = np.unique(np.concatenate([self.parents.ids, *self.came]))
        self.restart()

    def instead(self, error: StreamError) -> Sequence[Step]:  # noqa: ARG002
        """Nothing."""
        return ()


def ids_in(batch: pa.RecordBatch, ask: Ask) -> Ids:
    """The column of keys of a batch."""
    name = name_of(ask.columns, ask.stream.key)
    ids: Ids = batch.column(batch.schema.get_field_index(name)).to_numpy()
    return ids


def no_parents() -> Parents:
    """None as yet."""
    return Parents(np.array([], np.int64))


def parents_of(name: str, found: Found, since: datetime | None, parents: Parents) -> list[Step]:
    """The steps that find the records whose children are read, for the stream `name`: all, or those that have moved.

    There is no OR in the filters of the classic lists, so each field by which a record can have moved is asked for by
    itself. Fields that the portal does not know are left out.
    """
    if since is None:
        return [IdsOf(ids_ask(name, found, None, None, proven=True), parents)]
    known = {column.source for column in found.columns}
    fields = [each for each in MOVED.get(found.stream.method, found.stream.replication_keys) if each in known]
    return [IdsOf(ids_ask(name, found, each, since), parents) for each in fields]


def ids_ask(
    name: str,
    found: Found,
    moved: str | None,
    since: datetime | None,
    done: Done | None = None,
    *,
    proven: bool = False,
) -> Ask:
    """What asks for the ids of records, and for the fields by which they are found, so that these can be judged."""
    stream = found.stream
    kept = [name.lstrip("@") for name in stream.params.get("filter", {})]
    named = [stream.key, *kept, *([moved] if moved else [])]
    columns = tuple(column for column in found.columns if column.source in named)
    params = narrowed(stream.params, named)
    ask = Ask(replace(stream, name=name, params=params), columns, moved, since, proven=proven)
    return ask if done is None else replace(ask, done=done)


def check_filter(batch: pa.RecordBatch, ask: Ask) -> None:
    """Raises StreamError where rows came that a filter such as `@CATEGORY_ID` should have kept out."""
    names = {column.source: column.name for column in ask.columns}
    for condition, chosen in ask.stream.params.get("filter", {}).items():
        source = condition.removeprefix("@")
        values = batch.column(names[source]) if condition != source and source in names else None
        if (
            values is not None
            and not pc.all(pc.is_in(values, value_set=pa.array(chosen, values.type)), min_count=0).as_py()
        ):
            raise StreamError(
                f"{ask.stream.method} ignored the filter on {source}",
                why=f"records came with another {source} than {', '.join(map(str, chosen))}",
                fix="read all of them, without --deal-categories",
            )


def check_whole(closed: Sequence[tuple[int, int]], after: int = 0) -> None:
    """Raises StreamError where ids above `after` and below the last stretch have not been read."""
    end = after
    for begin, upto in sorted(closed):
        if begin > end:
            raise StreamError(
                f"The rows with ids from {end + 1} to {begin} were not read",
                why="the stretches of ids that were read side by side do not meet",
                fix="run it again, and report this: it should never happen",
            )
        end = max(end, upto)
