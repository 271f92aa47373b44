"""What belongs to single records: comments, product rows, links to contacts, stage history.

Source: api-reference/crm/timeline/comments/crm-timeline-comment-list.md, deals/crm-deal-productrows-get.md,
deals/contacts/crm-deal-contact-items-get.md, crm-stage-history-list.md.
"""

from collections.abc import Callable

from b24lake.sandbox import errors
from b24lake.sandbox.data.children import classic_product_row
from b24lake.sandbox.data.columns import Column
from b24lake.sandbox.data.tables import OWNER_CODES
from b24lake.sandbox.lists.pages import page, page_of
from b24lake.sandbox.lists.render import CLASSIC
from b24lake.sandbox.methods.asking import strict_filter, strict_order
from b24lake.sandbox.methods.catalogs import ranked
from b24lake.sandbox.methods.registry import method
from b24lake.sandbox.params import Params, get, items, to_int
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import Reply, Rows

COMMENT_TABLES = {code: name for name, (_, code) in OWNER_CODES.items()}
COMMENT_ORDERS = {"ID", "CREATED", "AUTHOR_ID"}


@method("crm.timeline.comment.list", "crm")
def comment_list(portal: Portal, params: Params) -> Reply:
    """Comments of one record. Only the two mandatory fields filter; there is no paging by id."""
    given = {key.lstrip("="): value for key, value in items(get(params, "filter"))}
    owner, kind = to_int(given.get("ENTITY_ID")), str(given.get("ENTITY_TYPE") or "").lower()
    if kind not in COMMENT_TABLES or owner not in portal.tables[COMMENT_TABLES[kind]]:
        raise errors.plain("Access denied.")
    rows = portal.tables.comments[kind](owner)
    for field, way in reversed(items(get(params, "order"))):
        if field in COMMENT_ORDERS:
            rows = ranked(
                rows, field, "string" if field == "CREATED" else "integer", descending=str(way).upper() == "DESC"
            )
    names = {str(name) for _, name in items(get(params, "select"))}
    if names and "*" not in names:
        rows = [{name: value for name, value in row.items() if name in names} for row in rows]
    return page_of(rows, get(params, "start"), counted=portal.settings.count_minus_one)


def _productrows(name: str, code: str) -> Callable[[Portal, Params], Reply]:
    def run(portal: Portal, params: Params) -> Reply:
        id_ = to_int(get(params, "id"))
        if id_ <= 0:
            raise errors.plain("The parameter id is invalid or not defined.")
        if id_ not in portal.tables[name]:
            raise errors.plain("Not found")
        return Reply([classic_product_row(row) for row in portal.tables.product_rows(code)(id_)])

    return run


def _contact_items(name: str) -> Callable[[Portal, Params], Reply]:
    def run(portal: Portal, params: Params) -> Reply:
        id_ = to_int(get(params, "id"))
        if id_ <= 0:
            raise errors.plain("The parameter ownerEntityID is invalid or not defined.")
        if id_ not in portal.tables[name]:
            raise errors.plain("Not found.")
        return Reply([
            {"CONTACT_ID": contact, "SORT": 10 * (number + 1), "ROLE_ID": 0, "IS_PRIMARY": "N" if number else "Y"}
            for number, contact in enumerate(portal.tables.contacts[name](id_))
        ])  # fmt: skip

    return run


for entity, table_name, short in (("deal", "deals", "D"), ("lead", "leads", "L")):
    method(f"crm.{entity}.productrows.get", "crm")(_productrows(table_name, short))
    method(f"crm.{entity}.contact.items.get", "crm")(_contact_items(table_name))


@method("crm.stagehistory.list", "crm")
def stagehistory_list(portal: Portal, params: Params) -> Reply:
    """The log of stage changes of leads (1) or deals (2), wrapped in `items`; values are strings."""
    table = portal.tables.histories.get(to_int(params.get("entityTypeId")))
    if table is None:
        raise errors.plain("Entity type is not supported", "ENTITY_TYPE_NOT_SUPPORTED")
    columns: dict[str, Column] = table.columns
    nodes = strict_filter(columns, params.get("filter"), portal.settings.server_offset)
    order = strict_order(columns, params.get("order"), (("ID", False),))
    found = portal.finder.find(table, nodes, order)
    ids, total, following = page(found, params.get("start"), exact=True, counted=portal.settings.count_minus_one)
    names = frozenset(str(name) for _, name in items(params.get("select"))) - {"*"}
    render = portal.renderer.plan(table, CLASSIC, names or None)
    return Reply(Rows([render(id_) for id_ in ids], "items"), total, following)
