"""What a program may say of how a portal is read, under the names that it has everywhere else."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

from b24lake.errors import UsageError
from b24lake.portal import webhook as webhooks
from b24lake.portal.webhook import Webhook
from b24lake.reading.home import Home
from b24lake.reading.settings import Settings
from b24lake.streams.definitions import ReaderName


class PortalSettings(TypedDict, total=False):
    """The keyword arguments of `Portal`, `streams`, `read`, `read_many` and `ranges`; all may be left out.

    deal_contacts         fill CONTACT_IDS of deals: all contacts of each (default False)
    deal_comments         offer the stream deal_comments (default False)
    deal_products         offer the stream deal_products (default False)
    operating_threshold   operating seconds above which a method rests (default 200; 0 = off)
    deal_categories       ids of the funnels whose deals are read (default: all)
    reader                "classic" or "universal": how deals, leads, contacts and companies are read
    portal_plan           "standard" or "enterprise": the portal's tariff, which sets its request limits
    overlap               how far before its last start an incremental read begins: a timedelta, or seconds (default
                          five minutes)
    calls_look_back       what the stream `calls` has instead of the overlap (default two days)
    concurrency           requests on their way at once (default 4)
    home                  b24lake's own directory (default B24LAKE_HOME, else ~/.b24lake): request budgets and locks are
                          shared with the other programs of this machine through it
    allow_http            accept plain http, for a portal inside your own network (default False)
    """

    deal_contacts: bool
    deal_comments: bool
    deal_products: bool
    operating_threshold: float
    deal_categories: Sequence[int]
    reader: ReaderName
    portal_plan: str
    overlap: timedelta | float
    calls_look_back: timedelta | float
    concurrency: int
    home: str | Path
    allow_http: bool


def settings_of(given: Mapping[str, Any]) -> Settings:
    """How to read, from keyword arguments. Raises UsageError for one that there is not, or that has no such value."""
    known = get_type_hints(PortalSettings)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
            fix = f"did you mean {' or '.join(near)}" if near else f"there are {', '.join(known)}"
            raise UsageError(f"There is no setting {name!r}", fix=fix)
    asked = {name: value for name, value in given.items() if name not in {"home", "allow_http"}}
    try:
        for name in ("overlap", "calls_look_back"):
            if name in asked and not isinstance(asked[name], timedelta):
                asked[name] = timedelta(seconds=float(asked[name]))
        if "deal_categories" in asked:
            asked["deal_categories"] = tuple(int(one) for one in asked["deal_categories"] or ())
        if "operating_threshold" in asked:
            asked["threshold"] = float(asked.pop("operating_threshold"))
        return Settings(**asked)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError("A setting has a value that it cannot have", why=str(error), fix="see its type") from None


def home_of(given: Mapping[str, Any]) -> Home:
    """The home directory."""
    path = given.get("home") or os.environ.get("B24LAKE_HOME") or "~/.b24lake"
    return Home(Path(path).expanduser())


def webhook_of(url: str | None, *, allow_http: bool) -> Webhook:
    """The webhook: the given one, else that of B24LAKE_WEBHOOK_URL. Raises UsageError where it is none."""
    found = url or os.environ.get("B24LAKE_WEBHOOK_URL")
    if not found:
        raise UsageError("No webhook URL was given", fix="pass it, or set B24LAKE_WEBHOOK_URL")
    return webhooks.parse(found, allow_http=allow_http)
