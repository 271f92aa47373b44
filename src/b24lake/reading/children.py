"""A stream of children: one call for each record of another stream, as many in a request as fit. Pure.

Sources: api-reference/crm/timeline/comments/crm-timeline-comment-list.md, which pages by `start`, and
crm/deals/crm-deal-productrows-get.md, which answers everything at once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from b24lake.errors import B24LakeError, BrokenOffError, LockedError, PagingError, RestError, RetryError, StreamError
from b24lake.portal.connection import MAX_COMMANDS
from b24lake.portal.replies import Answer, whole
from b24lake.reading.packing import Want
from b24lake.reading.paging import Row, child_command, next_offset, rows_of, unanswered
from b24lake.reading.tasks import Order, Wanted
from b24lake.reading.walk import PATIENCE, Closed, Stretch
from b24lake.streams.definitions import Stream

ENOUGH = 100  # parents that are all refused: then the others will be, too
ABOUT_ONE = {"", "0", "ACCESS_DENIED", "ACCESS_ERROR", "ERROR_CORE", "ERROR_NOT_FOUND", "NOT_FOUND"}
"""Codes by which the methods refuse a single record that is gone, or that the webhook's owner may not read."""


@dataclass(slots=True, eq=False)
class Parents:
    """The records whose children are read.

    ids      of them, each once (int64)
    refused  those whose children the portal did not give: they have none
    """

    ids: np.ndarray[Any, np.dtype[np.int64]]
    refused: list[int] = field(default_factory=list)


class Call(NamedTuple):
    """The page of one parent's children that begins at `start`."""

    parent: int
    start: int = 0


@dataclass(slots=True)
class _Begun:
    """A parent with more than one page: the total that the first one told, and the rows so far by key."""

    total: int | None
    rows: dict[str, Row] = field(default_factory=dict)


@dataclass(slots=True)
class ChildrenTask:
    """Asks for the children of every parent; the rows of one come when all of them are there.

    place      parents before this one have been asked
    again      calls to be made again, and next pages
    answered   parents whose children are known
    """

    stream: Stream
    parents: Parents
    place: int = 0
    again: deque[Call] = field(default_factory=deque)
    flying: int = 0
    answered: int = 0
    failures: int = 0
    wasted: int = 0
    total: int | None = None
    begun: dict[int, _Begun] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)

    @property
    def finished(self) -> bool:
        """Whether the children of every parent are known."""
        return not self.left

    @property
    def left(self) -> float:
        """Calls without an answer, as far as they are known."""
        return float(self._waiting + self.flying)

    @property
    def _waiting(self) -> int:
        return len(self.again) + len(self.parents.ids) - self.place

    def hurry(self) -> None:
        """Every call is needed."""

    def wants(self, ways: int) -> list[Want[Wanted]]:
        """As many calls as a request may have."""
        return [Want(Wanted(self), min(MAX_COMMANDS, self._waiting))] if self._waiting and ways else []

    def order(self, stretch: Stretch | None, pages: int, prefix: str) -> Order:  # noqa: ARG002
        """The next calls: those that were begun before come first."""
        calls = [self.again.popleft() for _ in range(min(pages, len(self.again)))]
        fresh = self.parents.ids[self.place : self.place + pages - len(calls)].tolist()
        self.place += len(fresh)
        calls += [Call(parent) for parent in fresh]
        self.flying += len(calls)
        commands = {f"{prefix}{number}": child_command(self.stream, *call) for number, call in enumerate(calls)}
        return Order(self, commands, calls=calls)

    def lost(self, order: Order) -> None:
        """The calls are wanted again."""
        self.flying -= len(order.calls)
        self.again.extendleft(reversed(order.calls))

    def take(self, order: Order, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:
        """The rows of the parents that are complete with these answers; what was left unanswered is asked again."""
        self.flying -= len(order.calls)
        rows: list[Row] = []
        unsaid = resting = 0
        for call, answer in zip(order.calls, answers, strict=True):
            if isinstance(answer.error, RestError):
                resting += 1
                self.again.append(call)
            elif unanswered(answer) or isinstance(answer.error, RetryError):
                unsaid += 1
                self.again.append(call)
            elif answer.error is not None:
                self._refused(call, answer.error)
            else:
                rows += self._page(call, answer)
        self._check_patience(silent=unsaid > 0 and unsaid + resting == len(order.calls))
        self._check_refusals(answers)
        return rows, ()

    def _check_patience(self, *, silent: bool) -> None:
        self.failures = self.failures + 1 if silent else 0
        if self.failures >= PATIENCE:
            raise BrokenOffError(f"{self.stream.method} failed again and again", fix="run it again later")

    def _refused(self, call: Call, error: B24LakeError) -> None:
        """One parent is gone, or may not be read. Raises what is about the method as a whole."""
        if not isinstance(error, StreamError) or error.code.upper() not in ABOUT_ONE:
            raise error
        self.begun.pop(call.parent, None)
        self.parents.refused.append(call.parent)

    def _check_refusals(self, answers: Sequence[Answer]) -> None:
        """Where every single parent is refused, it is the stream that may not be read."""
        refused = len(self.parents.refused)
        error = next((answer.error for answer in answers if isinstance(answer.error, StreamError)), None)
        if error is not None and not self.answered and refused >= min(ENOUGH, len(self.parents.ids)):
            raise LockedError(
                f"{error.what}, for each of {refused:,} {self.stream.parent}",
                why=error.why or f"the webhook's owner may not read what belongs to {self.stream.parent}",
                fix=error.fix or "let an administrator create the webhook",
                code=error.code,
            )

    def _page(self, call: Call, answer: Answer) -> list[Row]:
        """The rows of a parent, if they are complete with this page."""
        page = [self._checked(row, call.parent) for row in rows_of(self.stream, answer.result)]
        if self.stream.parent_param:
            self.answered += 1
            return [*page]
        if not call.start:
            self.begun[call.parent] = _Begun(answer.total)
        begun = self.begun[call.parent]
        before = len(begun.rows)
        begun.rows.update({str(row.get(self.stream.key)): row for row in page})
        if answer.total is not None and answer.total != begun.total:
            return self._anew(call.parent)
        following = next_offset(self.stream, call.start, page, answer, len(begun.rows))
        if following is not None and len(begun.rows) > before:
            self.again.append(Call(call.parent, following))
            return []
        if begun.total is not None and begun.total != len(begun.rows):
            return self._anew(call.parent)
        self.answered += 1
        return [*self.begun.pop(call.parent).rows.values()]

    def _anew(self, parent: int) -> list[Row]:
        """Rows came or went between two pages: begin with this parent once more."""
        told, came = self.begun[parent].total, len(self.begun.pop(parent).rows)
        self.tries[parent] += 1
        if self.tries[parent] >= PATIENCE:
            raise StreamError(
                f"{self.stream.method} says that {self.stream.parent} {parent} has {told} rows, but gives {came}",
                why="rows come and go while they are read, or the portal cuts the list",
                fix="run it again; if it stays, the rest of the rows is hidden from the webhook's owner",
            )
        self.again.append(Call(parent))
        return []

    def _checked(self, row: Row, parent: int) -> dict[str, Any]:
        """A row that says whose child it is. Raises PagingError where it belongs to somebody else."""
        assert isinstance(row, dict)
        told = row.setdefault(self.stream.parent_key, parent)
        if whole(told) != parent:
            raise PagingError(
                f"{self.stream.method} sent a row of {self.stream.parent} {told!r} instead of {parent}",
                why="the portal ignored the parameter that names the record",
                fix="report it with the portal's version",
            )
        return row
