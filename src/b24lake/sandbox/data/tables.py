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
        self.comments = {code: children.comments(world, name, code) for name, (_, code) in OWNER_CODES.items()}
        self.contacts = {
            name: contacts_of(world, name) for name in ("deals", "leads", "spa_128", "spa_156", "spa_1032")
        }

    def __getitem__(self, name: str) -> Table:
        if name not in self.named:
            raise ValueError(f"no table {name!r}; there are {', '.join(self.named)}")
        return self.named[name]

    def product_rows(self, code: str) -> Callable[[int], list[Row]]:
        """A function id -> product rows of the owner with this short code; none where it does not exist."""
        names = {short: name for name, (short, _) in OWNER_CODES.items() if name in WITH_PRODUCTS}
        if code not in names:
            return lambda _: []
        make, owners = children.product_rows(self.world, names[code], code), self.named[names[code]]
        return lambda id_: make(id_) if id_ in owners else []

    @cached_property
    def histories(self) -> dict[int, Table]:
        """Stage histories by entity type; made when first asked for, as they are long."""
        return {2: children.stage_history(self.world, "deals"), 1: children.stage_history(self.world, "leads")}
