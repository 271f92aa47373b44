"""How long a command takes on the portal, and how many rows it brings.

No such figures are documented. Reported for a page of 50 rows of 100,000 contacts: 0.5 to 2 s uncounted, 3.2 s with a
count; the vendor's own page on large lists names 0.1 s uncounted against 50 s.
"""

from typing import Any

from b24lake.sandbox.params import Params, get
from b24lake.sandbox.replies import Reply, Rows
from b24lake.sandbox.settings import Settings


def rows_of(reply: Reply) -> int | None:
    """Rows on a page; None where the answer is not a page of a list."""
    result: Any = reply.result
    if isinstance(result, Rows):
        return len(result.rendered)
    return reply.rows if reply.rows is not None else reply.total


def counted(params: Params, reply: Reply) -> bool:
    """Whether the portal had to count all rows for this page."""
    paged = isinstance(reply.result, Rows) or reply.rows is not None  # other lists come all at once
    return paged and reply.total is not None and str(get(params, "start")) != "-1"


def seconds(settings: Settings, method: str, params: Params, reply: Reply) -> float:
    """Service time of one command in portal seconds."""
    if not settings.timed:
        return 0.0
    if rows_of(reply) is None:
        taken = settings.command_ms
    else:
        more = settings.page_ms if settings.count_ms is None else settings.count_ms
        taken = settings.page_ms + (more if counted(params, reply) else 0.0)
    return taken / 1000 * settings.factors.get(method, 1.0)
