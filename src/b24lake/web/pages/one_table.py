"""What the tabs of one table share: the frame around them."""

from __future__ import annotations

from typing import Any

from b24lake.lake import catalog
from b24lake.web.asking import Asking


def frame(asked: Asking, layer: str, name: str, tab: str) -> dict[str, Any]:
    """What the head of every tab shows. Raises UsageError where there is no such table."""
    details = catalog.describe(asked.site.here.lake, f"{layer}.{name}")
    return {"section": "catalog", "tab": tab, "table": details}
