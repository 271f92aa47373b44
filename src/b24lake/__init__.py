"""Bitrix24 as a data source: everything in a portal, in Delta Lake tables, or in a program of yours (`b24lake.api`)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from b24lake.api import (
        Bookmark,
        Portal,
        Range,
        Reading,
        Readings,
        Report,
        StreamInfo,
        ranges,
        read,
        read_many,
    )

__version__ = "0.1.0"
# Not `streams`: that is the name of a part of the house. It is `b24lake.api.streams`.
__all__ = [
    "Bookmark",
    "Portal",
    "Range",
    "Reading",
    "Readings",
    "Report",
    "StreamInfo",
    "__version__",
    "ranges",
    "read",
    "read_many",
]


def __getattr__(name: str) -> Any:
    """Import on first use: `import b24lake` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("b24lake.api"), name)
