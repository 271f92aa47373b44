"""A portal's records in a Python program: typed Arrow batches, and a bookmark to go on from.

    from b24lake import api

    reading = api.read(url, "deals")
    for batch in reading:          # pyarrow.RecordBatch
        ...
    kept = reading.bookmark.to_json()
    later = api.read(url, "deals", since=kept)   # what has changed since

Everything here reads; nothing needs a lake or a database. Errors are those of `b24lake.errors`.
"""

from b24lake.api.bookmark import Bookmark, Since
from b24lake.api.portal import Portal, ranges, read, read_many, streams
from b24lake.api.reading import Range, Reading, Readings, Replaced, Report
from b24lake.api.settings import PortalSettings
from b24lake.api.stream_info import StreamInfo

__all__ = [
    "Bookmark",
    "Portal",
    "PortalSettings",
    "Range",
    "Reading",
    "Readings",
    "Replaced",
    "Report",
    "Since",
    "StreamInfo",
    "ranges",
    "read",
    "read_many",
    "streams",
]
