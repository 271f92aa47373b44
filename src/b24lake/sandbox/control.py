"""Levers of the sandbox that no real portal has: changing data, reading counters, telling the truth.

No secret is needed, but the request must come from this machine.

POST /sandbox/create   {"table": "deals", "fields": {...}}              -> {"id": 123}
POST /sandbox/change   {"table": "deals", "id": 123, "fields": {...}}   -> {}
POST /sandbox/delete   {"table": "deals", "id": 123}                    -> {}
POST /sandbox/lay      {"kind": "comments", "table": "deals", "id": 123, "rows": []}   -> {}   or product_rows, contacts
POST /sandbox/field    {"table": "deals", "name": "UF_CRM_1", "type": "double", "multiple": false}   -> {}
                       also "title": "Label", and of an enumeration "options": ["One", "Two"]
POST /sandbox/drop     {"table": "deals", "name": "UF_CRM_1"}           -> {}
POST /sandbox/reset    {}                                               -> {}   counters back to 0
POST /sandbox/settings {"page_ms": 40, "billing": "batch"}              -> what can be set while it runs, as it is now
POST /sandbox/faults   {"kind": "bad_gateway", "rate": 0.1}             -> {"on": [...], "known": {...}}
POST /sandbox/faults   {"off": "bad_gateway"} or {"off": true}          -> the same
POST /sandbox/plan     {"do": "delete", "table": "deals", "after": 3}   -> {"log": [...]}   rows change under a read
POST /sandbox/plan     {"off": true}                                    -> {"log": []}
POST /sandbox/move     {} or {"status": 307}                            -> {"url": "..."}   the old port redirects
GET  /sandbox/settings, /sandbox/faults, /sandbox/plan                  -> as they are now
GET  /sandbox/counters                                                  -> {"requests": 1, "refused": 0, ...}
GET  /sandbox/truth/deals                                               -> all rows, a JSON object per line
GET  /sandbox/truth/deals?visible=1                                     -> without those the fault hidden_rows hides

Options: settings.Settings, faults.Fault, churn.Step, counters.Counters.
"""

from collections.abc import Callable
from typing import Any

import orjson

from b24lake.sandbox.faults import COUNTED_BY
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.wire import Answer, Request

CONTROL = "/sandbox/"

Lever = Callable[[Portal, dict[str, Any]], dict[str, Any]]
More = dict[str, Callable[[dict[str, Any]], dict[str, Any]]]


def control(portal: Portal, request: Request, address: str, more: More | None = None) -> Answer:
    """The answer to a request under /sandbox/; only this machine may pull the levers. `more` are the server's own."""
    if not (address.startswith("127.") or address == "::1"):
        return Answer(403, orjson.dumps({"error": "the sandbox is controlled from its own machine only"}))
    name, _, rest = request.path.removeprefix(CONTROL).strip("/").partition("/")
    try:
        if name == "truth":
            return Answer(200, _truth(portal, rest, visible="visible=1" in request.query))
        asked = orjson.loads(request.body) if request.body else {}
        if more and name in more:
            return Answer(200, orjson.dumps(more[name](asked)))
        if name not in LEVERS:
            known = ", ".join([*LEVERS, *(more or ()), "truth"])
            return Answer(404, orjson.dumps({"error": f"no lever {name!r}; there are {known}"}))
        return Answer(200, orjson.dumps(LEVERS[name](portal, asked), option=orjson.OPT_NON_STR_KEYS))
    except (ValueError, KeyError, TypeError) as error:
        return Answer(400, orjson.dumps({"error": f"{type(error).__name__}: {error}"}))


def _truth(portal: Portal, table: str, *, visible: bool) -> bytes:
    with portal.lock:
        key = portal.tables[table].key
        rows = [row for row in portal.truth(table) if not visible or not portal.faults.hides(int(row[key]))]
        return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def _create(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    return {"id": portal.create(asked["table"], asked.get("fields"))}


def _change(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    portal.change(asked["table"], int(asked["id"]), asked.get("fields") or {})
    return {}


def _delete(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    portal.delete(asked["table"], int(asked["id"]))
    return {}


def _lay(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    portal.lay(asked["kind"], asked["table"], int(asked["id"]), asked["rows"], quiet=bool(asked.get("quiet")))
    return {}


def _field(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    title, multiple, options = str(asked.get("title", "")), bool(asked.get("multiple")), asked.get("options") or ()
    portal.set_field(asked["table"], asked["name"], asked["type"], title=title, multiple=multiple, options=options)
    return {}


def _drop(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    portal.drop_field(asked["table"], asked["name"])
    return {}


def _type(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    if asked.get("off"):
        portal.delete_type(int(asked["off"]))
    elif asked:
        portal.create_type(int(asked["entityTypeId"]), str(asked.get("title") or "New process"))
    with portal.lock:
        return {"types": {row["entityTypeId"]: row["title"] for row in portal.tables.types}}


def _counters(portal: Portal, _: dict[str, Any]) -> dict[str, Any]:
    return portal.told()


def _settings(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    if "scopes" in asked:
        asked["scopes"] = tuple(asked["scopes"])
    for name in ("missing_methods", "forbidden_types"):
        if name in asked:
            asked[name] = tuple(asked[name])
    portal.set(**asked)
    return portal.known_settings()


def _faults(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    if "off" in asked:
        portal.mend("" if asked["off"] is True else asked["off"])
    elif asked:
        portal.fault(**asked)
    with portal.lock:
        return {"on": [fault.told() for fault in portal.faults.all()], "known": COUNTED_BY}


def _plan(portal: Portal, asked: dict[str, Any]) -> dict[str, Any]:
    with portal.lock:
        if asked.get("off"):
            portal.churn.clear()
        elif asked:
            portal.plan(**asked)
        return {"log": portal.churn.told()}


def _reset(portal: Portal, _: dict[str, Any]) -> dict[str, Any]:
    portal.reset_counters()
    return {}


LEVERS: dict[str, Lever] = {
    "create": _create,
    "change": _change,
    "delete": _delete,
    "lay": _lay,
    "field": _field,
    "drop": _drop,
    "type": _type,
    "reset": _reset,
    "counters": _counters,
    "settings": _settings,
    "faults": _faults,
    "plan": _plan,
}
