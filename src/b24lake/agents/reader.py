"""Who asks, and what they may read: the same for a client on this machine and for the bearer of a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from b24lake.agents.service import Service
from b24lake.lake.index import Index
from b24lake.lake.reach import Reach


@dataclass(frozen=True)
class Reader:
    """Somebody who asks.

    index     the tables of the lake
    reach     those that they may read
    service   the sources and runs that they may see; called when they are asked for
    """

    index: Index
    reach: Reach
    service: Callable[[], Service]
