"""The fixtures of the lake's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from lake_rows import Deals


@pytest.fixture
def deals(tmp_path: Path) -> Deals:
    """A table that does not exist yet, in a lake that does not exist yet."""
    return Deals(tmp_path / "lake")
