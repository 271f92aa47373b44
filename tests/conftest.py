"""What all tests share: sandbox portals over HTTP, runs into a lake, and the command line as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from b24lake.portal.webhook import parse
from b24lake.sandbox import Portal, Server, Settings
from b24lake.sync.home import Home
from b24lake.sync.options import Options
from b24lake.sync.report import RunReport
from b24lake.sync.run import sync

SMALL = {"deals": 260, "contacts": 120, "companies": 60, "leads": 110, "activities": 170, "products": 70, "users": 60}


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start sandbox portals; the bucket is off unless a test asks for it."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Server:
            portal = Portal(Settings(**{**SMALL, "threshold": 0, **settings}))
            return stack.enter_context(Server(portal))

        yield start


@dataclass(frozen=True)
class Lake:
    """A lake and a home of one test."""

    path: Path
    home: Path

    def sync(self, url: str, *streams: str, **options: Any) -> RunReport:
        return sync(parse(url), Options(lake=self.path, streams=streams, **options), Home(self.home))

    def table(self, stream: str) -> str:
        return str(self.path / "raw" / f"bitrix24_{stream}")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", tmp_path / "home")


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


@pytest.fixture
def b24lake(lake: Lake) -> Callable[..., Ran]:
    """Run the command line as a process of its own, with the test's home and lake."""

    def run(*words: str, env: dict[str, str] | None = None) -> Ran:
        done = subprocess.run(command(*words), capture_output=True, text=True, env=environment(lake, env), timeout=120)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "b24lake", *words]


def environment(lake: Lake, more: dict[str, str] | None = None) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("B24LAKE_")}
    return {**clean, "B24LAKE_HOME": str(lake.home), "B24LAKE_LAKE": str(lake.path), "COLUMNS": "160", **(more or {})}
