"""What random runs ask for, and what happens to them: thrown by dice."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from portal_changes import FUNNELS
from portal_reads import INCREMENTAL, Asked

SIZES: Mapping[str, Any] = {
    "deals": 130, "contacts": 90, "activities": 70, "spa_128": 70, "users": 25, "companies": 5, "leads": 5,
    "products": 8, "calls": 0, "deal_fields": 52, "threshold": 0, "operating_limit": 0,
    "operating": "zero",  # a rest lasts until the portal's clock has gone on, which it does not during a run
}  # fmt: skip
MANY = 1_200  # contacts: enough to be held on disk before they are committed, and for the guard of large tables
MILD: tuple[dict[str, Any], ...] = (
    {"kind": "bad_gateway", "next": 2}, {"kind": "too_many", "next": 1}, {"kind": "hang_up", "next": 1},
    {"kind": "truncated", "next": 1}, {"kind": "half", "next": 1}, {"kind": "not_json", "next": 1},
    {"kind": "empty_sections", "next": 1},
    {"kind": "missing_keys", "rate": 0.1, "next": 5}, {"kind": "internal_error", "rate": 0.1, "next": 3},
    {"kind": "operation_limit", "method": "crm.contact.list", "next": 1},
)  # fmt: skip
"""Faults that a run gets over."""
HARSH: tuple[dict[str, Any], ...] = (
    {"kind": "no_access", "method": "crm.contact.list"}, {"kind": "no_access", "method": "crm.deal.list"},
    {"kind": "no_access", "method": "crm.item.list"}, {"kind": "no_access", "method": "crm.timeline.comment.list"},
    {"kind": "no_access", "method": "crm.deal.fields"}, {"kind": "unauthorized"}, {"kind": "overload"},
)  # fmt: skip
"""Faults that it does not get over."""
LISTED = {"deals": "crm.deal.list", "contacts": "crm.contact.list", "spa_128": "crm.item.list"}  # these churn
OF_ONE_DEAL = {"crm.timeline.comment.list"}  # refused for some deals only, these have no comments
METHODS = (  # to let a fault happen in the middle of something
    "", "crm.contact.list", "crm.deal.list", "crm.timeline.comment.list", "crm.deal.productrows.get", "user.get",
)  # fmt: skip


@dataclass(frozen=True)
class Wishes:
    """How the tables are wanted, until somebody changes it."""

    asked: Asked = field(default_factory=Asked)
    deleted: str = "remove"
    overlap: timedelta = timedelta(minutes=5)
    whole: frozenset[str] = frozenset()  # streams that are read as FULL_TABLE

    def changed(self, dice: random.Random) -> Wishes:
        """The same but for one thing."""
        asked = self.asked
        stream = dice.choice(INCREMENTAL)
        return dice.choice(
            [
                replace(self, asked=replace(asked, contacts=not asked.contacts)),
                replace(self, asked=replace(asked, categories=_funnels(dice))),
                replace(self, asked=replace(asked, categories=_funnels(dice))),
                replace(self, asked=replace(asked, activities_by=dice.choice(["CREATED", "LAST_UPDATED"]))),
                replace(self, deleted=dice.choice(["remove", "mark", "keep"])),
                replace(self, deleted=dice.choice(["remove", "mark", "keep"])),
                replace(self, overlap=timedelta(minutes=dice.choice([0, 5, 60]))),
                replace(self, whole=self.whole ^ {stream}),
            ]
        )


def sizes(seed: int) -> dict[str, Any]:
    """The settings of a seed's portal: every third one has many contacts."""
    return {**SIZES, "seed": seed + 1, **({} if seed % 3 else {"contacts": MANY})}


def _funnels(dice: random.Random) -> tuple[int, ...]:
    return () if dice.random() < 0.4 else tuple(sorted(dice.sample(FUNNELS, dice.randint(1, 3))))


