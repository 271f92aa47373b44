"""What the SQL editor offers while somebody types: layers, tables, functions; columns when they are asked for."""

from __future__ import annotations

from typing import Any

from b24lake.lake import layers, views
from b24lake.lake.catalog import find
from b24lake.lake.index import WHOLE
from b24lake.web.site import Site

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


def names(site: Site) -> dict[str, Any]:
    """Layers, tables with their views, and functions; tables as [layer, name, description or stream, kind]."""
    tables = [one.info for one in site.index.look(patience=WHOLE).tables]
    known = sorted([*tables, *views.listed(tables)], key=lambda one: (one.layer, one.name))
    return {
        "layers": [layer.name for layer in layers.layers(site.here.lake)],
        "tables": [[one.layer, one.name, one.description or one.stream, one.kind] for one in known if not one.error],
        "functions": _FUNCTIONS.split(),
    }


def columns(site: Site, table: str) -> list[list[str]]:
    """The columns of a table or view as [name, type, label]. Raises UsageError where there is none."""
    lake = site.here.lake
    if views.is_view(lake, table):
        return [[one.name, one.type, one.comment] for one in views.view(lake, table).columns]
    path = find(lake, table)
    known = site.index.table(path.parent.name, path.name)
    return [[one.name, one.type, one.comment] for one in known.columns]
