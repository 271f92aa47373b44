"""All tables of a portal."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from b24lake.sandbox.data import activities, children, clients, deals, people, smart
from b24lake.sandbox.data.columns import Row
from b24lake.sandbox.data.dictionaries import status_rows
from b24lake.sandbox.data.links import contacts_of
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.data.world import World

# table -> its short code in product rows, its symbol code in comments
OWNER_CODES = {
    "deals": ("D", "deal"),
    "leads": ("L", "lead"),
    "contacts": ("C", "contact"),
    "companies": ("CO", "company"),
    "spa_128": ("T80", "dynamic_128"),
    "spa_156": ("T9c", "dynamic_156"),
    "spa_1032": ("T408", "dynamic_1032"),
}
KINDS = ("comments", "product_rows", "contacts")  # what hangs on records
WITH_PRODUCTS = {"deals", "leads", "spa_128", "spa_156", "spa_1032"}


class Tables:
    """The tables by name, by entity type, and what hangs on their rows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.named: dict[str, Table] = {
            "deals": deals.deals(world),
            "leads": clients.leads(world),
            "contacts": clients.contacts(world),
            "companies": clients.companies(world),
            "activities": activities.activities(world),
            "products": activities.products(world),
            "calls": activities.calls(world),
            "users": people.users(world),
            "departments": people.departments(world),
            "open_lines": people.open_lines(world),
        } | smart.smart_tables(world)
        self.by_type = {table.entity_type: table for table in self.named.values() if table.entity_type}
        self.statuses: list[Row] = status_rows()
        self.types: list[dict[str, Any]] = smart.type_rows(world)
        self.laid: dict[tuple[str, str, int], list[Any]] = {}
        self.comments = {
            code: self._over("comments", name, children.comments(world, name, code))
            for name, (_, code) in OWNER_CODES.items()
        }
        self.contacts = {
            name: self._over("contacts", name, contacts_of(world, name))
            for name in ("deals", "leads", "spa_128", "spa_156", "spa_1032")
        }
        for number in range(world.settings.more_types):
            self.add_type(smart.FREE_TYPE + 2 * number, f"Smart process {number + 4}")

    def __getitem__(self, name: str) -> Table:
        if name not in self.named:
            raise ValueError(f"no table {name!r}; there are {', '.join(self.named)}")
        return self.named[name]

    def add_type(self, entity_type: int, title: str) -> None:
        """A new smart process without records. Raises ValueError for a number that is taken or not one of theirs."""
        if entity_type in self.by_type or not (128 <= entity_type <= 192 or entity_type >= 1030):
            raise ValueError(f"{entity_type} cannot be the entityTypeId of a new smart process")
        name, id_ = f"spa_{entity_type}", max(row["id"] for row in [*self.types, {"id": 0}]) + 2
        self.world.number(name)
        table = smart.empty_table(self.world, id_, entity_type)
        self.named[name] = self.by_type[entity_type] = table
        self.contacts[name] = contacts_of(self.world, name)
        self.types.append(smart.type_row(self.world, id_, entity_type, title))

    def drop_type(self, entity_type: int) -> None:
        """Delete a smart process with all its records."""
        if entity_type not in {row["entityTypeId"] for row in self.types}:
            raise ValueError(f"no smart process {entity_type}")
        self.types = [row for row in self.types if row["entityTypeId"] != entity_type]
        del self.named[self.by_type.pop(entity_type).name]

    def product_rows(self, code: str) -> Callable[[int], list[Row]]:
        """A function id -> product rows of the owner with this short code; none where it does not exist."""
        names = {short: name for name, (short, _) in OWNER_CODES.items() if name in WITH_PRODUCTS}
        if code not in names:
            return lambda _: []
        name = names[code]
        make = self._over("product_rows", name, children.product_rows(self.world, name, code))
        owners = self.named[name]
        return lambda id_: make(id_) if id_ in owners else []

    def lay(self, kind: str, name: str, id_: int, rows: list[Any]) -> None:
        """Put other comments, product rows or contacts in the place of those of one record."""
        if kind not in KINDS or id_ not in self[name]:
            raise ValueError(f"no {kind!r} of {name} {id_}; there are {', '.join(KINDS)} of records that exist")
        self.laid[kind, name, id_] = rows

    def _over(self, kind: str, name: str, make: Callable[[int], list[Any]]) -> Callable[[int], list[Any]]:
        """The same function, but for records in the place of whose rows others were put."""

        def now(id_: int) -> list[Any]:
            key = (kind, name, id_)
            return self.laid[key] if key in self.laid else make(id_)

        return now

    @cached_property
    def histories(self) -> dict[int, Table]:
        """Stage histories by entity type; made when first asked for, as they are long."""
        return {2: children.stage_history(self.world, "deals"), 1: children.stage_history(self.world, "leads")}
