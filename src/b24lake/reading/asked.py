"""The streams of a portal as the settings of a read ask for them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from b24lake.reading.contacts import with_contacts, without_contacts
from b24lake.reading.settings import Settings
from b24lake.streams import categories
from b24lake.streams.discovery import Discovery
from b24lake.streams.readers import read_by
from b24lake.streams.selection import Selected


def as_asked(discovery: Discovery, settings: Settings) -> tuple[Discovery, list[str]]:
    """The same streams by the chosen reader, kept to the chosen funnels, deals with a column for their contacts.

    Returns with them what is to be noted. Raises UsageError where the portal has no such funnel.
    """
    discovery = read_by(discovery, settings.reader)
    streams, notes = dict(discovery.streams), []
    deals = streams["deals"]
    streams["deals"] = with_contacts(deals) if settings.deal_contacts else without_contacts(deals)
    if settings.deal_categories:
        note = categories.check(discovery.funnels, settings.deal_categories)
        notes += [note] if note else []
        streams = categories.within(streams, settings.deal_categories)
    return replace(discovery, streams=streams), notes


def notes_of(selected: Sequence[Selected]) -> list[str]:
    """What is to be noted of the streams that were selected."""
    return [f"{one.name}: {one.found.note}" for one in selected if one.found.note]
