"""From a call to the method that answers it: limits, scopes, and `batch`."""

from functools import cache
from typing import Any

from b24lake.sandbox import errors
from b24lake.sandbox.batch import run_batch
from b24lake.sandbox.methods.registry import Method, load
from b24lake.sandbox.params import Params
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import Ready, Reply

Timed = tuple[Reply, dict[str, Any]]


@cache
def methods() -> dict[str, Method]:
    """All methods but `batch`, by lower-case name: the portal takes them in any case."""
    return {name.lower(): method for name, method in load().items()}


def request(portal: Portal, method: str, params: Params, address: str = "127.0.0.1") -> Timed:
    """One HTTP call: counted against the limit, then run. Raises ApiError."""
    with portal.lock:
        portal.counters.requests += 1
        if not portal.bucket.admit(address, portal.now()):
            portal.counters.refused += 1
            raise errors.too_many()
        if method.lower() == "batch":
            started = portal.now()
            reply = Reply(Ready(run_batch(params, lambda name, inner: call(portal, name, inner))))
            return reply, portal.time(started)
        return call(portal, method, params)


def call(portal: Portal, method: str, params: Params) -> Timed:
    """One method, alone or within a batch: its reply and its `time`. Raises ApiError."""
    name = method.strip("/").lower().removesuffix(".json")
    portal.counters.commands[name] += 1
    known = methods().get(name)
    if known is None:
        raise errors.no_method()
    if not portal.granted(known.scope):
        raise errors.no_scope()
    started = portal.now()
    reply = known.run(portal, params)
    return reply, portal.time(started)
