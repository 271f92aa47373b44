"""What the tabs of one table share: the frame around them, and where they are."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from b24lake.web.asking import Asking


def frame(asked: Asking, layer: str, name: str, tab: str) -> dict[str, Any]:
    """What the head of every tab shows. Raises NotFoundError where there is no such table, StreamError if it is bad."""
    return {"section": "catalog", "tab": tab, "table": asked.site.index.table(layer, name)}


def address(layer: str, name: str, tab: str = "") -> str:
    """Where a tab of a table is."""
    return f"/catalog/{quote(layer, safe='')}/{quote(name, safe='')}{tab}"
