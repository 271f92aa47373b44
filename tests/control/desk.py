"""The configuration of an installation in tests: sources and triggers made by the services themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from b24lake.control import configuring, sources, triggers
from b24lake.control.audit import Actor
from b24lake.control.claims import Installation
from b24lake.control.config_file import load
from b24lake.control.configuring import Plan
from b24lake.control.database import Database
from b24lake.control.exporting import export
from b24lake.control.keys import open_keyring
from b24lake.control.models import Source
from b24lake.control.secrets import Keyring
from b24lake.control.sources import Wanted
from b24lake.portal.webhook import parse
from b24lake.sync.home import Home

NOBODY = "https://acme.bitrix24.com/rest/1/SECRETSECRET/"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass
class Desk:
    """Who configures which installation."""

    database: Database
    home: Home
    lake: Path
    actor: Actor = field(default_factory=lambda: Actor("ann", NOW))
    keyring: Keyring = field(init=False)

    def __post_init__(self) -> None:
        self.keyring = open_keyring(self.database, self.home, {})

    @property
    def here(self) -> Installation:
        return Installation(self.home, self.lake)

    def make(self, name: str, *streams: str, url: str = NOBODY, **settings: Any) -> str:
        """An active source; its tables have names of their own unless a prefix is given."""
        wanted = Wanted(name, parse(url), streams=streams or ("deals",), settings={"prefix": f"{name}_", **settings})
        with self.database.writing() as session:
            source = sources.create(session, self.keyring, self.here, self.actor, wanted)
            sources.activate(session, self.actor, source)
            return source.id

    def edit(self, name: str, *, streams: Mapping[str, Mapping[str, Any]] | None = None, **settings: Any) -> list[str]:
        return self.change(name, settings, streams)

    def change(
        self, name: str, settings: Mapping[str, Any], streams: Mapping[str, Mapping[str, Any]] | None = None
    ) -> list[str]:
        with self.database.writing() as session:
            return sources.edit(session, self.here, self.actor, sources.found(session, name), settings, streams=streams)

    def source(self, name: str) -> Source:
        with self.database.reading() as session:
            return sources.found(session, name)

    def trigger(self, source: str, spec: Mapping[str, Any], **more: Any) -> str:
        with self.database.writing() as session:
            return triggers.add(session, self.actor, sources.found(session, source), spec, **more).id

    def export(self) -> str:
        with self.database.reading() as session:
            return export(session, self.here)

    def diff(self, text: str, environ: Mapping[str, str] | None = None, **more: Any) -> list[str]:
        with self.database.reading() as session:
            entry = load(text, "lake.yaml")
            _, plan = configuring.compare(session, self.keyring, self.here, entry, environ=environ or {}, **more)
            return [str(change) for change in plan.changes]

    def apply(self, text: str, environ: Mapping[str, str] | None = None, **more: Any) -> Plan:
        with self.database.writing() as session:
            entry = load(text, "lake.yaml")
            return configuring.apply(session, self.keyring, self.here, self.actor, entry, environ=environ or {}, **more)
