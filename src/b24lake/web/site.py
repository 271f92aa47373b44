"""What the web app works on: one installation, as every page and every call of the API is given it."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from threading import BoundedSemaphore

from b24lake.control.claims import Installation
from b24lake.control.database import Database
from b24lake.control.moments import Clock
from b24lake.control.secrets import Keyring
from b24lake.lake.index import Index
from b24lake.web.jobs import Jobs

QUERIES = 3


@dataclass(frozen=True)
class Site:
    """An installation and how it may be used.

    here      its home directory and lake
    random    bytes nobody can foretell, as `secrets.token_bytes`
    hosts     names it may be called by beside those of the loopback; "*" = any
    login     whether people log in; without it whoever reaches the loopback is a manager
    who       what the audit trail calls people without login
    private   whether webhooks may lead to private networks and use plain http
    jobs      what is done in the background for pages
    queries   turns for SQL: so many at once
    """

    database: Database
    keyring: Keyring
    here: Installation
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    hosts: frozenset[str] = frozenset()
    login: bool = False
    who: str = ""
    private: bool = False
    jobs: Jobs = field(default_factory=Jobs, repr=False)
    queries: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(QUERIES), repr=False)

    @property
    def own(self) -> bool:
        """Whether webhooks may lead to this machine itself: where nobody logs in, whoever asks is on it."""
        return not self.login

    @cached_property
    def index(self) -> Index:
        """The tables of the installation's lake."""
        return Index(self.here.lake)

    @cached_property
    def secret(self) -> bytes:
        """What signs cookies and forms: made of the installation's key, so that it is the same after a restart."""
        return hmac.digest(self.keyring.key.encode(), b"b24lake web sessions", "sha256")
