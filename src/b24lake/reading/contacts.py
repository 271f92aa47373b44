"""All contacts of each deal: read before the deals, and put beside them as CONTACT_IDS.

The classic list does not have them. `crm.item.list` has them in bulk (api-reference/crm/universal/crm-item-list.md);
where it is refused, `crm.deal.contact.items.get` tells them deal by deal
(api-reference/crm/deals/contacts/crm-deal-contact-items-get.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from b24lake.errors import LockedError, StreamError
from b24lake.reading.children import Parents
from b24lake.reading.reader import Rows
from b24lake.reading.schedule import Ask
from b24lake.reading.steps import Ids, IdsOf, Step, check_whole, ids_ask, ids_in, no_parents
from b24lake.streams.definitions import Stream
from b24lake.streams.discovery import Found
from b24lake.streams.fields import Column, arrow_type, columns

CONTACT_IDS = "CONTACT_IDS"
LIST = arrow_type("crm_contact", CONTACT_IDS, many=True)
MOST_LATE = 500  # deals that came after their contacts had been read and are asked for once more, one by one
_DEAL = 2  # entityTypeId


@dataclass(slots=True)
class Contacts:
    """The contacts of deals: ids of the deals, rising, and the list of each.

    late      rows of deals that came without being known here: they wait until their contacts have been asked for
    unknown   deals that came so and go without: they were too many, or could not be asked for
    """

    ids: Ids = field(default_factory=lambda: np.array([], np.int64))
    lists: pa.Array = field(default_factory=lambda: pa.array([], LIST))
    late: list[pa.RecordBatch] = field(default_factory=list)
    unknown: int = 0

    def know(self, ids: Ids, lists: pa.Array) -> None:
        """Take over what has been read, in the place of what was known of the same deals."""
        together = np.concatenate([ids, self.ids])
        kept, places = np.unique(together, return_index=True)  # the first one of each
        self.ids, self.lists = kept, pa.concat_arrays([lists, self.lists]).take(pa.array(places))

    def beside(self, batch: pa.RecordBatch, ids: Ids, name: str) -> pa.RecordBatch:
        """The batch with the contacts of each deal in column `name`, null where there are none; late deals wait."""
        batch, found = self._with_lists(batch, ids, name)
        missing = int(len(ids) - found.sum())
        if missing and missing + sum(each.num_rows for each in self.late) <= MOST_LATE:
            self.late.append(batch.filter(pa.array(~found)))
            return batch.filter(pa.array(found))
        self.unknown += missing
        return batch

    def late_ids(self, deals: Ask) -> Ids:
        """The ids of the deals that wait."""
        return np.unique(np.concatenate([np.array([], np.int64), *(ids_in(each, deals) for each in self.late)]))

    def of_late(self, deals: Ask) -> Step:
        """The step that asks for the contacts of the deals that wait."""
        return _OneByOne(deals, Parents(self.late_ids(deals)), self)

    def released(self, deals: Ask, name: str) -> list[pa.RecordBatch]:
        """The rows of the deals that wait, with their contacts as far as these are known now."""
        late, self.late = self.late, []
        filled = [self._with_lists(each, ids_in(each, deals), name) for each in late]
        self.unknown += sum(int(len(found) - found.sum()) for _, found in filled)
        return [batch for batch, _ in filled]

    def _with_lists(
        self, batch: pa.RecordBatch, ids: Ids, name: str
    ) -> tuple[pa.RecordBatch, np.ndarray[Any, np.dtype[np.bool_]]]:
        places = np.searchsorted(self.ids, ids)
        found = np.zeros(len(ids), bool)
        inside = places < len(self.ids)
        found[inside] = self.ids[places[inside]] == ids[inside]
        lists = self.lists.take(pa.array(places, mask=~found))
        at = batch.schema.get_field_index(name)
        if at < 0:
            return batch.append_column(name, lists), found
        return batch.set_column(at, batch.schema.field(at), lists), found


def with_contacts(found: Found) -> Found:
    """The stream of deals with a column for the contacts, where the portal describes none."""
    if any(column.name == CONTACT_IDS for column in found.columns):
        return found
    return replace(found, columns=(*found.columns, Column(CONTACT_IDS, CONTACT_IDS, "crm_contact", LIST, many=True)))


def without_contacts(found: Found) -> Found:
    """The stream of deals without the contacts that the universal methods send unasked: the column stays empty."""
    translation = found.stream.translation
    if translation is None:
        return found
    unasked = {column.source for column in found.columns if column.name == CONTACT_IDS}
    translation = replace(translation, left_out=translation.left_out | unasked)
    return replace(found, stream=replace(found.stream, translation=translation))


def contacts_of(found: Found, ask: Ask, known: Contacts) -> list[Step]:
    """The steps that find the contacts of the deals that `ask` is about to read."""
    return [_Bulk(found, ask, known)]


@dataclass(slots=True)
class _Bulk:
    """Contacts from the list of the universal methods, 50 deals a page."""

    found: Found
    deals: Ask
    known: Contacts
    came: list[tuple[Ids, pa.Array]] = field(default_factory=list)
    closed: list[tuple[int, int]] = field(default_factory=list)

    @property
    def ask(self) -> Ask:
        """The same deals, with the ids of their contacts alone."""
        deals = self.deals
        changed = "updatedTime" if deals.since else None
        kinds = {"id": "integer", "contactIds": "crm_contact[]", "updatedTime": "datetime"}
        params = {"entityTypeId": _DEAL, "select": [*kinds] if changed else ["id", "contactIds"]}
        filter_ = {
            {"@CATEGORY_ID": "@categoryId"}.get(name, name): ids
            for name, ids in deals.stream.params.get("filter", {}).items()
        }
        stream = Stream(
            name=deals.stream.name,
            title=deals.stream.title,
            group=deals.stream.group,
            scopes=deals.stream.scopes,
            method="crm.item.list",
            params={**params, "filter": filter_} if filter_ else params,
            rows_at="items",
            key="id",
            docs="api-reference/crm/universal/crm-item-list.md",
        )
        return Ask(stream, columns(None, kinds, key="id"), changed, deals.since, deals.done)

    def take(self, rows: Rows) -> None:
        """Keep ids and lists."""
        self.came.append((ids_in(rows.batch, self.ask), rows.batch.column("contactIds")))
        self.closed += rows.closed

    def restart(self) -> None:
        """Forget them."""
        self.came.clear()
        self.closed.clear()

    def ended(self) -> None:
        """They are known."""
        done = self.deals.done
        check_whole([*self.closed, *done.closed], done.below)
        if self.came:
            ids, lists = zip(*self.came, strict=True)
            self.known.know(np.concatenate(ids), pa.concat_arrays([each.cast(LIST) for each in lists]))
        self.restart()

    def instead(self, error: StreamError) -> Sequence[Step]:
        """Deal by deal."""
        if not isinstance(error, LockedError):
            return ()
        parents, deals = no_parents(), self.deals
        ids = ids_ask(
            deals.stream.name, self.found, deals.replication_key if deals.since else None, deals.since, deals.done
        )
        return [IdsOf(ids, parents), _OneByOne(deals, parents, self.known)]


@dataclass(slots=True)
class _OneByOne:
    """Contacts by one call for each deal, in the order of SORT; where that is the same, as they come."""

    deals: Ask
    parents: Parents
    known: Contacts
    came: list[pa.RecordBatch] = field(default_factory=list)

    @property
    def ask(self) -> Ask:
        """The links between deals and contacts."""
        kinds = {"CONTACT_ID": "integer", "DEAL_ID": "integer", "SORT": "integer"}
        stream = Stream(
            name=self.deals.stream.name,
            title=self.deals.stream.title,
            group=self.deals.stream.group,
            scopes=self.deals.stream.scopes,
            method="crm.deal.contact.items.get",
            key="CONTACT_ID",
            paging="children",
            parent="deals",
            parent_key="DEAL_ID",
            parent_param="id",
            docs="api-reference/crm/deals/contacts/crm-deal-contact-items-get.md",
        )
        return Ask(stream, columns(None, kinds, key="CONTACT_ID"), parents=self.parents)

    def take(self, rows: Rows) -> None:
        """Keep three numbers of each link."""
        self.came.append(rows.batch.select(["DEAL_ID", "SORT", "CONTACT_ID"]))

    def restart(self) -> None:
        """Forget them."""
        self.came.clear()

    def ended(self) -> None:
        """They are known, also of deals that have none."""
        ids: Ids = np.sort(self.parents.ids)
        links = pa.Table.from_batches(self.came).combine_chunks() if self.came else None
        owners, contacts = (_column(links, name) for name in ("DEAL_ID", "CONTACT_ID"))
        order = np.lexsort((_column(links, "SORT"), owners))  # stable
        ends = np.searchsorted(owners[order], ids, side="right")
        offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
        lists = pa.ListArray.from_arrays(offsets, pa.array(contacts[order], pa.int64())).cast(LIST)
        empty = pc.equal(pc.list_value_length(lists), 0)
        self.known.know(ids, pc.if_else(empty, pa.scalar(None, LIST), lists))
        self.came.clear()

    def instead(self, error: StreamError) -> Sequence[Step]:  # noqa: ARG002
        """Nothing."""
        return ()


def _column(links: pa.Table | None, name: str) -> Ids:
    values: Ids = np.array([], np.int64) if links is None else pc.fill_null(links.column(name), 0).to_numpy()
    return values
