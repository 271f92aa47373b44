"""The layers of a lake: the folders right below it, each for tables of one kind.

LAKE/layers.json   [{"name": "raw", "description": "…"}, …]; a lake without it has the three of `FIRST`

A folder that holds tables is a layer as well, whoever made it: tables are never out of reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from b24lake.errors import ConflictError, NotFoundError, StopError, UsageError
from b24lake.lake.files import storage_errors, write_text
from b24lake.lake.place import Place
from b24lake.lake.table import checked_name

FILE = "layers.json"
LONGEST = 4000
"""Signs of a description, as of a table's."""


@dataclass(frozen=True)
class Layer:
    """A layer; `listed` ones stand in the lake's file, others are only there because tables are."""

    name: str
    description: str = ""
    listed: bool = True


FIRST = (
    Layer("raw", "As the sources have it"),
    Layer("trusted", "Checked and cleaned"),
    Layer("service", "Made for a purpose: reports, models, exports"),
)
"""What every lake begins with."""


def layers(lake: Place, with_tables: Iterable[str] | None = None) -> tuple[Layer, ...]:
    """All layers: those of the lake's file in its order, then those that are only there because tables are.

    with_tables   the names of those that tables are in, where somebody knows them; None = see

    Raises StopError where the file cannot be read.
    """
    listed = _read(lake)
    known = {each.name for each in listed}
    if with_tables is None:
        with_tables = (log.parent.parent.name for log in lake.glob("*/*/_delta_log")) if lake.is_dir() else ()
    found = sorted(set(with_tables) - known)
    return (*listed, *(Layer(name, listed=False) for name in found if not name.startswith((".", "_"))))


def existing(lake: Place, name: str) -> Layer:
    """The layer of this name. Raises UsageError, with those that there are, where there is none."""
    known = layers(lake)
    found = next((each for each in known if each.name == name), None)
    if found is not None:
        return found
    checked_name(name, "layer")
    raise NotFoundError(
        f"The lake {lake} has no layer {name!r}",
        why=f"its layers are {', '.join(each.name for each in known)}",
        fix=f"choose one of them, or add it first: b24lake layer add {name}",
    )


def add(lake: Place, name: str, description: str = "") -> Layer:
    """A new layer. Raises UsageError where the name cannot be one or is taken, were it in other cases."""
    checked_name(name, "layer")
    _check(description)
    for each in layers(lake):
        if each.name.casefold() == name.casefold():
            raise ConflictError(
                f"The lake has a layer {each.name!r} already",
                why="names of layers differ by more than upper and lower case",
                fix="use that one, or choose another name",
            )
    made = Layer(name, description)
    _write(lake, [*_read(lake), made])
    return made


def describe(lake: Place, name: str, description: str) -> Layer:
    """Write a layer's description. Raises UsageError where there is no such layer."""
    _check(description)
    changed = replace(existing(lake, name), description=description, listed=True)
    listed = _read(lake)
    kept = [changed if each.name == name else each for each in listed]
    _write(lake, kept if changed.name in {each.name for each in listed} else [*kept, changed])
    return changed


def delete(lake: Place, name: str) -> None:
    """Remove an empty layer. Raises UsageError where there is none, or where anything is in it."""
    existing(lake, name)
    holds = _first_in(lake / name)
    if holds is not None:
        raise UsageError(
            f"The layer {name!r} is not empty",
            why=f"it holds {holds!r}",
            fix=f"move or delete its tables first: b24lake table move {name}.TABLE LAYER",
        )
    with storage_errors(lake / name):
        _remove_empty(lake / name)
    _write(lake, [each for each in _read(lake) if each.name != name])


def _first_in(folder: Place) -> str | None:
    """What is in a layer's folder, by the name right below it; folders in which there is no file are nothing."""
    inside: list[Place] = list(folder.iterdir()) if folder.is_dir() else []
    return min((each.name for each in inside if next(_files(each), None) is not None), default=None)


def _files(place: Place) -> Iterator[Place]:
    if not place.is_dir():
        yield place
    for each in place.iterdir() if place.is_dir() else ():
        yield from _files(each)


def _remove_empty(folder: Place) -> None:
    """Remove folders without a file; an object store has none of these."""
    if isinstance(folder, Path) and folder.is_dir():
        for each in folder.iterdir():
            _remove_empty(each)
        folder.rmdir()


def _check(description: str) -> None:
    if len(description) > LONGEST:
        raise UsageError(f"A description has at most {LONGEST:,} signs", fix="write a shorter one")


def _read(lake: Place) -> tuple[Layer, ...]:
    """What the lake's file says; the three first layers where there is none."""
    file = lake / FILE
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return tuple(Layer(checked_name(each["name"]), str(each.get("description", ""))) for each in told)
    except (FileNotFoundError, NotADirectoryError):
        return FIRST
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise StopError(
            f"The list of layers {file} cannot be read",
            why=str(error),
            fix='correct it: a JSON list of {"name": …, "description": …}; or remove it to begin with the first three',
        ) from error


def _write(lake: Place, listed: Iterable[Layer]) -> None:
    """The file as a whole or not at all; two writers at once are the caller's care."""
    told = [{name: text for name, text in asdict(each).items() if name != "listed"} for each in listed]
    with storage_errors(lake):
        lake.mkdir(parents=True, exist_ok=True)
        write_text(lake / FILE, json.dumps(told, ensure_ascii=False, indent=2) + "\n")
