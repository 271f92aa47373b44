"""How a portal is read, whatever becomes of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from b24lake.errors import UsageError
from b24lake.portal.limits import PLANS, Plan
from b24lake.streams.definitions import ReaderName
from b24lake.streams.readers import READERS


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Settings of a read, with their defaults.

    threshold          operating seconds above which a method rests; 0 = off
    overlap            how far before its last start an incremental read begins
    concurrency        requests on their way at once
    deal_contacts      fill CONTACT_IDS of deals; deal_comments, deal_products offer these streams
    deal_categories    funnels whose deals are read, by id; () = all
    calls_look_back    what `calls` have instead of the overlap: their rows change later
    reader             which way deals, leads, contacts and companies are read
    """

    threshold: float = 200.0
    overlap: timedelta = timedelta(minutes=5)
    concurrency: int = 4
    portal_plan: str = "standard"
    deal_contacts: bool = False
    deal_comments: bool = False
    deal_products: bool = False
    deal_categories: tuple[int, ...] = ()
    calls_look_back: timedelta = timedelta(days=2)
    reader: ReaderName = "classic"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        require(self.threshold >= 0, "The operating threshold is negative", "give seconds, or 0 to switch it off")
        require(1 <= self.concurrency <= 32, "The concurrency is out of range", "give 1 to 32 requests")
        require(self.overlap >= timedelta(0), "The overlap is negative", "give a duration such as 5m")
        require(self.calls_look_back >= timedelta(0), "The look-back of calls is negative", "give one such as 2d")
        require(
            self.portal_plan in PLANS, f"There is no portal plan {self.portal_plan!r}", f"choose {' or '.join(PLANS)}"
        )
        require(self.reader in READERS, f"There is no reader {self.reader!r}", f"choose {' or '.join(READERS)}")

    @property
    def plan(self) -> Plan:
        """The request limits of the portal's tariff."""
        return PLANS[self.portal_plan]

    @property
    def switched_on(self) -> frozenset[str]:
        """The settings that are on, of those that offer a stream."""
        return frozenset(name for name in ("deal_comments", "deal_products") if getattr(self, name))

    def overlap_of(self, stream: str) -> timedelta:
        """How far before its last start an incremental read of this stream begins."""
        return self.calls_look_back if stream == "calls" else self.overlap


def require(holds: bool, what: str, fix: str) -> None:
    """Raises UsageError where a setting is wrong."""
    if not holds:
        raise UsageError(what, fix=fix)
