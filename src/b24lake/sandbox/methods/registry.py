"""The list of methods: name, scope, function."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from b24lake.sandbox.params import Params
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import Reply

Run = Callable[[Portal, Params], Reply]

MODULES = ("system", "classic", "items", "catalogs", "people", "timeline")


@dataclass(frozen=True)
class Method:
    """One method. An empty scope is `basic`: every webhook has it."""

    name: str
    scope: str
    run: Run


METHODS: dict[str, Method] = {}


def method(name: str, scope: str = "") -> Callable[[Run], Run]:
    """Register the decorated function as a method of the portal."""

    def register(run: Run) -> Run:
        METHODS[name] = Method(name, scope, run)
        return run

    return register


def load() -> dict[str, Method]:
    """All methods by name."""
    for module in MODULES:
        import_module(f"b24lake.sandbox.methods.{module}")
    return METHODS
