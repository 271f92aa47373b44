"""The pages about streams and their relations, written from the tables of streams. Pure, but for `main`.

`python -m b24lake.streams.documentation FOLDER` writes them; a test fails when the written ones are stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from b24lake.streams.about import ABOUT, SPA, SPA_FIELDS
from b24lake.streams.definitions import GROUPS, STREAMS, Stream, smart_fields, smart_items
from b24lake.streams.relations import DESCRIBES, RELATIONS, Relation
from b24lake.streams.scopes import SCOPES, WHERE
from b24lake.streams.selection import switch
from b24lake.streams.universal import UNIVERSAL

VENDOR = "https://apidocs.bitrix24.com"
_HEAD = "<!-- Written by `make docs` from src/b24lake/streams/: change it there. -->"


def catalogue() -> tuple[Stream, ...]:
    """Every stream there can be, each family of smart processes once, in the order of the groups and names."""
    families = (
        replace(smart_items(0, "Records of a smart process"), name=SPA),
        replace(smart_fields(0, "a smart process"), name=SPA_FIELDS),
    )
    return tuple(sorted((*STREAMS.values(), *families), key=lambda one: (GROUPS.index(one.group), one.name)))


def pages() -> Mapping[str, str]:
    """Text of each page by the name of its file."""
    return {"streams.md": streams_page(), "data-model.md": model_page()}


def vendor_page(stream: Stream) -> str:
    """Address of the vendor's page about the stream's method."""
    return f"{VENDOR}/{stream.docs.removesuffix('.md')}.html"


# --- streams ----------------------------------------------------------------------------------------------------------


def streams_page() -> str:
    """One entry for each stream, by group; the permissions they need."""
    return "\n".join([*_introduction(), *_scopes(), *_entries()])


def _introduction() -> Iterator[str]:
    yield from ("# Streams", "", _HEAD, "")
    yield (
        f"b24lake reads {len(STREAMS)} fixed streams, and two more for each smart process of the portal. `b24lake "
        "streams` shows which of\nthem your webhook may read, and what stands in the way of the others."
    )
    yield ""
    yield "Up to 50 calls go in one request. What INCREMENTAL and FULL_TABLE mean: [sync types](sync-types.md)."
    yield "How streams refer to each other: [data model](data-model.md)."
    yield ""


def _scopes() -> Iterator[str]:
    yield from ("## Permissions", "", f"To change them, {WHERE}.")
    yield "Let an administrator be its owner: records that the owner may not see are missing from every list, without"
    yield "an error."
    yield ""
    yield from ("| scope | name in Bitrix24 | unlocks |", "|---|---|---|")
    for scope in SCOPES.values():
        also = f" (elsewhere called `{scope.also}`)" if scope.also else ""
        yield f"| `{scope.code}`{also} | {scope.title} | {scope.unlocks} |"
    yield ""


def _entries() -> Iterator[str]:
    group = ""
    for stream in catalogue():
        if stream.group != group:
            group = stream.group
            yield from (f"## {group[:1].upper()}{group[1:]}", "")
        yield from _entry(stream)


def _entry(stream: Stream) -> Iterator[str]:
    about = ABOUT[stream.name]
    yield from (f'<details id="{_anchor(stream)}">', f"<summary><b>{stream.name}</b>: {stream.title}</summary>", "")
    yield from ([about.notes, ""] if about.notes else [])
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {text} |" for name, text in _facts(stream).items())
    yield from ("", "</details>", "")


def _anchor(stream: Stream) -> str:
    return stream.name.replace("{", "").replace("}", "")


def _facts(stream: Stream) -> dict[str, str]:
    """Heading -> text, both ready for a table of Markdown."""
    other = stream.name in UNIVERSAL
    default, *others = stream.replication_keys or ("",)
    changes = f"`{default}`" + "".join(f" or `{other}`" for other in others) if default else "none"
    if stream.parent:
        changes = f"those of its {stream.parent}"
    facts = {
        "key columns": _codes(ABOUT[stream.name].key_columns),
        "primary key": f"`{stream.key}`",
        "replication key": changes,
        "sync types": ", ".join(stream.sync_types),
        "scope": " or ".join(f"`{scope}`" for scope in stream.scopes),
        "method": _method(stream) + (f", or {_method(UNIVERSAL[stream.name])}: [readers](readers.md)" if other else ""),
        "cost": stream.cost,
    }
    return facts | ({"switched on by": f"`{switch(stream)}`"} if stream.option else {})


def _method(stream: Stream) -> str:
    return f"[`{stream.method}`]({vendor_page(stream)})"


def _codes(names: tuple[str, ...]) -> str:
    return " ".join(f"`{name}`" for name in names)


# --- data model -------------------------------------------------------------------------------------------------------

_MODEL = """\
- Contacts and companies stand alone. Deals and leads can link to both.
- Activities hang on deals, leads, contacts, companies and records of smart processes: `OWNER_TYPE_ID` says on which
  (1 lead, 2 deal, 3 contact, 4 company, from 128 on the `entityTypeId` of a smart process).
