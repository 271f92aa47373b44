"""What faults do to single commands: conditions they overlook, pages they cut short."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from b24lake.sandbox import errors
from b24lake.sandbox.faults import Fault, Faults
from b24lake.sandbox.lists.conditions import split
from b24lake.sandbox.params import Params
from b24lake.sandbox.replies import Reply, Rows

STRICT = {"crm.item.list", "crm.type.list", "crm.stagehistory.list"}  # these refuse unknown fields
SORTED_BY_TEXT = {"user.get", "user.search", "department.get", "voximplant.statistic.get"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_OFFSET = re.compile(r"T.*(Z|[+-]\d\d:?\d\d)$")

Overlooks = Callable[[Fault, str, Any], bool]  # (fault, key of the filter, value) -> whether it has no effect


def _of_id(_: Fault, key: str, __: Any) -> bool:
    operator, field = split(key)
    return operator in {">", ">="} and field.upper() == "ID"


def _of_date(fault: Fault, key: str, value: Any) -> bool:
    return fault.field in ("", split(key)[1]) and _DATE.match(str(value)) is not None


def _of_date_with_offset(fault: Fault, key: str, value: Any) -> bool:
    return _of_date(fault, key, value) and _OFFSET.search(str(value)) is not None


def _of_field(fault: Fault, key: str, _: Any) -> bool:
    return split(key)[1] == fault.field


OVERLOOKED: dict[str, Overlooks] = {
    "ignores_id": _of_id,
    "ignores_date": _of_date,
    "ignores_date_offset": _of_date_with_offset,
    "unknown_filter": _of_field,
}


def refuse(faults: Faults, method: str) -> None:
    """Raise ApiError where a fault has the portal refuse a command."""
    if faults.fires("internal_error", method):
        raise errors.internal()
    if faults.fires("no_access", method):
        raise errors.denied()


def asked(faults: Faults, method: str, params: Params) -> Params:
    """What a method understands of its parameters. Raises ApiError where it refuses a field."""
    for kind, overlooks in OVERLOOKED.items():
        fault = faults.fires(kind, method)
        if fault:
            params = _without(params, fault, overlooks, method)
    if faults.fires("ignores_order", method):
        params = _newest_first(params, method)
    return params


def _without(params: Params, fault: Fault, overlooks: Overlooks, method: str) -> Params:
    """Parameters without the conditions that a fault overlooks."""
    seen = dict(params)
    for name, given in params.items():
        if name.lower() != "filter" or not isinstance(given, dict):
            continue
        lost = [key for key, value in given.items() if overlooks(fault, key, value)]
        if lost and fault.kind == "unknown_filter" and method in STRICT:
            raise errors.bad_filter(fault.field)
        seen[name] = {key: value for key, value in given.items() if key not in lost}
    return seen


def _newest_first(params: Params, method: str) -> Params:
    """Parameters with an order of the method's own in place of the one asked for."""
    kept = {name: value for name, value in params.items() if name.lower() not in {"order", "sort"}}
    if method in SORTED_BY_TEXT:
        return kept | {"sort": "ID", "order": "DESC", "SORT": "ID", "ORDER": "DESC"}
    return kept | {"order": {"id" if method in STRICT - {"crm.stagehistory.list"} else "ID": "DESC"}}


def cut_short(faults: Faults, method: str, reply: Reply) -> Reply:
    """A page with rows taken out after it was cut, as a check of rights would; `next` and `total` stay."""
    if faults.fires("empty_result", method):
        return replace(reply, result=[])
    if not isinstance(reply.result, Rows):
        return reply
    rows = reply.result.rendered
    short = faults.fires("short_pages", method)
    if short:
        rows = rows[: max(0, len(rows) - short.rows)]
    if faults.standing("hidden_rows"):
        rows = [row for row in rows if not faults.hides(_id(row))]
    return replace(reply, result=Rows(rows, reply.result.under))


def _id(rendered: bytes) -> int:
    row = orjson.loads(rendered)
    return int(row.get("ID") or row.get("id") or 0)
