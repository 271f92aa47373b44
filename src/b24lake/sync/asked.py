"""The streams of a portal as the options of a run ask for them."""

from __future__ import annotations

from dataclasses import replace

from b24lake.portal.connection import Connection
from b24lake.streams import categories
from b24lake.streams.discovery import Discovery
from b24lake.sync.contacts import with_contacts
from b24lake.sync.options import Options


def as_asked(connection: Connection, discovery: Discovery, options: Options) -> tuple[Discovery, list[str]]:
    """The same streams, kept to the chosen funnels, deals with a column for their contacts; and what is to be noted.

    Raises UsageError where the portal has no such funnel.
    """
    streams, notes = dict(discovery.streams), []
    if options.deal_contacts:
        streams["deals"] = with_contacts(streams["deals"])
    if options.deal_categories:
        note = categories.check(connection, options.deal_categories)
        notes += [note] if note else []
        streams = categories.within(streams, options.deal_categories)
    return replace(discovery, streams=streams), notes
