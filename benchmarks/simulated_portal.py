"""A portal in simulated time: nothing waits, nothing is sent, and all that happens follows from a seed.

It keeps the rules of the vendor's docs (limits.md, batch.md) and does what servers were seen to do: commands run one
after another, a reference that leads nowhere becomes the deepest value that exists, and a filter on ids makes an
array 1 and any other text 0, so that a chain begins the table anew.

A request is a generator of the seconds that it takes; whoever drives it keeps the clock.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from b24lake.portal import replies
from b24lake.portal.connection import Command
from b24lake.portal.phpquery import Reference
from b24lake.portal.refusals import refusal
from b24lake.portal.replies import Answer
from b24lake.sandbox.limits import Bucket
from b24lake.sandbox.operating import Budgets
from b24lake.streams.definitions import Stream

PAGE = 50
BATCH = "batch"
BLOCKED = {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked due to operation time limit."}
INTERNAL = {"error": "INTERNAL_SERVER_ERROR", "error_description": "Internal server error"}
_STEP = re.compile(r"\[([^\]]*)\]")
_WHOLE = re.compile(r"\s*[+-]?\d+")

Steps = Generator[float, None, Answer]
Fault = Callable[[str], str | None]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the portal allows, tells and needs. Times are seconds.

    page, factors      service time of a page of a list, and what to multiply it by for single methods
    uneven             service times are up to so many times longer, at random
    newest             what the page of newest ids takes, as a multiple of a page
    limit              operating seconds per method in ten minutes; 0 = none
    billing            what a batch's work is booked on: "method" or "batch"
    counters           how answers tell it: "present", "zero" or "absent"
    gauges             which commands of a batch tell it: "all", or the "first" of each method, the others 0
    request            how long one request may take before a proxy cuts it off
    threshold, drain   the request bucket: requests, and how many leave in a second
    clock_off          how far its clock is ahead of ours
    hogged             methods that another program of the same webhook keeps blocked for good
    """

    page: float = 0.04
    factors: Mapping[str, float] = field(default_factory=dict)
    uneven: float = 0.0
    newest: float = 1.0
    limit: float = 480.0
    billing: str = "method"
    counters: str = "present"
    gauges: str = "all"
    request: float = 60.0
    threshold: int = 50
    drain: float = 2.0
    clock_off: float = 0.0
    hogged: frozenset[str] = frozenset()


@dataclass(slots=True)
class Table:
    """The ids of one stream's rows, rising, and what becomes of requests for them.

    ignores   parts of a request that have no effect: ">ID", "order"; "newest": no descending page
    odd       id -> what the portal sends as that row's id
    cut       pages end early, at ids that can be divided by this; 0 = never
    """

    stream: Stream
    ids: list[int]
    ignores: frozenset[str] = frozenset()
    odd: Mapping[int, Any] = field(default_factory=dict)
    cut: int = 0

    def insert(self, key: int) -> None:
        """A row appears: a new one, or one that a change has brought in."""
        place = bisect_left(self.ids, key)
        if self.ids[place : place + 1] != [key]:
            insort(self.ids, key)

    def delete(self, key: int) -> None:
        """A row disappears."""
        place = bisect_left(self.ids, key)
        if self.ids[place : place + 1] == [key]:
            del self.ids[place]

    def answer(self, params: Mapping[str, Any]) -> tuple[Any, int | None, int | None]:
        """Result, total and next of one command."""
        if self.stream.paging == "fields":
            return {f"F{key}": {"title": str(key)} for key in self.ids}, None, None
        if self.stream.paging == "whole":
            return self._wrapped(self.ids), len(self.ids), None
        if self.stream.paging == "offset":
            start = int(params.get("start", 0))
            more = start + PAGE if start + PAGE < len(self.ids) else None
            return self._wrapped(self.ids[start : start + PAGE]), len(self.ids), more
        low, high = self._bounds(params)
        return self._wrapped(self._page(params, low, high)), high - low if params["start"] != -1 else 0, None

    def _bounds(self, params: Mapping[str, Any]) -> tuple[int, int]:
        """The places in `ids` between which the conditions hold."""
        low, high = 0, len(self.ids)
        conditions = params.get("filter") or params.get("FILTER") or {}
        for name, value in conditions.items():
            if name == f">{self.stream.key}" and ">ID" not in self.ignores:
                low = bisect_right(self.ids, as_int(value))
            elif name == f"<={self.stream.key}":
                high = bisect_right(self.ids, as_int(value))
        return low, max(low, high)

    def _page(self, params: Mapping[str, Any], low: int, high: int) -> list[int]:
        order = params["ORDER"] if "ORDER" in params else params["order"]  # calls spell it in capitals
        newest_first = "DESC" in (order, *_values(order))
        if "newest" in self.ignores and newest_first:
            return []
        if "order" in self.ignores or newest_first:
            return self.ids[max(low, high - PAGE) : high][::-1]
        return self._cut(self.ids[low : min(high, low + PAGE)])

    def _cut(self, page: list[int]) -> list[int]:
        """A page as a portal sends it that leaves out rows after it has taken fifty: shorter than it should be."""
        ends = [place for place, key in enumerate(page) if place and self.cut and key % self.cut == 0]
        return page[: ends[0]] if ends else page

    def _wrapped(self, ids: list[int]) -> Any:
        key, odd = self.stream.key, self.odd
        rows = [{key: str(one)} for one in ids] if not odd else [{key: odd.get(one, str(one))} for one in ids]
        return {self.stream.rows_at: rows} if self.stream.rows_at else rows


