"""What the SQL editor offers while somebody types: layers, tables, functions; columns when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

from b24lake.lake import catalog, layers, views
from b24lake.lake.place import Place
from b24lake.web.site import Site

KEPT_SECONDS = 30
"""How long the names of tables are taken as they were."""
_FUNCTIONS = """
    abs approx_distinct array_agg array_has array_length array_sort array_to_string avg btrim cardinality cbrt ceil
    char_length coalesce concat concat_ws contains corr count covar_pop covar_samp cume_dist current_date current_time
    current_timestamp date_bin date_format date_part date_trunc dense_rank element_at ends_with exp first_value flatten
    floor generate_series greatest grouping initcap lag last_value lead least left length levenshtein ln log log10 lower
    lpad ltrim make_array make_date map_keys map_values max md5 median min nth_value ntile now nullif octet_length
    overlay percent_rank percentile_cont position power rank regexp_count regexp_like regexp_match regexp_replace
    repeat replace reverse right round row_number rpad rtrim sha256 split_part sqrt starts_with stddev stddev_pop
    string_agg string_to_array substr substring sum to_char to_date to_timestamp to_unixtime translate trim trunc
    unnest upper uuid var_pop var_samp
"""
"""Of the engine, those that people use."""


@dataclass(frozen=True)
class _Kept:
    """Names as they were at a time, in seconds."""

    at: float
    names: dict[str, Any]


_kept: dict[str, _Kept] = {}
_one = Lock()


def names(site: Site) -> dict[str, Any]:
    """Layers, tables with their views, and functions; tables as [layer, name, description or stream, kind]."""
    lake, now = site.here.lake, site.clock().timestamp()
    with _one:
        kept = _kept.get(str(lake))
        if kept is None or not 0 <= now - kept.at < KEPT_SECONDS:
            kept = _kept[str(lake)] = _Kept(now, _names(lake))
        return kept.names


def _names(lake: Place) -> dict[str, Any]:
    tables = catalog.tables(lake)
    known = sorted([*tables, *views.listed(tables)], key=lambda one: (one.layer, one.name))
    return {
        "layers": [layer.name for layer in layers.layers(lake)],
        "tables": [[one.layer, one.name, one.description or one.stream, one.kind] for one in known if not one.error],
        "functions": _FUNCTIONS.split(),
    }


def columns(site: Site, table: str) -> list[list[str]]:
    """The columns of a table or view as [name, type, label]. Raises UsageError where there is none."""
    lake = site.here.lake
    if views.is_view(lake, table):
        return [[one.name, one.type, one.comment] for one in views.view(lake, table).columns]
    return [[one.name, one.type, one.comment] for one in catalog.describe(lake, table).columns]
