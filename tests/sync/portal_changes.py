"""What happens at a portal between two runs, thrown by dice: each change says in a few words what it was."""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from b24lake.sandbox import Portal

KINDS = (
    ("string", False), ("integer", False), ("double", False), ("boolean", False), ("date", False), ("datetime", False),
    ("enumeration", False), ("string", True), ("integer", True), ("employee", True),
)  # fmt: skip
TABLES = {
    "deals": "TITLE", "contacts": "NAME", "activities": "SUBJECT", "spa_128": "TITLE", "users": "WORK_POSITION"
}  # fmt: skip
CODES = {  # custom fields that come and go; some of them differ only in case
    "deals": ("UF_CRM_100", "UF_CRM_200", "UF_CRM_Twin", "UF_CRM_TWIN", "UF_CRM_twin"),
    "contacts": ("UF_CRM_300", "UF_CRM_Other", "UF_CRM_OTHER"),
    "spa_128": ("UF_CRM_4_400", "UF_CRM_4_500"),
}
FUNNELS = (0, 1, 3, 5, 8)


@dataclass
class Changes:
    """Changes of a portal; `clock` holds the portal's unix seconds, `gone` the rows that were deleted."""

    portal: Portal
    clock: list[float]
    dice: random.Random
    gone: dict[str, list[int]] = field(default_factory=dict)
    count: int = 0

    def some(self) -> str:
        """One change."""
        kinds = list(CHANGES)
        return self.dice.choices(kinds, [CHANGES[kind] for kind in kinds])[0](self)

    def pick(self, table: str, most: int = 6) -> list[int]:
        """A few rows that there are."""
        ids = [id_ for id_ in self.portal.tables[table].ids if (table, id_) != ("users", 1)]  # the webhook is theirs
        return sorted(self.dice.sample(ids, min(len(ids), self.dice.randint(1, most))))

    def text(self) -> str:
        """A value that no row has yet."""
        self.count += 1
        return f"text {self.count}"

    # --- rows

    def create(self) -> str:
        table = self.dice.choice(list(TABLES))
        ids = [self.portal.create(table, {TABLES[table]: self.text()}) for _ in range(self.dice.randint(1, 4))]
        return f"created {table} {ids}"

    def change(self) -> str:
        table = self.dice.choice(list(TABLES))
        ids = self.pick(table)
        for id_ in ids:
            self.portal.change(table, id_, {TABLES[table]: self.text()})
        return f"changed {table} {ids}"

    def fill(self) -> str:
        """A value of a custom field."""
        table = self.dice.choice(list(CODES))
        columns = self.portal.tables[table].columns
        names = [name for name in CODES[table] if name in columns and columns[name].type == "string"]
        names = [name for name in names if not columns[name].multiple]
        if not names:
            return self.change()
        name, ids = self.dice.choice(names), self.pick(table)
        for id_ in ids:
            self.portal.change(table, id_, {name: self.dice.choice(["", None, self.text()])})
        return f"filled {name} of {table} {ids}"

    def touch(self) -> str:
        """A modification date moves and nothing else."""
        table = self.dice.choice(["deals", "contacts", "spa_128"])
        ids = self.pick(table, 12)
        for id_ in ids:
            self.portal.change(table, id_, {})
        return f"touched {table} {ids}"

    def move(self) -> str:
        """Deals go to another funnel."""
        funnel, ids = self.dice.choice(FUNNELS), self.pick("deals")
        for id_ in ids:
            self.portal.change("deals", id_, {"CATEGORY_ID": str(funnel)})
        return f"moved deals {ids} to funnel {funnel}"

    def delete(self) -> str:
        table = self.dice.choice(list(TABLES))
        return self._delete(table, self.pick(table))

    def delete_many(self) -> str:
        """More than a full read believes at once, now and then."""
        table = self.dice.choice(["deals", "contacts", "activities", "spa_128"])
        ids = list(self.portal.tables[table].ids)
        share = self.dice.choice([0.3, 0.6, 0.9, 1.0])
        return self._delete(table, sorted(self.dice.sample(ids, int(len(ids) * share))))

    def _delete(self, table: str, ids: list[int]) -> str:
        for id_ in ids:
            self.portal.delete(table, id_)
        self.gone.setdefault(table, []).extend(ids)
        return f"deleted {len(ids)} {table} {ids[:12]}"

    def restore(self) -> str:
        """Deleted rows are back under their ids, with a new modification date or without."""
        found = [table for table, ids in self.gone.items() if ids]
        if not found:
            return self.create()
        name = self.dice.choice(found)
        table, ids = self.portal.tables[name], self.gone[name]
        count, silent = self.dice.choice([1, 3, len(ids)]), self.dice.random() < 0.4
        back, self.gone[name] = ids[:count], ids[count:]
        for id_ in back:
            insort(table.ids, id_)
            table.journal.append(id_)
            if not silent:
                self.portal.change(name, id_, {})
        return f"restored{' silently' if silent else ''} {len(back)} {name} {back[:12]}"

    # --- what hangs on deals, logs, directories

    def lay(self) -> str:
        """Comments, product rows or contacts of deals."""
        kind, quiet = self.dice.choice(["comments", "product_rows", "contacts"]), self.dice.random() < 0.15
        ids = self.pick("deals", 4)
        for id_ in ids:
            self.portal.lay(kind, "deals", id_, getattr(self, f"_{kind}")(id_), quiet=quiet)
        return f"laid {kind} of deals {ids}{' quietly' if quiet else ''}"

    def _comments(self, deal: int) -> list[dict[str, Any]]:
        numbers = sorted(self.dice.sample(range(60), self.dice.choice([0, 1, 2, 5, 55])))
        created = self.portal.world.show(self.portal.world.begin)
        common = {"ENTITY_ID": str(deal), "ENTITY_TYPE": "deal", "CREATED": created, "AUTHOR_ID": "1"}
        said = self.dice.choice(["same", self.text()])
        return [{"ID": str(deal * 64 + number), **common, "COMMENT": f"{said} {number}"} for number in numbers]

    def _product_rows(self, deal: int) -> list[dict[str, Any]]:
        rows = self.portal.tables.product_rows("D")(deal)
        return [] if self.dice.random() < 0.3 else [{**row, "quantity": self.dice.randint(1, 9)} for row in rows[:3]]

    def _contacts(self, _deal: int) -> list[int]:
        return self.dice.sample(range(2, 60), self.dice.choice([0, 1, 2, 4]))

    def log(self) -> str:
        """Stages that deals come to."""
        history = self.portal.tables.histories[2]
        rows = [
            {"OWNER_ID": "7", "CATEGORY_ID": str(self.dice.choice(FUNNELS))} for _ in range(self.dice.randint(1, 5))
        ]
        made = [history.create(row, self.portal.world.show(int(self.clock[0]))) for row in rows]
        return f"stage history grew by {made}"

    def status(self) -> str:
        """A directory's entry gets another name, or goes."""
        statuses = self.portal.tables.statuses
        place = self.dice.randrange(len(statuses))
        if self.dice.random() < 0.3:
            return f"status {statuses.pop(place)['ID']} went"
        statuses[place] = {**statuses[place], "NAME": self.text()}
        return f"status {statuses[place]['ID']} renamed"

    # --- fields

    def set_field(self) -> str:
        """A custom field comes, or has another type."""
        table = self.dice.choice(list(CODES))
        name, (kind, many) = self.dice.choice(CODES[table]), self.dice.choice(KINDS)
        self.portal.set_field(table, name, kind, multiple=many)
        return f"field {name} of {table} is {kind}{'[]' if many else ''}"

    def drop_field(self) -> str:
        """A custom field goes, and may be made again at once as something else."""
        table = self.dice.choice(list(CODES))
        names = [name for name in CODES[table] if name in self.portal.tables[table].columns]
        if not names:
            return self.set_field()
        name = self.dice.choice(names)
        self.portal.drop_field(table, name)
        if self.dice.random() < 0.3:
            kind, many = self.dice.choice(KINDS)
            self.portal.set_field(table, name, kind, multiple=many)
            return f"field {name} of {table} made again as {kind}{'[]' if many else ''}"
        return f"field {name} of {table} dropped"

    def options(self) -> str:
        """An enumeration of deals gets one more choice."""
        labels = [f"choice {number}" for number in range(self.dice.randint(2, 9))]
        self.portal.set_field("deals", "UF_CRM_900", "enumeration", options=labels)
        return f"UF_CRM_900 of deals has {len(labels)} choices"

    def wait(self) -> str:
        """Time passes at the portal."""
        seconds = self.dice.choice([0, 1, 30, 290, 301, 3600, 90_000])
        self.clock[0] += seconds
        return f"{seconds} seconds later"


CHANGES: dict[Callable[[Changes], str], float] = {
    Changes.create: 3, Changes.change: 6, Changes.fill: 2, Changes.touch: 2, Changes.move: 2, Changes.delete: 3,
    Changes.delete_many: 0.4, Changes.restore: 1.5, Changes.lay: 4, Changes.log: 1.5, Changes.status: 1,
    Changes.set_field: 2, Changes.drop_field: 1.5, Changes.options: 0.5, Changes.wait: 5,
}  # fmt: skip
