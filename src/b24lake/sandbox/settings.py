"""The options of a sandbox portal: one frozen object, checked when it is made."""

from dataclasses import dataclass, field, fields

ALL_SCOPES = (
    "catalog",
    "crm",
    "department",
    "imopenlines",
    "telephony",
    "user",
    "user.userfield",
    "userfieldconfig",
)

# Sizes that follow from the number of deals when they are not given: a company has fewer clients than deals.
RATIOS = {
    "leads": 0.5,
    "contacts": 0.6,
    "companies": 0.2,
    "activities": 1.5,
    "calls": 0.3,
    "spa_128": 0.1,
    "spa_156": 0.05,
}
PRODUCTS_RATIO, PRODUCTS_MIN, PRODUCTS_MAX = 0.02, 20, 5000
OPERATING = ("present", "zero", "absent")
BILLING = ("method", "batch")
GAUGES = ("all", "first")
RESETS = ("unix", "iso")
MIN_DEAL_FIELDS = 50

# What can be set anew while the portal runs.
LIVE = {
    "threshold", "drain", "operating", "operating_limit", "operating_floor", "billing", "gauges", "resets",
    "page_ms", "count_ms", "command_ms", "factors", "round_trip_ms", "request_seconds", "book", "acceleration",
    "count_minus_one", "gzip", "admin", "scopes", "missing_methods", "forbidden_types", "original_names",
}  # fmt: skip

ONE_OF = {"operating": OPERATING, "billing": BILLING, "gauges": GAUGES, "resets": RESETS}
NOT_NEGATIVE = (
    "threshold", "drain", "operating_limit", "operating_floor", "page_ms", "command_ms", "round_trip_ms",
    "request_seconds",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All options of a sandbox portal. Wrong values raise ValueError with the option's name.

    deals ... departments   how many rows; None = a sensible share of `deals`
    deal_fields             columns of a full deal row; what standard fields leave is filled with custom fields
    id_start, id_gap        first id, and how sparse ids are: 1.3 leaves about one id in four unused
    epoch                   unix seconds; every generated date lies in the four years before it (default 2026-01-01 UTC)
    server_offset           minutes east of UTC in which the portal prints dates
    threshold, drain        leaky bucket per source address: requests, requests per second; threshold 0 = no limit
    operating               `time.operating` in answers: "present" with its reset time, "zero" without, or "absent"
    operating_limit         seconds of work per method in ten minutes before it is blocked; 0 = never
    operating_window        those ten minutes, in seconds; shorter ones let a method rest in a fraction of the time
    operating_floor         seconds: what takes less is not booked
    billing                 what a batch's work is booked on: "method" = each command's, "batch" = all on `batch`
    gauges                  which commands of a batch show it: "all", or of each method the "first" only, the others 0
    resets                  `operating_reset_at` as "unix" seconds or "iso" text
    page_ms, count_ms       service time in milliseconds: a page of a list, and what counting all rows adds to it (None
                            = as much again); 0 = none is modelled
    command_ms, factors     any other command, and what to multiply the time of single methods (lower-case) by
    round_trip_ms           the way there and back of each HTTP request, in milliseconds
    request_seconds         how long one request may take before a proxy cuts it with 504; 0 = as long as it likes
    book                    whether service time is only booked (in `time` and the counters) and nothing is waited for
    acceleration            portal seconds that pass in a real second; the portal waits that much shorter
    count_minus_one         whether `start=-1` answers carry `total: 0`; False leaves the key out
    gzip                    whether to honour Accept-Encoding: gzip
    more_types              smart processes without records, beside the three that are always there
    missing_methods         methods (lower-case) that this edition of the portal does not have
    forbidden_types         entityTypeIds of the smart processes that the webhook's owner may not read
    paged_statuses          whether crm.status.list comes in pages of 50: no page of the docs says that it does not
    original_names          whether crm.item.* knows useOriginalUfNames, as portals do since CRM 25.0.0
    """

    deals: int = 1000
    leads: int | None = None
    contacts: int | None = None
    companies: int | None = None
    activities: int | None = None
    products: int | None = None
    calls: int | None = None
    spa_128: int | None = None
    spa_156: int | None = None
    spa_1032: int = 0
    more_types: int = 0
    users: int = 40
    departments: int = 12
    open_lines: int = 3
    deal_fields: int = 100
    seed: int = 1
    id_start: int = 2
    id_gap: float = 1.3
    epoch: int = 1767225600
    server_offset: int = 180
    user_id: int = 1
    code: str = "sandboxcode1234ab"
    admin: bool = True
    scopes: tuple[str, ...] = ALL_SCOPES
    threshold: int = 50
    drain: float = 2.0
    operating: str = "present"
    operating_limit: float = 480.0
    operating_window: int = 600
    operating_floor: float = 0.1
    billing: str = "method"
    gauges: str = "all"
    resets: str = "unix"
    page_ms: float = 0.0
    count_ms: float | None = None
    command_ms: float = 0.0
    factors: dict[str, float] = field(default_factory=dict, hash=False)
    round_trip_ms: float = 0.0
    request_seconds: float = 60.0
    book: bool = False
    acceleration: float = 1.0
    count_minus_one: bool = True
    gzip: bool = False
    missing_methods: tuple[str, ...] = ()
    forbidden_types: tuple[int, ...] = ()
    original_names: bool = True
    paged_statuses: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be served, and fill in the derived sizes."""
        for name, ratio in RATIOS.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, round(self.deals * ratio))
        if self.products is None:
            share = round(self.deals * PRODUCTS_RATIO)
            object.__setattr__(self, "products", min(max(share, PRODUCTS_MIN), PRODUCTS_MAX))
        for problem in _problems(self):
            raise ValueError(problem)

    @property
    def timed(self) -> bool:
        """Whether service time is modelled."""
        return bool(self.page_ms or self.count_ms or self.command_ms)

    def size(self, table: str) -> int:
        """Rows of `table` at the start; 0 for a table that has no option of its own."""
        return int(getattr(self, table, 0))


