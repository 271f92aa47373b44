"""Runs into a lake of a test's own, and the command line as a process."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from b24lake.lake.place import Place
from b24lake.portal.webhook import parse
from b24lake.sync.home import Home
from b24lake.sync.options import Options
from b24lake.sync.report import RunReport
from b24lake.sync.run import sync
from forge import forge

SMALL = {"deals": 260, "contacts": 120, "companies": 60, "leads": 110, "activities": 170, "products": 70, "users": 60}
"""Rows of the sandbox portals of most tests."""


@dataclass(frozen=True)
class Lake:
    """A lake and a home of one test."""

    path: Place
    home: Path

    def sync(self, url: str, *streams: str, **options: Any) -> RunReport:
        return sync(parse(url), Options(lake=self.path, streams=streams, **options), Home(self.home))

    def table(self, stream: str) -> str:
        return str(self.path / "raw" / f"bitrix24_{stream}")


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def said(self) -> str:
        return self.out + self.err


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "b24lake", *words]


def run(lake: Lake, *words: str, env: dict[str, str] | None = None, seconds: float = 120) -> Ran:
    """Run a command with a test's home and lake, in a process of its own."""
    return Ran(*forge().run(words, environment(lake, env), seconds))


def environment(lake: Lake, more: dict[str, str] | None = None) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("B24LAKE_")}
    return {**clean, "B24LAKE_HOME": str(lake.home), "B24LAKE_LAKE": str(lake.path), "COLUMNS": "160", **(more or {})}