@dataclass(frozen=True)
class Wanted:
    """One run: what is read and how.

    end     what happens to its process; a fault happens to the portal, and with some of them the run may fail
    churn   rows that change while it reads
    """

    wishes: Wishes
    streams: tuple[str, ...]
    full: bool = False
    accept: bool = False
    end: str = ""
    fault: Mapping[str, Any] = field(default_factory=dict)
    fails: bool = False
    churn: tuple[Mapping[str, Any], ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """As `Options` has them."""
        asked, streams = self.wishes.asked, self.streams
        return {
            "full": self.full,
            "accept_deletions": self.accept,
            "deal_categories": asked.categories,
            "deal_contacts": asked.contacts,
            "deal_comments": True,
            "deal_products": True,
            "deleted": self.wishes.deleted,
            "overlap": self.wishes.overlap,
            "portal_plan": "enterprise",
            "sync_types": dict.fromkeys(sorted(self.wishes.whole.intersection(streams)), "FULL_TABLE"),
            "replication_keys": {"activities": asked.activities_by} if "activities" in streams else {},
        }

    def words(self, url: str) -> list[str]:
        """As the command line has them."""
        given = self.options
        words = ["sync", url, "--json", "--deal-comments", "--deal-products", "--portal-plan", "enterprise"]
        words += [word for stream in self.streams for word in ("-s", stream)]
        words += ["--deleted", given["deleted"], "--overlap", f"{int(given['overlap'].total_seconds())}s"]
        words += ["--full"] * self.full + ["--accept-deletions"] * self.accept
        words += ["--deal-contacts"] * given["deal_contacts"]
        words += ["--deal-categories", ",".join(map(str, given["deal_categories"]))] if given["deal_categories"] else []
        words += [word for name, kind in given["sync_types"].items() for word in ("--sync-type", f"{name}={kind}")]
        words += [w for name, key in given["replication_keys"].items() for w in ("--replication-key", f"{name}={key}")]
        return words

    def __str__(self) -> str:
        wishes, asked = self.wishes, self.wishes.asked
        parts = ["full run" if self.full else "run", f"of {' '.join(self.streams)};", f"deleted {wishes.deleted}"]
        parts += [f"funnels {asked.categories}"] * bool(asked.categories) + ["with contacts"] * asked.contacts
        parts += [f"by {asked.activities_by}"] * ("activities" in self.streams)
        parts += [f"FULL_TABLE {sorted(wishes.whole.intersection(self.streams))}"] * bool(wishes.whole)
        parts += [f"overlap {wishes.overlap}", "accepting deletions" if self.accept else ""]
        return " ".join([*parts, str(dict(self.fault)) if self.fault else "", self.end]).strip()


def thrown(dice: random.Random, wishes: Wishes, streams: tuple[str, ...]) -> Wanted:
    """The next run, of some of the streams."""
    some = tuple(sorted(dice.sample(streams, dice.randint(2, min(5, len(streams))))))
    wanted = Wanted(wishes, some, full=dice.random() < 0.2, accept=dice.random() < 0.3)
    number = dice.random()
    if number < 0.1:
        return replace(wanted, end=dice.choice(["killed", "killed", "canceled"]))
    if number < 0.2:
        fault = {**dice.choice(MILD), "after": dice.randint(0, 5)}
        method = {"method": dice.choice(METHODS)} if fault["kind"] in {"internal_error", "missing_keys"} else {}
        return replace(wanted, fault={**fault, **method})
    if number < 0.24:
        fault = dice.choice(HARSH)
        later = {} if fault.get("method") in OF_ONE_DEAL else {"after": dice.randint(0, 3)}
        return replace(wanted, fault={**fault, **later}, fails=True)
    return replace(wanted, churn=(_churn(dice), _churn(dice))) if number < 0.32 else wanted


def _churn(dice: random.Random) -> dict[str, Any]:
    do, table = dice.choice(["create", "change", "change", "delete"]), dice.choice(list(LISTED))
    method = {"method": LISTED[table]} if dice.random() < 0.7 else {}
    when = {"unit": "page", "after": dice.randint(1, 6), "every": dice.choice([0, 1]), "times": 3}
    return {"do": do, "table": table, "count": dice.randint(1, 3), **when, **method}