def _problems(settings: Settings) -> list[str]:
    """Everything wrong with `settings`, in sentences."""
    sizes = [f.name for f in fields(settings) if f.name in {*RATIOS, "deals", "products", "spa_1032", "open_lines"}]
    checks = [(getattr(settings, name) >= 0, f"{name} must not be negative") for name in sizes]
    checks += [(getattr(settings, name) >= 0, f"{name} must not be negative") for name in NOT_NEGATIVE]
    checks += [
        (getattr(settings, name) in known, f"{name} must be one of {', '.join(known)}")
        for name, known in ONE_OF.items()
    ]
    checks += [
        (settings.more_types >= 0, "more_types must not be negative"),
        (settings.users >= 1, "users must be at least 1: the webhook belongs to one"),
        (settings.departments >= 1, "departments must be at least 1"),
        (settings.deal_fields >= MIN_DEAL_FIELDS, f"deal_fields must be at least {MIN_DEAL_FIELDS}, the standard ones"),
        (settings.id_start >= 1, "id_start must be at least 1"),
        (settings.id_gap >= 1, "id_gap must be at least 1.0"),
        (abs(settings.server_offset) <= 14 * 60, "server_offset is in minutes, at most 14 hours either way"),
        (settings.user_id >= 1, "user_id must be at least 1"),
        (settings.code.isalnum(), "code must be letters and digits"),
        (settings.count_ms is None or settings.count_ms >= 0, "count_ms must not be negative"),
        (min(settings.factors.values(), default=0) >= 0, "factors must not be negative"),
        (settings.operating_window >= 10, "operating_window must be at least 10 seconds, one for each of its parts"),
        (settings.acceleration > 0, "acceleration must be above 0"),
    ]
    return [text for fine, text in checks if not fine]
