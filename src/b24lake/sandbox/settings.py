"""The options of a sandbox portal: one frozen object, checked when it is made."""

from dataclasses import dataclass, fields

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
MIN_DEAL_FIELDS = 50


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
    count_minus_one         whether `start=-1` answers carry `total: 0`; False leaves the key out
    gzip                    whether to honour Accept-Encoding: gzip
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
    count_minus_one: bool = True
    gzip: bool = False

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

    def size(self, table: str) -> int:
        """Rows of `table` at the start; 0 for a table that has no option of its own."""
        return int(getattr(self, table, 0))


def _problems(settings: Settings) -> list[str]:
    """Everything wrong with `settings`, in sentences."""
    sizes = [f.name for f in fields(settings) if f.name in {*RATIOS, "deals", "products", "spa_1032", "open_lines"}]
    checks = [(getattr(settings, name) >= 0, f"{name} must not be negative") for name in sizes]
    checks += [
        (settings.users >= 1, "users must be at least 1: the webhook belongs to one"),
        (settings.departments >= 1, "departments must be at least 1"),
        (settings.deal_fields >= MIN_DEAL_FIELDS, f"deal_fields must be at least {MIN_DEAL_FIELDS}, the standard ones"),
        (settings.id_start >= 1, "id_start must be at least 1"),
        (settings.id_gap >= 1, "id_gap must be at least 1.0"),
        (abs(settings.server_offset) <= 14 * 60, "server_offset is in minutes, at most 14 hours either way"),
        (settings.user_id >= 1, "user_id must be at least 1"),
        (settings.code.isalnum(), "code must be letters and digits"),
        (settings.threshold >= 0 and settings.drain >= 0, "threshold and drain must not be negative"),
        (settings.operating in OPERATING, f"operating must be one of {', '.join(OPERATING)}"),
    ]
    return [text for fine, text in checks if not fine]
