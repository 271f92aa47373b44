"""From a call to the method that answers it: limits, scopes, faults, service time, and `batch`."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any

import orjson

from b24lake.sandbox import errors, tamper
from b24lake.sandbox.batch import Sections, run_batch
from b24lake.sandbox.clock import Course
from b24lake.sandbox.errors import GatewayError
from b24lake.sandbox.methods.registry import Method, load
from b24lake.sandbox.params import Params, get, items
from b24lake.sandbox.portal import Gauge, Portal
from b24lake.sandbox.replies import Ready, Reply
from b24lake.sandbox.service import counted, rows_of, seconds

BATCH = "batch"
Timed = tuple[Reply, dict[str, Any]]

# Faults that befall a whole request, in the order in which they would meet it.
REFUSALS: dict[str, Callable[[], Exception]] = {
    "hang_up": lambda: GatewayError(0),
    "bad_gateway": lambda: GatewayError(502),
    "gateway_timeout": lambda: GatewayError(504),
    "overload": errors.overload,
    "too_many": errors.too_many,
    "unauthorized": errors.no_auth,
}


@cache
def methods() -> dict[str, Method]:
    """All methods but `batch`, by lower-case name: the portal takes them in any case."""
    return {name.lower(): method for name, method in load().items()}


def plain_name(method: str) -> str:
    """A method's name as the portal looks it up."""
    return method.strip("/").lower().removesuffix(".json")


def request(portal: Portal, method: str, params: Params, address: str = "127.0.0.1") -> Timed:
    """One HTTP call: counted against the limit, then run. Raises ApiError, or GatewayError where a proxy answers."""
    name = plain_name(method)
    try:
        with portal.lock:
            course = portal.course()
            _arrive(portal, name, params, address)
            told = not portal.faults.fires("no_operating", name)
        with nullcontext() if course.sleeps else portal.lock:
            if name == BATCH:
                return _batch(portal, params, course, told=told)
            return call(portal, name, params, course, told=told)
    finally:
        if portal.churn:
            with portal.lock:
                portal.churn.tick("request", name)


def call(
    portal: Portal, method: str, params: Params, course: Course, *, alone: bool = True, told: bool = True
) -> Timed:
    """One method, `alone` or within a batch: its reply and its `time`. Raises as `request` does."""
    name = plain_name(method)
    billed = alone or portal.settings.billing == "method"
    started = course.at
    with portal.lock:
        reply, service = _answered(portal, name, params, course, billed=billed)
    taken = course.spend(service)
    if not (service or portal.churn or course.sleeps):  # the quick way: nothing to book
        return reply, portal.time(started, course.at, _gauge(portal, name, course), told=told)
    with portal.lock:
        portal.counters.took(name, taken)
        if billed:
            portal.book(name, taken, course.at)
        if taken < service:
            portal.counters.cut += 1
            raise course.cut()
        if portal.churn and rows_of(reply) is not None:
            portal.churn.tick("page", name)
        return reply, portal.time(started, course.at, _gauge(portal, name, course), told=told)


def _arrive(portal: Portal, name: str, params: Params, address: str) -> None:
    """Count a request and turn away what does not get in."""
    at = portal.clock.now()
    portal.counters.arrived(at)
    portal.share()
    if not portal.bucket.admit(address, at):
        portal.counters.refused += 1
        raise errors.too_many()
    portal.counters.fullest = max(portal.counters.fullest, portal.bucket.level(address, at))
    if portal.faults:
        commands = len(items(get(params, "cmd"))) if name == BATCH else 1
        for kind, refuse in REFUSALS.items():
            if portal.faults.fires(kind, name, commands):
                raise refuse()


def _answered(portal: Portal, name: str, params: Params, course: Course, *, billed: bool) -> tuple[Reply, float]:
    """A method's reply, and the service time it takes. Raises ApiError."""
    portal.counters.commands[name] += 1
    known = methods().get(name)
    if known is None or name in portal.settings.missing_methods:
        raise errors.no_method()
    if not portal.granted(known.scope):
        raise errors.no_scope()
    portal.check(name, course.at, billed=billed)
    if portal.faults:
        tamper.refuse(portal.faults, name)
        reply = tamper.cut_short(portal.faults, name, known.run(portal, tamper.asked(portal.faults, name, params)))
    else:
        reply = known.run(portal, params)
    rows = rows_of(reply)
    if rows is not None:
        portal.counters.page(name, rows, counted=counted(params, reply))
    return reply, seconds(portal.settings, name, params, reply)


def _gauge(portal: Portal, name: str, course: Course) -> Gauge:
    return portal.gauge(name, course.at)


def _batch(portal: Portal, params: Params, course: Course, *, told: bool) -> Timed:
    """A batch: its commands take their time one after another."""
    by_batch = portal.settings.billing == BATCH
    with portal.lock:
        portal.check(BATCH, course.at, billed=by_batch)
    names: list[str] = []

    def run(method: str, inner: Params) -> Timed:
        done = call(portal, method, inner, course, alone=False, told=told)
        names.append(plain_name(method))
        return done

    try:
        sections, times = run_batch(params, run)
    finally:
        if by_batch:
            with portal.lock:
                portal.book(BATCH, course.at - course.started, course.at)
    with portal.lock:
        gauge = _outer(portal, names, course, by_batch=by_batch)
        if told:
            _retell(portal, times, names, gauge if by_batch else None)
        sections.result_time = {key: orjson.dumps(time) for key, time in times.items()}
        if portal.faults:
            sections = _lost(portal, sections, params)
        return Reply(Ready(sections.json())), portal.time(course.started, course.at, gauge, told=told)


def _outer(portal: Portal, names: list[str], course: Course, *, by_batch: bool) -> Gauge:
    """What the batch's own `time` tells: its own budget, or it repeats the largest of its commands'."""
    if by_batch:
        return portal.gauge(BATCH, course.at)
    gauges = [portal.gauge(name, course.at) for name in set(names)]
    return max(gauges, default=portal.gauge(BATCH, course.at))


def _retell(portal: Portal, times: dict[str, dict[str, Any]], names: list[str], batch: Gauge | None) -> None:
    """Gauges of commands: all the batch's own, or, where a setting says so, 0 after the first of a method."""
    if portal.settings.gauges == "all" and batch is None:
        return
    seen = set[str]()
    for name, time in zip(names, times.values(), strict=True):
        if batch is not None:
            time |= portal.shown(batch)
        elif name in seen and "operating" in time:
            time["operating"] = 0
        seen.add(name)


def _lost(portal: Portal, sections: Sections, params: Params) -> Sections:
    """The sections after faults have taken from them."""
    if portal.faults.fires("empty_sections", BATCH):
        return Sections()
    for key, command in items(get(params, "cmd")):
        if portal.faults.fires("missing_keys", plain_name(str(command).partition("?")[0])):
            sections.forget(key)
    return sections
