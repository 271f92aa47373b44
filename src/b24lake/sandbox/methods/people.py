"""Users, departments, open lines and the call log.

Source: api-reference/user/user-get.md, departments/department-get.md,
imopenlines/openlines/imopenlines-config-list-get.md,
telephony/voximplant/voximplant-statistic-get.md.
"""

from datetime import datetime
from typing import Any

from b24lake.sandbox import errors
from b24lake.sandbox.data.people import DEPARTMENT_FIELDS, LINE_COLUMNS, USER_FIELDS
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.lists.conditions import Condition, freeze, split
from b24lake.sandbox.lists.find import Node
from b24lake.sandbox.lists.pages import page
from b24lake.sandbox.lists.render import CLASSIC, build_row
from b24lake.sandbox.methods.asking import loose_filter
from b24lake.sandbox.methods.registry import method
from b24lake.sandbox.params import Params, get, items, to_int
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import Reply, Rows

LINES_LIMIT, LINES_MOST = 50, 200
LINES_PARAMS, LINES_OPTIONS = (
    {"select", "order", "filter", "limit", "offset"},
    {"QUEUE", "CONFIG_QUEUE", "CHECK_PERMISSION"},
)


@method("user.get", "user")
def user_get(portal: Portal, params: Params) -> Reply:
    """Users; `sort` and `order` are strings, and both are needed."""
    table = portal.tables["users"]
    nodes = loose_filter(table, get(params, "filter"))
    asked = [str(name) for _, name in items(get(params, "select"))]
    names = _user_names(portal, asked)
    return _sorted_page(portal, table, nodes, params, names)


@method("user.search", "user")
def user_search(portal: Portal, params: Params) -> Reply:
    """The same list; `FIND` looks in names."""
    return user_get(portal, params)


@method("user.current", "user")
def user_current(portal: Portal, _: Params) -> Reply:
    """The webhook's owner; here the two odd dates are strings, in two formats."""
    row = portal.tables["users"].row(portal.settings.user_id)
    seen = datetime.fromisoformat(row["LAST_LOGIN"] or portal.world.show(portal.world.epoch))
    dates = {"TIMESTAMP_X": f"{seen:%d.%m.%Y %H:%M:%S}", "LAST_ACTIVITY_DATE": f"{seen:%Y-%m-%d %H:%M:%S}"}
    return Reply({name: dates.get(name, value) for name, value in row.items() if name != "USER_TYPE"})


@method("user.fields", "user")
def user_fields(portal: Portal, _: Params) -> Reply:
    """Labels by code, without types."""
    names = _user_names(portal, [])
    return Reply({name: label for name, label in USER_FIELDS.items() if names is None or name in names})


@method("department.get", "department")
def department_get(portal: Portal, params: Params) -> Reply:
    """Departments; filters are top-level upper-case keys, equality only."""
    table = portal.tables["departments"]
    given = {name: params[name] for name in DEPARTMENT_FIELDS if name in params}
    nodes: list[Node] = [Condition(name, "=", freeze(value)) for name, value in given.items()]
    lower: Params = {name: params[name] for name in ("sort", "order", "start") if name in params}
    return _sorted_page(portal, table, nodes, lower, None)


@method("department.fields", "department")
def department_fields(_: Portal, __: Params) -> Reply:
    """Labels by code."""
    return Reply(DEPARTMENT_FIELDS)


@method("voximplant.statistic.get", "telephony")
def statistic_get(portal: Portal, params: Params) -> Reply:
    """The call log; without both SORT and ORDER as strings there is no order of one's own."""
    table = portal.tables["calls"]
    nodes = [node for node in loose_filter(table, get(params, "filter")) if not _arrays_by_sign(node)]
    upper = {"sort": params.get("SORT"), "order": params.get("ORDER"), "start": get(params, "start")}
    if not isinstance(upper["sort"], str) or not isinstance(upper["order"], str) or upper["sort"] == "CALL_TYPE":
        upper["sort"] = upper["order"] = None
    return _sorted_page(portal, table, nodes, upper, None)