@dataclass(slots=True)
class Counts:
    """What the portal was asked and what it did.

    requests, refused, cut   HTTP requests; of these refused by the bucket with 503, cut off with 504
    blocked                  commands (or batches) refused because the operating limit was reached, by method
    pages, seconds           commands executed and seconds worked, by method
    late                     the longest time between a blocked method's release and its next command
    """

    requests: int = 0
    refused: int = 0
    cut: int = 0
    blocked: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    late: float = 0.0


class SimulatedPortal:
    """One portal.

    now     the driver's clock
    fault   asked once for each request (as "batch") and each command (by its method): None, for a request "internal",
            "timeout" or "empty", for a command "internal" or "missing"
    churn   called after each page with its table
    """

    def __init__(
        self,
        tables: Iterable[Table],
        rules: Rules,
        chance: random.Random,
        *,
        fault: Fault = lambda _method: None,
        churn: Callable[[Table], None] = lambda _table: None,
    ) -> None:
        self.rules, self.counts = rules, Counts()
        self.tables = {_address(table.stream.method, table.stream.params): table for table in tables}
        self.bucket, self.budgets = Bucket(rules.threshold, rules.drain), Budgets()
        self.now: Callable[[], float] = lambda: 0.0
        self._chance, self._fault, self._churn = chance, fault, churn
        self._free_at: dict[str, float] = {}  # blocked method -> when the portal would let it run again

    def serve(self, commands: Mapping[str, Command], *, halt: bool) -> Steps:
        """One batch: yields the seconds it takes, returns its envelope or raises what the answer would mean."""
        self.counts.requests += 1
        if not self.bucket.admit("us", self.now()):
            self.counts.refused += 1
            raise refusal(503, "QUERY_LIMIT_EXCEEDED", "Too many requests", method=BATCH)
        whole = self._fault(BATCH)
        if whole == "internal":
            raise refusal(500, INTERNAL["error"], INTERNAL["error_description"], method=BATCH)
        if self.rules.billing == BATCH and self._blocks(BATCH):
            raise refusal(429, BLOCKED["error"], BLOCKED["error_description"], method=BATCH)
        started = self.now()
        if whole == "timeout":
            yield from self._time_out(started)
        sections = yield from self._run(commands, halt, started)
        if whole == "empty":
            sections = {name: [] for name in sections}
        return Answer(sections, timing=replies.timing(self._outer(commands, started)))

    def _run(
        self, commands: Mapping[str, Command], halt: bool, started: float
    ) -> Generator[float, None, dict[str, Any]]:
        results: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        times: dict[str, Any] = {}
        totals: dict[str, Any] = {}
        nexts: dict[str, Any] = {}
        for key, (method, params) in commands.items():
            fault = self._fault(method)
            if fault != "internal" and self.rules.billing != BATCH and self._blocks(method):
                errors[key] = BLOCKED
            elif fault == "internal":
                errors[key] = INTERNAL
            if key in errors:
                if halt:
                    break
                continue
            table = self.tables[_address(method, params)]
            began = self.now()
            result, totals[key], nexts[key] = table.answer(_filled(params, results))
            yield from self._work(method, self._seconds(method, params), started)
            results[key], times[key] = result, self._time(method, began)
            self._churn(table)
            if fault == "missing":
                del results[key]
        self._tell(commands, times)
        return {
            "result": results,
            "result_error": errors,
            "result_time": times,
            "result_total": totals,
            "result_next": nexts,
        }

    def _seconds(self, method: str, params: Mapping[str, Any]) -> float:
        seconds = (
            self.rules.page * self.rules.factors.get(method, 1.0) * (1 + self.rules.uneven * self._chance.random())
        )
        return seconds * (self.rules.newest if "DESC" in _values(params.get("order") or params.get("ORDER")) else 1.0)

    def _work(self, method: str, seconds: float, started: float) -> Generator[float, None, None]:
        """Let a command's time pass, and book it; after the limit of a request a proxy gives up."""
        fits = min(seconds, max(0.0, started + self.rules.request - self.now()))
        yield fits
        self.counts.pages[method] += 1
        self.counts.seconds[method] = self.counts.seconds.get(method, 0.0) + fits
        self.budgets.book(BATCH if self.rules.billing == BATCH else method, fits, self.now())
        if fits < seconds:
            yield from self._time_out(started)

    def _time_out(self, started: float) -> Generator[float, None, None]:
        yield max(0.0, started + self.rules.request - self.now())
        self.counts.cut += 1
        replies.read(504, b"<html>504 Gateway Time-out</html>", method=BATCH)  # raises

    def _blocks(self, method: str) -> bool:
        """Whether a method (or `batch`) has used up its time; notes how late it comes back after a block."""
        if method in self.rules.hogged:
            self.counts.blocked[method] += 1
            return True
        if not self.rules.limit:
            return False
        now = self.now()
        if self.budgets.used(method, now) < self.rules.limit:
            self.counts.late = max(self.counts.late, now - self._free_at.pop(method, now))
            return False
        self.counts.blocked[method] += 1
        self._free_at[method] = self.free_at(method)
        return True

    def free_at(self, method: str) -> float:
        """The moment at which a blocked method may run again, if nothing is booked until then."""
        moment, copy = self.now(), Budgets()
        copy._buckets[method] = list(self.budgets._buckets[method])
        while copy.used(method, moment) >= self.rules.limit:
            moment = copy.reset_at(method, moment)
        return moment

    def _time(self, method: str, began: float) -> dict[str, Any]:
        shown = {"duration": self.now() - began, "finish": self.now() + self.rules.clock_off}
        return shown | self._gauge(BATCH if self.rules.billing == BATCH else method)

    def _gauge(self, method: str) -> dict[str, Any]:
        if self.rules.counters == "zero":
            return {"operating": 0}
        if self.rules.counters == "absent":
            return {}
        now = self.now()
        used = self.budgets.used(method, now)  # asked first: it lets the minutes leave that are over
        return {"operating": used, "operating_reset_at": self.budgets.reset_at(method, now) + self.rules.clock_off}

    def _outer(self, commands: Mapping[str, Command], started: float) -> dict[str, Any]:
        """The envelope's own time: of the batch, or it repeats the largest number inside."""
        methods = {method for method, _params in commands.values()}
        largest = max(methods, key=lambda method: self.budgets.used(method, self.now()))
        return self._time(largest, started)

    def _tell(self, commands: Mapping[str, Command], times: dict[str, dict[str, Any]]) -> None:
        """Gauges of commands: on portals that bill the batch all tell its number; else all or only the first tell."""
        if self.rules.counters != "present":
            return
        if self.rules.billing == BATCH:
            gauge = self._gauge(BATCH)
            for time in times.values():
                time.update(gauge)
            return
        seen = set[str]()
        for key, time in times.items():
            if self.rules.gauges == "first" and commands[key].method in seen:
                time["operating"] = 0
            seen.add(commands[key].method)


def _address(method: str, params: Mapping[str, Any]) -> tuple[str, Any]:
    return method, params.get("entityTypeId")


def _values(order: Any) -> Iterable[Any]:
    return order.values() if isinstance(order, Mapping) else (order,)


def _filled(params: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with their references replaced by what they lead to."""
    filled = dict(params)
    for name in ("filter", "FILTER"):
        if name in filled:
            filled[name] = {
                key: follow(value, results) if isinstance(value, Reference) else value
                for key, value in filled[name].items()
            }
    return filled


def follow(path: str, results: Mapping[str, Any]) -> Any:
    """What a reference `$result[key][step]...` leads to; the deepest value that exists where a step does not."""
    found: Any = results
    for step in _STEP.findall(path):
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            break
    return found


def as_int(value: Any) -> int:
    """PHP's (int)."""
    if isinstance(value, list | Mapping):
        return 1 if value else 0
    found = _WHOLE.match(str(value))
    return int(found[0]) if found else 0
