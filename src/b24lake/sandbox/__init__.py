"""A Bitrix24 portal in one process: a faithful server to try b24lake on, and to test it against.

    >>> from b24lake.sandbox import Portal, Server, Settings
    >>> with Server(Portal(Settings(deals=1000))) as server:
    ...     server.url
    'http://127.0.0.1:.../rest/1/sandboxcode1234ab/'

It shares no code with the reader, so that a mistake in one cannot hide in the other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from b24lake.sandbox.portal import Portal
    from b24lake.sandbox.server import Server
    from b24lake.sandbox.settings import Settings

__all__ = ["Portal", "Server", "Settings"]


def __getattr__(name: str) -> Any:
    """Import on first use: `import b24lake.sandbox` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.lower()}"), name)