@method("imopenlines.config.list.get", "imopenlines")
def lines_get(portal: Portal, params: Params) -> Reply:
    """Open lines by limit and offset, without total and next. Unknown keys are refused."""
    asked, options = dict(items(params.get("PARAMS"))), dict(items(params.get("OPTIONS")))
    _known(asked, LINES_PARAMS, "PARAMS")
    _known(options, LINES_OPTIONS, "OPTIONS")
    if not isinstance(asked.get("filter", {}), (dict, list)):
        raise errors.plain("A wrong format for the PARAMS field 'filter' is passed", "INVALID_FORMAT")
    names = [str(name) for _, name in items(asked.get("select"))]
    _known(dict.fromkeys(names), set(LINE_COLUMNS), "select")
    _known(dict(items(asked.get("order"))), set(LINE_COLUMNS), "order")
    _known({split(key)[1]: None for key, _ in items(asked.get("filter"))}, set(LINE_COLUMNS), "filter")
    limit = to_int(asked.get("limit", LINES_LIMIT))
    if not 0 < limit <= LINES_MOST:
        raise errors.plain("A wrong value for the PARAMS field 'limit' is passed", "INVALID_FORMAT")
    table = portal.tables["open_lines"]
    nodes = loose_filter(table, asked.get("filter"))
    descending = any(str(way).lower() == "desc" for _, way in items(asked.get("order")))
    found = portal.finder.find(table, nodes, (("ID", descending),))
    offset = to_int(asked.get("offset", 0))
    rows = [build_row(table, CLASSIC, frozenset(names) or None, id_) for id_ in found[offset : offset + limit]]
    return Reply([row | _queue(portal, options) for row in rows])


def _user_names(portal: Portal, asked: list[str]) -> frozenset[str] | None:
    """Columns of user.get: custom ones need a scope of their own; unknown names are skipped."""
    names = {name for name in USER_FIELDS if not name.startswith("UF_USR_") or portal.granted("user.userfield")}
    if asked and "*" not in asked:
        names = {name for name in names if name in asked or ("UF_*" in asked and name.startswith("UF_"))}
    return frozenset(names)


def _sorted_page(
    portal: Portal, table: Table, nodes: list[Node], params: Params, names: frozenset[str] | None
) -> Reply:
    """A page of a list whose `sort` and `order` are strings."""
    sort, way = get(params, "sort"), get(params, "order")
    field = str(sort).upper() if isinstance(sort, str) and str(sort).upper() in table.columns else "ID"
    found = portal.finder.find(table, nodes, ((field, str(way).upper() == "DESC"),))
    ids, total, following = page(found, get(params, "start"), exact=False, counted=portal.settings.count_minus_one)
    render = portal.renderer.plan(table, CLASSIC, names)
    return Reply(Rows([render(id_) for id_ in ids]), total, following)


def _arrays_by_sign(node: Node) -> bool:
    """The call log knows no `@`."""
    return isinstance(node, Condition) and node.operator in {"@", "!@"}


def _known(given: dict[str, Any], known: set[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise errors.plain(f"A wrong format for the {where} field '{key}' is passed", "INVALID_FORMAT")


def _queue(portal: Portal, options: dict[str, Any]) -> dict[str, Any]:
    """Who answers on a line, when asked for."""
    added: dict[str, Any] = {}
    if options.get("QUEUE") == "Y":
        queue = portal.world.user_ids[:2]
        about = {"USER_NAME": "John Smith", "USER_WORK_POSITION": None, "USER_AVATAR": "", "USER_AVATAR_ID": None}
        added |= {"QUEUE": queue, "QUEUE_USERS_FIELDS": {str(id_): about for id_ in queue}}
    if options.get("CONFIG_QUEUE") == "Y":
        added["CONFIG_QUEUE"] = [{"ENTITY_ID": "1", "ENTITY_TYPE": "department"}]
    return added
