"""What all tests share: sandbox portals over HTTP, runs into a lake, and the command line as a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from b24lake.lake.place import place
from b24lake.sandbox import Portal, Server, Settings
from object_store import BUCKET, ObjectStore
from running import SMALL, Lake, Ran, run

settings.register_profile("untimed", deadline=None)  # a busy machine fails no test
settings.load_profile("untimed")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start sandbox portals; the bucket is off unless a test asks for it."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Server:
            portal = Portal(Settings(**{**SMALL, "threshold": 0, **settings}))
            return stack.enter_context(Server(portal))

        yield start


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", tmp_path / "home")


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def store(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A store that answers, and the environment variables that lead to it."""
    for name, text in object_store.settings.items():
        monkeypatch.setenv(name, text)
    object_store.requests()
    yield object_store
    object_store.fault("")


@pytest.fixture
def far_lake(store: ObjectStore, tmp_path: Path) -> Lake:
    """A lake in the store."""
    return Lake(place(f"s3://{BUCKET}/{tmp_path.parent.name}/{tmp_path.name}"), tmp_path / "home")


@pytest.fixture
def b24lake(lake: Lake) -> Callable[..., Ran]:
    """Run the command line as a process of its own, with the test's home and lake."""
    return partial(run, lake)
