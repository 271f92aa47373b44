"""A table of two million deals with a hundred columns, made without a portal: every value follows from the row's id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from b24lake.lake.place import Place
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staged, Staging
from b24lake.lake.table import Bookmark, Commit, Owner, table_path

OWNER = Owner("portal-of-the-benchmark", "deals", "benchmark", "bitrix24")
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
BATCH = 20_000  # rows
STAMP = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(38, 9)

_WORDS = "поставка договор склад клиент монтаж проект offer renewal service pump valve filter".split()  # noqa: SIM905
_TEXTS = pa.array([f"{a} {b} № {number}" for number in range(40) for a in _WORDS for b in _WORDS], pa.string())
_STAGES = pa.array(["NEW", "PREPARATION", "EXECUTING", "WON", "LOSE", "C1:NEW", "C1:WON"])
_CURRENCIES = pa.array(["EUR", "RUB", "USD"])

Maker = Callable[[np.ndarray], pa.Array]


def table(lake: Place) -> Place:
    """The table's folder."""
    return table_path(lake, "raw", "bitrix24_deals")


def rows(ids: np.ndarray, *, edited: int = 0) -> pa.Table:
    """The rows with these ids; with another `edited` than 0 all have other titles and were changed later."""
    moment = BEGAN + timedelta(hours=edited)
    columns: dict[str, pa.Array] = {}
    for number, (name, kind, make) in enumerate(_COLUMNS):
        noise = _noise(ids, number)
        columns[name] = make(noise).cast(kind) if make else pa.array(ids, kind)
    if edited:
        columns["TITLE"] = pc.binary_join_element_wise(columns["TITLE"], pa.scalar(f"({edited})"), " ")
        columns["DATE_MODIFY"] = pa.repeat(pa.scalar(moment, STAMP), len(ids))
    columns["_synced_at"] = pa.repeat(pa.scalar(moment, STAMP), len(ids))
    return pa.table([columns[each.name] for each in SCHEMA], schema=SCHEMA)


def build(lake: Path, count: int) -> None:
    """Write a table with the ids from 1 to `count` by a full read of the lake's own."""
    staging = Staging(table(lake), "build", "ID", ["DATE_MODIFY"], schema=SCHEMA)
    for start in range(1, count + 1, BATCH):
        staging.add(rows(np.arange(start, min(start + BATCH, count + 1))))
    commit_full(table(lake), OWNER, staging.close(), commit("build", 1))


def staged(lake: Path, ids: np.ndarray, *, edited: int) -> Staged:
    """An incremental read that brought these rows."""
    staging = Staging(table(lake), f"run-{edited}", "ID", ["DATE_MODIFY"], schema=SCHEMA, spool=True)
    for start in range(0, len(ids), BATCH):
        staging.add(rows(ids[start : start + BATCH], edited=edited))
    return staging.close()


def commit(run: str, mark: int) -> Commit:
    """What goes with the rows."""
    return Commit(run, Bookmark("time", "asked", mark), {"b24lake.sync_type": "any"})


def _noise(ids: np.ndarray, column: int) -> np.ndarray:
    """A number for each id, another one in each column, that looks like chance (the finish of SplitMix64)."""
    mixed = ids.astype(np.uint64) + np.uint64(column * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _sparse(values: pa.Array, noise: np.ndarray) -> pa.Array:
    """Two of five values are empty, as in custom fields."""
    return pc.if_else(pa.array((noise >> np.uint64(32)) % np.uint64(5) < 2), pa.scalar(None, values.type), values)


def _texts(noise: np.ndarray) -> pa.Array:
    return _sparse(_one_of(_TEXTS)(noise), noise)


def _one_of(pool: pa.Array) -> Maker:
    return lambda noise: pool.take(pa.array(noise % np.uint64(len(pool))))


def _below(limit: int) -> Maker:
    return lambda noise: _sparse(pa.array((noise % np.uint64(limit)).astype(np.int64)), noise)


def _numbers(noise: np.ndarray) -> pa.Array:
    return _sparse(pa.array((noise % np.uint64(1_000_000)) / 100), noise)


def _moments(noise: np.ndarray) -> pa.Array:
    seconds = (noise % np.uint64(3 * 365 * 86_400)).astype(np.int64)
    return pa.array((int(BEGAN.timestamp()) - seconds) * 1_000_000).cast(STAMP)


def _days(noise: np.ndarray) -> pa.Array:
    return pa.array((noise % np.uint64(2_000)).astype(np.int32) + np.int32(18_600)).cast(pa.date32())


def _flags(noise: np.ndarray) -> pa.Array:
    return _sparse(pa.array(noise % np.uint64(2) == 1), noise)


def _lists(noise: np.ndarray) -> pa.Array:
    """Lists of none to three numbers."""
    ends = np.concatenate([[0], np.cumsum(noise % np.uint64(4))]).astype(np.int32)
    owners = np.repeat(noise, (noise % np.uint64(4)).astype(np.int64))
    return pa.ListArray.from_arrays(ends, pa.array((owners % np.uint64(100_000)).astype(np.int64)))


def _phones(noise: np.ndarray) -> pa.Array:
    numbers = pc.binary_join_element_wise("+7", pa.array(noise % np.uint64(10**10)).cast(pa.string()), "")
    phones = pa.StructArray.from_arrays(
        [pa.array(noise % np.uint64(10**6)).cast(pa.string()), numbers], ["ID", "VALUE"]
    )
    return pa.ListArray.from_arrays(np.arange(len(noise) + 1, dtype=np.int32), phones)


def _misfits(noise: np.ndarray) -> pa.Array:
    return pa.nulls(len(noise), pa.map_(pa.string(), pa.string()))


_ELEMENTS = pa.list_(pa.field("element", pa.int64()))
_PHONES = pa.list_(pa.field("element", pa.struct([("ID", pa.string()), ("VALUE", pa.string())])))
_COLUMNS: tuple[tuple[str, pa.DataType, Maker | None], ...] = (
    ("ID", pa.int64(), None),
    ("TITLE", pa.string(), _one_of(_TEXTS)),
    ("STAGE_ID", pa.string(), _one_of(_STAGES)),
    ("CURRENCY_ID", pa.string(), _one_of(_CURRENCIES)),
    ("OPPORTUNITY", MONEY, _numbers),
    ("DATE_CREATE", STAMP, _moments),
    ("DATE_MODIFY", STAMP, _moments),
    ("CLOSEDATE", pa.date32(), _days),
    ("CONTACT_IDS", _ELEMENTS, _lists),
    ("PHONE", _PHONES, _phones),
    *((f"LINK_{number}_ID", pa.int64(), _below(200_000)) for number in range(12)),
    *((f"UF_CRM_TEXT_{number}", pa.string(), _texts) for number in range(30)),
    *((f"UF_CRM_NUMBER_{number}", pa.float64(), _numbers) for number in range(10)),
    *((f"UF_CRM_ENUM_{number}", pa.int64(), _below(30)) for number in range(16)),
    *((f"UF_CRM_DATE_{number}", STAMP, _moments) for number in range(10)),
    *((f"UF_CRM_FLAG_{number}", pa.bool_(), _flags) for number in range(10)),
    ("_synced_at", STAMP, _moments),
    ("_misfits", pa.map_(pa.string(), pa.string()), _misfits),
)
SCHEMA = pa.schema([pa.field(name, kind, nullable=name != "ID") for name, kind, _ in _COLUMNS])
