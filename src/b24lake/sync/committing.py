"""The commits of a run: at once where the lake is on a disk, beside the reading where it is in an object store.

There a commit takes dozens of small requests, one after the other; meanwhile the portal would stand still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Self

from b24lake.lake.place import AT_ONCE, Place


class Committing:
    """Commits under way, by stream."""

    def __init__(self, lake: Place) -> None:
        self._pool = None if isinstance(lake, Path) else ThreadPoolExecutor(AT_ONCE)
        self._under_way: dict[str, Future[None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def begin(self, name: str, commit: Callable[[], None]) -> None:
        """Begin a commit; how it went, `ended` tells."""
        if self._pool is not None:
            self._under_way[name] = self._pool.submit(commit)
            return
        done: Future[None] = Future()
        try:
            commit()
            done.set_result(None)
        except Exception as error:  # noqa: BLE001  raised where it is asked for
            done.set_exception(error)
        self._under_way[name] = done  # not before: of a commit that is interrupted nobody waits for the end

    def ended(self, *, all_of_them: bool = False) -> Iterator[tuple[str, BaseException | None]]:
        """The commits that have ended since the last question, and what each failed with."""
        if all_of_them:
            wait(self._under_way.values())
        for name in [name for name, commit in self._under_way.items() if commit.done()]:
            yield name, self._under_way.pop(name).exception()
