"""Rows of which some columns are left out, or hashed with a key.

What is left out is not asked of the portal either, where its method takes a list of columns; where it does not, or the
portal sends more than was asked for, it goes before anybody sees it. What is hashed becomes text: HMAC-SHA256 of
the value as the portal sent it, so that equal values of all tables stay equal, and nobody without the key can try
values out. Of lists each value is hashed, of multi-fields (PHONE, EMAIL …) the VALUE alone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from b24lake.reading.decode import MISFITS
from b24lake.streams.definitions import Stream
from b24lake.streams.discovery import Found
from b24lake.streams.fields import MULTIFIELD, TEXT, Column

_EVERYTHING = "*"  # in a list of columns: all that are no custom fields


@dataclass(frozen=True, slots=True)
class Veil:
    """What of one stream nobody shall see: names of columns in its table.

    left_out   are not in the table
    hashed     hold hashes, made with `key`
    """

    left_out: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()
    key: bytes = field(default=b"", repr=False)

    @property
    def asked(self) -> Mapping[str, object]:
        """Stands for all of this in a fingerprint; the key does not show in it."""
        told = {"left_out": sorted(self.left_out), "hashed": sorted(self.hashed)}
        return {**told, "key": _digest(self.key, "b24lake")[:16]} if self.hashed else told

    def asking(self, found: Found) -> Found:
        """The stream as the portal is asked for it; what is hashed is read as text, as it is sent.

        Where the method takes a list of columns, what is left out is not on it. The universal methods are asked for
        everything: nobody tells how they would name what they send in one list, phones and the like. So columns that
        are left out are still known: what comes of them must not be taken for something new.
        """
        stream, wanted = found.stream, found.stream.params.get("select", ())
        if self.left_out and stream.translation is None and any(_EVERYTHING in name for name in wanted):
            params = {**stream.params, "select": [each.source for each in self.kept(found.columns)]}
            stream = replace(stream, params=params)
        return replace(found, stream=stream, columns=tuple(map(self._hidden, found.columns)))

    def kept(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """The columns that the table has."""
        return tuple(each for each in columns if each.name not in self.left_out)

    def _hidden(self, column: Column) -> Column:
        if column.name not in self.hashed or column.kind == "crm_multifield":
            return column
        return replace(column, kind="string", type=pa.list_(TEXT) if column.many else TEXT, directory="")

    def over(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows as the table has them."""
        names = [name for name in batch.schema.names if name not in self.left_out]
        columns = [self._column(name, batch.column(batch.schema.get_field_index(name))) for name in names]
        return pa.record_batch(columns, schema=pa.schema([batch.schema.field(name) for name in names]))

    def _column(self, name: str, column: pa.Array) -> pa.Array:
        if name == MISFITS:
            return self._misfits(column)
        return _hashed(column, self.key) if name in self.hashed else column

    def _misfits(self, column: pa.Array) -> pa.Array:
        """What did not fit the type of its column is still there as it was sent, under the column's name."""
        if column.null_count == len(column):
            return column
        return pa.array([None if each is None else self._kept(each) for each in column.to_pylist()], column.type)

    def _kept(self, misfits: Iterable[tuple[str, str | None]]) -> list[tuple[str, str | None]] | None:
        kept = [
            (name, _digest(self.key, text) if text is not None and name in self.hashed else text)
            for name, text in misfits
            if name not in self.left_out
        ]
        return kept or None


NO_VEIL = Veil()


def needed_by(stream: Stream, replication_key: str | None) -> frozenset[str]:
    """The fields without which a stream cannot be read or merged, by their codes."""
    chosen_by = {name.lstrip("@") for name in stream.params.get("filter", {})}
    return frozenset({stream.key, stream.parent_key, replication_key or "", *chosen_by} - {""})


# --- hashes -----------------------------------------------------------------------------------------------------------


def _hashed(column: pa.Array, key: bytes) -> pa.Array:
    if not pa.types.is_list(column.type):
        return _digests(column, key)
    # Not `values`: that also has what lies before, behind and under the nulls of a slice.
    values, lengths = column.flatten(), pc.fill_null(pc.list_value_length(column), 0)
    values = _multifield(values, key) if values.type == MULTIFIELD else _digests(values, key)
    ends = pc.cumulative_sum(lengths).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.ListArray.from_arrays(offsets, values, column.type, mask=pc.is_null(column))


def _multifield(values: pa.StructArray, key: bytes) -> pa.StructArray:
    names = [each.name for each in values.type]
    parts = dict(zip(names, values.flatten(), strict=True))
    parts["VALUE"] = _digests(parts["VALUE"], key)
    return pa.StructArray.from_arrays([*parts.values()], fields=[*values.type], mask=pc.is_null(values))


def _digests(values: pa.Array, key: bytes) -> pa.Array:
    """A hash for each value, null for null; each distinct value is hashed once."""
    found = pc.dictionary_encode(values)
    texts = (_digest(key, each) for each in found.dictionary.to_pylist())
    return pc.take(pa.array(texts, TEXT), found.indices)


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
