"""What a portal has of the streams that random runs read, typed; and which of it a read of changes brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from model import Key, Read, Row, Rows, Table
from test_every_stream import described, get, truth, typed

from b24lake.sandbox import Server
from b24lake.sandbox.data.children import classic_product_row
from b24lake.streams import declared

LOOK_BACK = 1000  # ids below its last one that a log is read from
ENTITIES = {
    "deals": "crm.deal.fields",
    "contacts": "crm.contact.fields",
    "activities": "crm.activity.fields",
}
CHILDREN = {"deal_comments": "ENTITY_ID", "deal_products": "OWNER_ID"}
OTHERS = {"spa_128": "id", "users": "ID", "status_list": "ID", "deal_fields": "id"}
LOG = "deal_stage_history"
STREAMS = (*ENTITIES, *CHILDREN, LOG, *OTHERS)
OF_FUNNELS = ("deals", *CHILDREN, LOG)
REPLICATION = {"deals": "DATE_MODIFY", "contacts": "DATE_MODIFY", "activities": "CREATED", "spa_128": "updatedTime"}
INCREMENTAL = (*REPLICATION, *CHILDREN, LOG)  # the others are always read in full


@dataclass(frozen=True)
class Asked:
    """What a run asks for, as far as it decides which rows and columns come."""

    categories: tuple[int, ...] = ()
    contacts: bool = False
    activities_by: str = "CREATED"

    def key(self, stream: str) -> str | None:
        """The field by which changes are asked for."""
        return self.activities_by if stream == "activities" else REPLICATION.get(stream)

    def of(self, stream: str) -> object:
        """All of it that concerns one stream: where this differs from the last time, everything is read."""
        funnels = self.categories if stream in OF_FUNNELS else ()
        return funnels, self.contacts and stream == "deals", self.key(stream)


@dataclass
class Portal:
    """A sandbox portal. Rows that have not changed since they were last looked at are not typed again."""

    server: Server
    kept: dict[str, dict[Key, tuple[Row, Row]]] = field(default_factory=dict)
    shapes: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def read(self, stream: str, asked: Asked) -> Read:
        """All that a full read would bring."""
        if stream in ENTITIES:
            return self._entity(stream, asked)
        if stream in CHILDREN:
            deals = self.deals(asked)
            raws, kinds = self._children(stream, deals)
            owners = {
                int(row["ID"]): max(map(moment, (row["DATE_MODIFY"], row["LAST_ACTIVITY_TIME"]))) for row in deals
            }
            return replace(self._typed(stream, "ID", kinds, raws), owners=owners)
        if stream == LOG:
            rows = self.server.portal.tables.histories[2].rows()
            raws = [row for row in rows if not asked.categories or int(row["CATEGORY_ID"]) in asked.categories]
            return self._typed(stream, "ID", declared.DEAL_HISTORY, raws)
        raws, kinds, key = truth(self.server, stream)
        return self._typed(stream, key, kinds, raws)

    def deals(self, asked: Asked) -> list[Row]:
        """The deals of the chosen funnels, as they are sent."""
        rows = self.server.portal.truth("deals")
        return [row for row in rows if not asked.categories or int(row["CATEGORY_ID"]) in asked.categories]

    def _entity(self, stream: str, asked: Asked) -> Read:
        raws = self.deals(asked) if stream == "deals" else list(self.server.portal.truth(stream))
        if stream == "deals" and asked.contacts:
            contacts = self.server.portal.tables.contacts["deals"]
            raws = [{**row, "CONTACT_IDS": contacts(int(row["ID"]))} for row in raws]
        return self._typed(stream, "ID", described(get(self.server, ENTITIES[stream], {})["result"]), raws)

    def _children(self, stream: str, deals: Sequence[Row]) -> tuple[list[Row], Mapping[str, str]]:
        tables, ids = self.server.portal.tables, [int(row["ID"]) for row in deals]
        if stream == "deal_comments":
            return [row for id_ in ids for row in tables.comments["deal"](id_)], declared.COMMENT
        products = tables.product_rows("D")
        return [classic_product_row(row) for id_ in ids for row in products(id_)], declared.PRODUCT_ROW

    def _typed(self, stream: str, key: str, kinds: Mapping[str, str], raws: Sequence[Row]) -> Read:
        kinds = {key: kinds.get(key, "integer"), **kinds}
        if self.shapes.get(stream) != kinds:
            self.kept[stream], self.shapes[stream] = {}, dict(kinds)
        kept, rows, more = self.kept[stream], Rows(), dict[Key, frozenset[str]]()
        for raw in raws:
            before = kept.get(raw[key])
            if before is None or before[0] != raw:
                found = {name: typed(value, kinds.get(name, ""), name) for name, value in raw.items()}
                before = kept[raw[key]] = raw, {name: value for name, value in found.items() if value is not None}
            rows[before[1][key]] = before[1]
            more[before[1][key]] = frozenset(raw.keys() - kinds.keys())
        return Read(key, kinds, rows, more)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def changed(stream: str, read: Read, key: str | None, since: Any) -> Read:
    """What of a read comes where only changes are asked for: children come with the deals that have moved."""
    if stream in CHILDREN:
        moved = {owner for owner, at in read.owners.items() if at >= since}
        return read.only({one for one, row in read.rows.items() if row[CHILDREN[stream]] in moved})
    if stream == LOG:
        return read.only({one for one in read.rows if one > max(0, since - LOOK_BACK)})
    return read.only({one for one, row in read.rows.items() if key in row and row[key] >= since})


def going(stream: str, table: Table, read: Read, since: datetime, policy: str) -> set[Key]:
    """Rows of a table of children that belong to deals that have moved, but did not come again."""
    if stream not in CHILDREN or policy == "keep":
        return set()
    moved = {owner for owner, at in read.owners.items() if at >= since}
    theirs = {key for key, row in table.rows.items() if row.get(CHILDREN[stream]) in moved and key not in read.rows}
    return {key for key in theirs if policy == "remove" or "_deleted_at" not in table.rows[key]}