- `product` is the catalogue; `deal_products` says which products, how many and at what price belong to a deal.
- `users` and `departments` describe the organisation, `calls` and `open_lines` how it talks to its clients.
- The `*_fields` streams describe the columns of their entity.
- `status_list` holds the names of stages and other choices. A `STATUS_ID` is unique within its `ENTITY_ID`: `STATUS`
  for leads, `DEAL_STAGE` for deals of the funnel 0, `DEAL_STAGE_{CATEGORY_ID}` for those of the others,
  `DYNAMIC_{entityTypeId}_STAGE_{categoryId}` for smart processes.
"""


def model_page() -> str:
    """The relations as a diagram and as a table."""
    opening = ("# Data model", "", _HEAD, "", "What is in each stream: [streams](streams.md).", "", _MODEL)
    return "\n".join([*opening, *_diagram(), "", *_table(), *_descriptions(), ""])


def _diagram() -> Iterator[str]:
    """Mermaid: arrows lead from a stream to those it refers to, dotted ones from descriptions to what they describe."""
    yield from ("```mermaid", "flowchart LR")
    for number, group in enumerate(GROUPS):
        yield f'    subgraph g{number}["{group}"]'
        yield from (f'        {_node(one.name)}["{one.name}"]' for one in catalogue() if one.group == group)
        yield "    end"
    yield from (
        f"    {_node(start)} -->|{', '.join(labels)}| {_node(end)}" for (start, end), labels in _arrows().items()
    )
    yield from (f"    {_node(name)} -.-> {_node(entity)}" for name, entity in DESCRIBES.items())
    yield "```"


def _arrows() -> dict[tuple[str, str], list[str]]:
    """(stream, the one it refers to) -> the columns that do."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in RELATIONS:
        found.setdefault((one.stream, one.to), []).append(one.column)
    return found


def _node(name: str) -> str:
    return name.replace("{", "").replace("}", "")


def _table() -> Iterator[str]:
    yield from ("| column | refers to | |", "|---|---|---|")
    for one in RELATIONS:
        yield f"| `{one.stream}.{one.column}` | `{one.to}.{one.to_column}` | {_remark(one)} |"
    yield ""


def _remark(one: Relation) -> str:
    said = ["a list" if one.many else "", f"by `{one.by}`" if one.by else "", f"with `{one.when}`" if one.when else ""]
    return ", ".join(part for part in said if part)


def _descriptions() -> Iterator[str]:
    yield from ("| describes | |", "|---|---|")
    yield from (f"| `{name}` | `{entity}` |" for name, entity in DESCRIBES.items())


# --- both, for agents -------------------------------------------------------------------------------------------------


def plain_text() -> str:
    """Streams, permissions and data model as Markdown without HTML, diagrams and links: for readers with little room.

    Its headings are of the second level and below.
    """
    return "\n".join([*_plain_streams(), *_scopes(), "## Data model", "", _MODEL, *_table(), *_descriptions(), ""])


def _plain_streams() -> Iterator[str]:
    yield from ("## Streams", "")
    for stream in catalogue():
        facts = _facts(stream) | {"method": f"`{stream.method}`"}
        yield from (f"### `{stream.name}`: {stream.title}", "")
        yield from ([ABOUT[stream.name].notes, ""] if ABOUT[stream.name].notes else [])
        yield from (f"- {name}: {text}" for name, text in facts.items())
        yield ""


def main(folder: Path) -> None:
    """Write the pages."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
