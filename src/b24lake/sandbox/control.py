"""Levers of the sandbox that no real portal has: changing data, reading counters, telling the truth.

No secret is needed, but the request must come from this machine.

POST /sandbox/create   {"table": "deals", "fields": {...}}              -> {"id": 123}
POST /sandbox/change   {"table": "deals", "id": 123, "fields": {...}}   -> {}
POST /sandbox/delete   {"table": "deals", "id": 123}                    -> {}
POST /sandbox/field    {"table": "deals", "name": "UF_CRM_1", "type": "double", "multiple": false}   -> {}
POST /sandbox/drop     {"table": "deals", "name": "UF_CRM_1"}           -> {}
POST /sandbox/reset    {}                                               -> {}   counters back to 0
GET  /sandbox/counters                                                  -> {"requests": 1, "refused": 0,
"commands": {...}}
GET  /sandbox/truth/deals                                               -> all rows, a JSON object per line
"""

from collections.abc import Callable
from typing import Any

import orjson

from b24lake.sandbox.portal import Portal
from b24lake.sandbox.wire import Request

CONTROL = "/sandbox/"

Lever = Callable[[Portal, dict[str, Any]], dict[str, Any]]


def control(portal: Portal, request: Request, address: str) -> tuple[int, bytes]:
    """The answer to a request under /sandbox/; only this machine may pull the levers."""
    if not (address.startswith("127.") or address == "::1"):
        return 403, orjson.dumps({"error": "the sandbox is controlled from its own machine only"})
    name, _, rest = request.path.removeprefix(CONTROL).strip("/").partition("/")
    try:
        if name == "truth":
            return 200, b"".join(orjson.dumps(row) + b"\n" for row in portal.truth(rest))
        if name not in LEVERS:
            return 404, orjson.dumps({"error": f"no lever {name!r}; there are {', '.join(LEVERS)}, truth"})
        asked = orjson.loads(request.body) if request.body else {}
        return 200, orjson.dumps(LEVERS[name](portal, asked))
    except (ValueError, KeyError, TypeError) as error:
        return 400, orjson.dumps({"error": f"{type(error).__name__}: {error}"})


def _create(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    return {"id": portal.create(asked["table"], asked.get("fields"))}


def _change(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    portal.change(asked["table"], int(asked["id"]), asked.get("fields") or {})
    return {}


def _delete(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    portal.delete(asked["table"], int(asked["id"]))
    return {}


def _field(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    title, multiple = str(asked.get("title", "")), bool(asked.get("multiple"))
    portal.set_field(asked["table"], asked["name"], asked["type"], title=title, multiple=multiple)
    return {}


def _drop(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    portal.drop_field(asked["table"], asked["name"])
    return {}


def _counters(portal: Portal, _: dict[str, Any]) -> dict[str, Any]:
    counters = portal.counters
    return {"requests": counters.requests, "refused": counters.refused, "commands": dict(counters.commands)}


def _reset(portal: Portal, _: dict[str, Any]) -> dict[str, Any]:
    portal.reset_counters()
    return {}


LEVERS: dict[str, Lever] = {
    "create": _create,
    "change": _change,
    "delete": _delete,
    "field": _field,
    "drop": _drop,
    "reset": _reset,
    "counters": _counters,
}
