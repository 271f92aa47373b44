"""Faults that can be switched on and off while the portal runs, each by a schedule; the seed decides, not the time."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from b24lake.sandbox.data.chance import generator, hasher

# What a fault's schedule counts: HTTP requests, good answers, batches, commands (a single call is one), pages of rows.
# Those that stand are simply there from when they are switched on.
COUNTED_BY = {
    "bad_gateway": "request",  # a proxy's 502 page
    "gateway_timeout": "request",  # a proxy's 504 page; with `commands`, for batches of more commands only
    "hang_up": "request",  # the connection is closed without an answer
    "too_many": "request",  # 503 QUERY_LIMIT_EXCEEDED whatever the bucket says
    "overload": "request",  # 503 OVERLOAD_LIMIT
    "unauthorized": "request",  # 401 NO_AUTH_FOUND
    "truncated": "answer",  # the connection is closed in the middle of the body
    "half": "answer",  # half of the body, as if it were the whole
    "not_json": "answer",  # an HTML page under 200
    "empty_sections": "batch",  # all sections of a batch are empty
    "missing_keys": "command",  # a command of a batch is in no section
    "internal_error": "command",  # 500 INTERNAL_SERVER_ERROR
    "no_access": "command",  # 400 ACCESS_DENIED: the webhook's owner may not
    "empty_result": "command",  # `[]`, whatever it should have been
    "operation_limit": "command",  # 429 OPERATION_TIME_LIMIT; method "batch": whole batches
    "ignores_id": "command",  # `>ID` and `>=ID` in a filter have no effect
    "ignores_order": "command",  # whatever is asked for, the newest come first
    "ignores_date": "command",  # conditions on dates have no effect
    "ignores_date_offset": "command",  # the same, but `Y-m-d H:i:s` without an offset works
    "unknown_filter": "command",  # `field` is unknown to filters: classic lists ignore it, strict ones refuse it
    "no_operating": "request",  # `time` without operating and operating_reset_at
    "short_pages": "page",  # a page lacks its last `rows` rows
    "hidden_rows": "standing",  # `rate` of the rows, always the same ones, are taken out of pages already cut
    "other_program": "standing",  # another program at this address sends `per_second` requests
    "clock_off": "standing",  # the clock the portal shows is `skew` seconds ahead
}
NEEDS = {"hidden_rows": "rate", "other_program": "per_second", "unknown_filter": "field"}
ONLY = {  # option -> the kinds that understand it
    "commands": {kind for kind, counted in COUNTED_BY.items() if counted == "request"} - {"no_operating"},
    "field": {"unknown_filter", "ignores_date", "ignores_date_offset"},
    "rows": {"short_pages"},
    "per_second": {"other_program"},
    "skew": {"clock_off"},
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault and when it happens: whenever all given conditions hold; without any, always.

    commands   only for batches of more commands than this
    method     only for this method, lower-case; for what counts requests, `batch` is a method
    after      not for the first so many
    every      for every so-many-th after these
    rate       for this share of them, 0 to 1, thrown by the seed
    next       so many times in all
    seconds    for so many portal seconds, from the first time
    """

    kind: str
    method: str = ""
    after: int = 0
    every: int = 0
    rate: float = 0.0
    next: int = 0
    seconds: float = 0.0
    commands: int = 0
    field: str = ""
    rows: int = 1
    per_second: float = 0.0
    skew: float = 3600.0

    def __post_init__(self) -> None:
        """Refuse what cannot happen."""
        if self.kind not in COUNTED_BY:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(COUNTED_BY)}")
        if not 0 <= self.rate <= 1:
            raise ValueError("rate is a share between 0 and 1")
        for name in ("after", "every", "next", "seconds", "commands", "rows", "per_second"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name, kinds in ONLY.items():
            if name in self.told() and self.kind not in kinds:
                raise ValueError(f"{self.kind} does not know {name}")
        needed = NEEDS.get(self.kind)
        if needed and not getattr(self, needed):
            raise ValueError(f"{self.kind} needs {needed}")

    def told(self) -> dict[str, Any]:
        """What was asked for, without what is as usual."""
        usual = {each.name: each.default for each in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


@dataclass
class _On:
    """A fault that is switched on: what it has seen, how often it happened, and when first."""

    fault: Fault
    seen: int = 0
    happened: int = 0
    began: float | None = None


@dataclass
class Faults:
    """The faults switched on; `fired` counts how often each kind happened."""

    seed: int
    now: Callable[[], float]
    fired: Counter[str] = field(default_factory=Counter)
    _on: dict[str, list[_On]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._on)

    def on(self, fault: Fault) -> None:
        """Switch a fault on, in place of one of the same kind and method."""
        self.off(fault.kind, fault.method)
        began = self.now() if COUNTED_BY[fault.kind] == "standing" else None
        self._on.setdefault(fault.kind, []).append(_On(fault, began=began))

    def off(self, kind: str = "", method: str | None = None) -> None:
        """Switch off one kind, or all; with `method`, only the one for this method."""
        if kind and kind not in COUNTED_BY:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(COUNTED_BY)}")
        kept = {
            name: [each for each in several if method is not None and each.fault.method != method]
            if kind in ("", name)
            else several
            for name, several in self._on.items()
        }
        self._on = {name: several for name, several in kept.items() if several}

    def all(self) -> list[Fault]:
        """Those switched on."""
        return [each.fault for several in self._on.values() for each in several]

    def fires(self, kind: str, method: str, commands: int = 1) -> Fault | None:
        """Whether a fault happens to this one (request, command, page); each call counts it."""
        for each in self._on.get(kind, ()):
            fault = each.fault
            long = not fault.commands or commands > fault.commands
            if fault.method in ("", method) and long and self._due(each):
                self.fired[kind] += 1
                return fault
        return None

    def standing(self, kind: str) -> Fault | None:
        """A fault that is simply there, while it lasts."""
        for each in self._on.get(kind, ()):
            if not _over(each, self.now()):
                return each.fault
        return None

    def hides(self, id_: int) -> bool:
        """Whether `hidden_rows` takes out rows with this id."""
        fault = self.standing("hidden_rows")
        return fault is not None and hasher(self.seed, "hidden rows")(id_) / 2**64 < fault.rate

    def _due(self, on: _On) -> bool:
        fault = on.fault
        on.seen += 1
        number = on.seen - fault.after
        thrown = not fault.rate or generator(self.seed, f"{fault.kind} {fault.method} {number}").random() < fault.rate
        due = (
            number > 0
            and (not fault.every or number % fault.every == 0)
            and (not fault.next or on.happened < fault.next)
            and not _over(on, self.now())
            and thrown
        )
        if due:
            on.happened += 1
            on.began = self.now() if on.began is None else on.began
        return due


def _over(on: _On, now: float) -> bool:
    return bool(on.fault.seconds) and on.began is not None and now >= on.began + on.fault.seconds
