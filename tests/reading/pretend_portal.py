"""A portal as a pure function over a set of ids, and a loop that reads it the way the reader does.

A batch is executed as servers were seen to do it: a reference that cannot be resolved becomes the deepest value that
exists, an array counts as 1 in a filter and any other text as 0, so that a chain starts the table anew.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.simulated_portal import as_int, follow

from b24lake.portal import phpquery, replies
from b24lake.portal.connection import Command
from b24lake.portal.replies import Answer
from b24lake.reading.packing import fill
from b24lake.reading.tasks import Order, Task
from php_query import parse_query

PAGE = 50
Fault = Callable[[], str | None]
ERRORS = {
    "resting": {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked due to operation time limit."},
    "internal": {"error": "INTERNAL_SERVER_ERROR", "error_description": "Internal server error"},
}


class PretendPortal:
    """Rows `{"ID": "17", ...}` of one stream.

    fault     asked for each command: None, "missing", "resting", "internal", or "cut" (nothing after it is executed)
    ignores   parts of a request that have no effect: ">ID", "<=ID", "order"; "newest": no descending page
    page      rows of a page
    """

    def __init__(
        self, ids: Iterable[int], *, fault: Fault = lambda: None, ignores: Iterable[str] = (), page: int = PAGE
    ) -> None:
        self.ids, self.page = sorted(ids), page
        self.fault, self.ignores = fault, frozenset(ignores)
        self.pages = 0

    def insert(self, key: int) -> None:
        insort(self.ids, key)

    def delete(self, key: int) -> None:
        del self.ids[bisect_left(self.ids, key)]

    def batch(self, commands: Mapping[str, Command], *, halt: bool) -> dict[str, Answer]:
        results: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for key, command in commands.items():
            fault = self.fault()
            if fault == "cut":
                break
            if fault in ERRORS:
                errors[key] = ERRORS[fault]
                if halt:
                    break
            elif fault is None:
                results[key] = self._run(phpquery.command(*command), results)
        sections = {"result": results or [], "result_error": errors or [], "result_time": []}
        return replies.read_batch(Answer(sections), {key: command.method for key, command in commands.items()})

    def row(self, key: int) -> dict[str, Any]:
        return {"ID": str(key)}

    def _run(self, command: str, results: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.pages += 1
        params = parse_query(command.partition("?")[2])
        assert params["start"] == "-1"
        low, high = 0, len(self.ids)
        for name, value in params["filter"].items():
            number = as_int(follow(value, results) if value.startswith("$result[") else value)
            if name not in self.ignores and name == ">ID":
                low = bisect_right(self.ids, number)
            elif name not in self.ignores and name == "<=ID":
                high = bisect_right(self.ids, number)
        found = self.ids[low : min(high, low + self.page)]
        if "order" in self.ignores or params["order"]["ID"] == "DESC":
            found = self.ids[max(low, high - self.page) : high][::-1]
        if "newest" in self.ignores and params["order"]["ID"] == "DESC":
            found = []
        return [self.row(key) for key in found]


@dataclass
class Brought:
    """What reading brought: ids in the order they came, closed stretches, requests sent."""

    ids: list[int] = field(default_factory=list)
    closed: list[tuple[int, int]] = field(default_factory=list)
    requests: int = 0


def read(
    task: Task,
    portal: PretendPortal,
    *,
    chance: random.Random | None = None,
    flights: int = 4,
    meanwhile: Callable[[Brought], None] = lambda _brought: None,
    most_requests: int = 2000,
) -> Brought:
    """Read a task to its end, `flights` requests on their way at once, answers coming back in any order.

    `meanwhile` is called before each answer is taken.
    """
    chance = chance or random.Random(1)
    brought, flying = Brought(), list[tuple[list[Order], dict[str, Answer]]]()
    while not task.finished:
        while len(flying) < flights and (orders := next_orders(task, flights)):
            brought.requests += 1
            assert brought.requests <= most_requests, "the stream is read without end"
            commands = {key: command for order in orders for key, command in order.commands.items()}
            flying.append((orders, portal.batch(commands, halt=len(orders) == 1)))
        meanwhile(brought)
        orders, answers = flying.pop(chance.randrange(len(flying)))
        for order in orders:
            rows, closed = task.take(order, [answers[key] for key in order.commands])
            brought.ids += [int(row["ID"]) for row in rows]
            brought.closed += closed
    return brought


def next_orders(task: Task, ways: int) -> list[Order]:
    orders: list[Order] = []
    for want, pages in fill(task.wants(ways)):
        orders.append(want.owner.task.order(want.owner.stretch, pages, f"c{len(orders)}p"))
    return orders
