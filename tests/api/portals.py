"""What the tests of the Python API share: a portal as a program has it, and what the sandbox was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from b24lake.api import Portal
from b24lake.sandbox import Server, dispatch

Open = Callable[..., Portal]
Rows = dict[Any, dict[str, Any]]


def rows(table: pa.Table, key: str = "ID") -> Rows:
    """Rows by key; no key twice."""
    found = {row[key]: row for row in table.to_pylist()}
    assert len(found) == table.num_rows
    return found


def ids(server: Server, table: str = "deals") -> set[int]:
    return {int(row["ID"]) for row in server.portal.truth(table)}


def sorted_by(table: pa.Table, key: str) -> pa.Table:
    return table.take(pc.sort_indices(table.column(key)))


@dataclass
class Log:
    """Every command that the sandbox got, with its parameters."""

    commands: list[tuple[str, Any]] = field(default_factory=list)

    def of(self, method: str) -> list[Any]:
        return [params for name, params in self.commands if name == method]

    def selected(self, method: str) -> set[str]:
        """All names of columns that a method was ever asked for."""
        lists = [params["select"] for params in self.of(method)]
        return {name for one in lists for name in (one.values() if isinstance(one, dict) else one)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    log, answered = Log(), dispatch._answered

    def recorded(portal: Any, name: str, params: Any, *more: Any, **options: Any) -> Any:
        log.commands.append((name, params))
        return answered(portal, name, params, *more, **options)

    monkeypatch.setattr(dispatch, "_answered", recorded)
    yield log


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """A portal as a program opens it, with a home of the test's own."""

    def make(server: Server, **settings: Any) -> Portal:
        return Portal(server.url, **{"home": tmp_path / "home", **settings})

    return make
