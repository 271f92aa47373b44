"""Commits beside the reading: how each went is told, and nobody waits for one that will never end."""

from __future__ import annotations

from pathlib import Path

import pytest

from b24lake.errors import StreamError
from b24lake.sync.committing import Committing


def test_how_each_commit_went_is_told_once(tmp_path: Path) -> None:
    def fails() -> None:
        raise StreamError("It did not work")

    with Committing(tmp_path) as commits:
        commits.begin("deals", lambda: None)
        commits.begin("leads", fails)
        told = dict(commits.ended())
        assert (told["deals"], str(told["leads"])) == (None, "It did not work.")
        assert not [*commits.ended(all_of_them=True)]


def test_nobody_waits_for_a_commit_that_was_interrupted(tmp_path: Path) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with Committing(tmp_path) as commits:
        with pytest.raises(KeyboardInterrupt):
            commits.begin("deals", interrupted)
        assert not [*commits.ended(all_of_them=True)]
