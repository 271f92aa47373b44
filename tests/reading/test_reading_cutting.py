"""Rows left as JSON land exactly as the same rows parsed, however they are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from b24lake.errors import StreamError
from b24lake.portal.replies import Answer, parsed, printed
from b24lake.portal.replies import read as read_answer
from b24lake.reading import cutting, decode
from b24lake.reading.cutting import _BLOCK, cut
from b24lake.reading.decode import Decoder
from b24lake.reading.paging import PAGE, Chain, Since, read_chain, value_of
from b24lake.streams.definitions import STREAMS, Stream
from b24lake.streams.fields import columns

DESCRIBED = {
    "ID": {"type": "integer"},
    "TITLE": {"type": "string"},
    "OPPORTUNITY": {"type": "double"},
    "PROBABILITY": {"type": "double"},
    "CLOSED": {"type": "char"},
    "OPENED": {"type": "boolean"},
    "DATE_MODIFY": {"type": "datetime"},
    "BEGINDATE": {"type": "date"},
    "ASSIGNED_BY_ID": {"type": "user"},
    "FILE": {"type": "file"},
    "PHONE": {"type": "crm_multifield"},
    "TEXTS": {"type": "string", "isMultiple": True},
    "NUMBERS": {"type": "integer", "isMultiple": True},
    "FLAGS": {"type": "boolean", "isMultiple": True},
    "DAYS": {"type": "date", "isMultiple": True},
    "FILES": {"type": "file", "isMultiple": True},
}
MOSCOW = timezone(timedelta(hours=3))
Writer = Callable[[Any], str]


def php(value: Any) -> str:
    """As PHP writes JSON: slashes and everything beyond ASCII are escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", r"\/")


WRITERS: dict[str, Writer] = {
    "compact": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "php": php,
    "spaces": lambda value: json.dumps(value, ensure_ascii=False),
    "pretty": lambda value: json.dumps(value, indent="\t\n \r"),
    "odd spaces": lambda value: json.dumps(value, separators=(" \n, \t", " \r: ")),
}


def read_page(texts: list[str]) -> list[Raw]:
    """Rows as they come out of a large body."""
    return msgspec.json.decode(f"[{' , '.join(texts)}]".encode(), type=list[Raw])


def landed(rows: list[Any], monkeypatch: pytest.MonkeyPatch, block: int) -> tuple[Any, int]:
    """The batch of rows, or what is wrong with them; and the number of misfits."""
    decoder = Decoder(columns(DESCRIBED, {}, key="ID"), "ID", MOSCOW)
    with monkeypatch.context() as patched:
        patched.setattr(decode, "_MANY", 1)
        patched.setattr(cutting, "_BLOCK", block)
        try:
            return decoder.batch(rows), decoder.misfits
        except StreamError as error:
            return str(error), decoder.misfits


def assert_same(texts: list[str], monkeypatch: pytest.MonkeyPatch, block: int = _BLOCK) -> None:
    cut_up, misfits = landed(read_page(texts), monkeypatch, block)
    whole, expected = landed([parsed(Raw(text.encode())) for text in texts], monkeypatch, block)
    if isinstance(whole, str):
        assert cut_up == whole
        return
    assert cut_up.schema == whole.schema
    cut_up.validate(full=True)
    for name in whole.schema.names:
        assert cut_up[name].to_pylist() == whole[name].to_pylist(), name
    assert cut_up.equals(whole)
    assert misfits == expected


TEXTS = (
    st.text(max_size=6)
    | st.text(alphabet='"\\{}[]:,/ \tnu\x7fё🙂', max_size=8)
    | st.sampled_from(["Y", "N", "0", "1", "true", "false", "null", "12.50", "-3", "0x1F", "2024-08-30", "", " "])
    | st.sampled_from(["2026-08-21T19:52:37+03:00", "2026-08-21T03:00:00+03:00", "24.08.2023 13:19:39", "\\u0434"])
)
NUMBERS = (
    st.integers(-(2**70), 2**70)
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([-0.0, 0.0, 1e16, 1e-7, 10**17, 10**18])
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
LISTS = st.lists(TEXTS, max_size=3) | st.just(False)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ID", "a", '"', ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
PHONES = st.lists(st.fixed_dictionaries({"ID": TEXTS, "VALUE": TEXTS}), max_size=2)
OF_KEYS: dict[str, st.SearchStrategy[Any]] = {
    key: st.none() | LISTS | JSON if described.get("isMultiple") else TEXTS | SCALARS
    for key, described in DESCRIBED.items()
}
OF_KEYS |= {"FILE": JSON, "FILES": st.lists(JSON, max_size=2), "PHONE": PHONES | st.just([])}
ODD_KEYS = st.sampled_from(["NEW", "title", 'a"b', "a\\", "ключ", ":", "{", "", "a/b", "\n"]) | st.text(max_size=3)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows in which the values of a key are of one kind, mostly; most rows have the same keys."""
    keys = draw(st.lists(st.sampled_from([*OF_KEYS]) | ODD_KEYS, unique=True, max_size=6))
    kinds = {key: draw(st.sampled_from([OF_KEYS.get(key, JSON), TEXTS, SCALARS, JSON, LISTS])) for key in keys}
    rows = []
    for number in range(draw(st.integers(1, 6))):
        row = {key: draw(kind) for key, kind in kinds.items() if draw(st.integers(0, 9))}
        row = {"ID": draw(st.just(str(number + 1)) | st.just(number + 1)), **row}
        order = draw(st.permutations([*row])) if not draw(st.integers(0, 5)) else [*row]
        rows.append({key: row[key] for key in order})
    return rows


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@settings(max_examples=150)
@given(data=st.data())
def test_rows_of_json_land_as_the_same_rows_parsed(write: Writer, data: st.DataObject) -> None:
    rows = data.draw(tables())
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert_same([write(row) for row in rows], monkeypatch)


# fmt: off
ROWS = {
    "no keys": ['{"ID":"1"}', "{}", '{"ID":"3"}'],
    "only rows without keys": ["{}", "{ }"],
    "a key twice": ['{"ID":"1","TITLE":"a","TITLE":"b"}', '{"TITLE":"a","ID":"2","ID":"3"}'],
    "a key spelled in two ways": [r'{"ID":"1","TITLE":"a"}', r'{"ID":"2","\u0054ITLE":"b"}'],
    "both spellings in a row": [r'{"ID":"1","TITLE":"a","\u0054ITLE":"b"}'],
    "backslashes before quotes": [
        r'{"ID":"1","TITLE":"\\"}',
        r'{"ID":"2","TITLE":"\\\""}',
        r'{"ID":"3","TITLE":"\"\\\\"}',
    ],
    "braces in texts": ['{"ID":"1","TITLE":"}{"}', '{"ID":"2","FILE":{"ID":"{"},"TITLE":"["}'],
    "keys in values": ['{"ID":"1","FILE":{"ID":"7","TITLE":"x"}}', r'{"ID":"2","TITLE":",\"ID\":\"3\""}'],
    "a colon in a text": ['{"ID":"1","TITLE":":"}', '{"ID":"2","TITLE":"a:b","FILE":[":",":"]}'],
    "numbers in every spelling": [
        f'{{"ID":{n},"TITLE":{text}}}'
        for n, text in enumerate(["-0", "0", "1.50", "1E2", "12"])
    ],
    "long numbers": ['{"ID":1,"TITLE":18446744073709551616}', '{"ID":2,"TITLE":123456789012345678901234567890}'],
    "a list in a text column": ['{"ID":"1","TITLE":[]}', '{"ID":"2","TITLE":["a", "b"]}', '{"ID":"3","TITLE":[[]]}'],
    "lists of everything": [
        '{"ID":"1","TEXTS":[null]}',
        '{"ID":"2","TEXTS":["a",["b"]]}',
        '{"ID":"3","TEXTS":{"1":"c"}}',
    ],
    "empty texts in lists": ['{"ID":"1","TEXTS":["","a"]}', '{"ID":"2","TEXTS":[""]}', '{"ID":"3","TEXTS":["b"]}'],
    "true for a list": ['{"ID":"1","TEXTS":true}', '{"ID":"2","TEXTS":["a"]}'],
    "flags": [
        '{"ID":"1","OPENED":true}',
        '{"ID":"2","OPENED":false}',
        '{"ID":"3","OPENED":"Y"}',
        '{"ID":"4","OPENED":0}',
    ],
    "false and misfits": ['{"ID":"1","CLOSED":false}', '{"ID":"2","CLOSED":"?"}', '{"ID":"3","OPPORTUNITY":"12,50"}'],
    "no id": ['{"ID":"1"}', '{"TITLE":"a"}'],
    "an empty id": ['{"ID":"1"}', '{"ID":""}'],
    "an id that is a list": ['{"ID":"1"}', '{"ID":["2"]}'],
    "escaped pairs": [r'{"ID":"1","TITLE":"\ud83d\ude42","TEXTS":["\ud83d\ude42"]}'],
}
# fmt: on


@pytest.mark.parametrize("block", [1, _BLOCK])
@pytest.mark.parametrize("texts", ROWS.values(), ids=ROWS)
def test_odd_rows_land_as_the_same_rows_parsed(texts: list[str], block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same(texts, monkeypatch, block)


@pytest.mark.parametrize("count", [1, _BLOCK - 1, _BLOCK, _BLOCK + 1, 2 * _BLOCK + 1])
def test_any_number_of_rows_is_cut(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"ID": str(n), "TITLE": "ё" * (n % 3), "TEXTS": ["a"] * (n % 4) or False, "NEW": n} for n in range(count)]
    assert_same([php(row) for row in rows], monkeypatch)


def test_a_row_is_a_row_wherever_it_stood() -> None:
    found = cut(read_page([' {"A" : "1", "B": [ "2" ] } ', '{"B":["3"],"A":null}']))
    assert {key: [*column] for key, column in found.items()} == {"A": ["1", None], "B": [["2"], ["3"]]}


LONG = ["18446744073709551616", "-123456789012345678901234567890", "0.12345678901234567891", "1e999", "1e-999"]


@pytest.mark.parametrize("number", [*LONG, "9007199254740993.5", "1" * 400, "1e99999999999999999999"])
@pytest.mark.parametrize("around", ["{}", "[{}]", '{{"a":[1,{}]}}'])
def test_a_number_keeps_all_its_digits_on_both_ways(number: str, around: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = around.format(number)
    assert cut(read_page([f'{{"A":{text}}}']))["A"].texts(flags=False).to_pylist() == [text]
    assert_same([f'{{"ID":1,"TITLE":{text},"NEW":{text}}}', '{"ID":2}'], monkeypatch)
    decoder = Decoder(columns(DESCRIBED, {}, key="ID"), "ID", MOSCOW)
    body = f'{{"result":[{{"ID":1,"TITLE":{text},"NEW":{text}}}]}}'
    landed_ = decoder.batch(read_answer(200, body.encode(), method="crm.deal.list").result)
    assert (landed_["TITLE"].to_pylist(), landed_["NEW"].to_pylist()) == ([text], [text])


@pytest.mark.parametrize(
    ("number", "money", "double"),
    [
        ("123456789.123456789", Decimal("123456789.123456789"), 123456789.12345679),
        ("12345678901234567.5", Decimal("12345678901234567.5"), 12345678901234568.0),
        ("0.10000000000000001", Decimal("0.1"), 0.1),
    ],
)
def test_a_sum_of_money_keeps_digits_that_a_float_does_not(
    number: str, money: Decimal, double: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same([f'{{"ID":1,"OPPORTUNITY":{number},"PROBABILITY":{number}}}'], monkeypatch)
    decoder = Decoder(columns(DESCRIBED, {}, key="ID"), "ID", MOSCOW)
    batch = decoder.batch(read_page([f'{{"ID":1,"OPPORTUNITY":{number},"PROBABILITY":{number}}}']))
    assert (batch["OPPORTUNITY"].to_pylist(), batch["PROBABILITY"].to_pylist()) == ([money], [double])


def test_a_value_that_is_nested_too_deeply_is_an_error_of_the_stream() -> None:
    with pytest.raises(StreamError, match="cannot be read"):
        parsed(Raw(b"[" * 9999 + b"]" * 9999))
    deep: list[Any] = []
    for _ in range(9999):
        deep = [deep]
    with pytest.raises(StreamError, match="cannot be read"):
        printed(deep)


def test_plain_columns_make_no_value_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"ID": str(n), "COUNT": n, "FLAG": n % 2 == 0, "NOTHING": None, "MANY": ["a", "б"]} for n in range(300)]
    found = cut(read_page([orjson.dumps(row).decode() for row in rows]))
    monkeypatch.setattr("b24lake.reading.cutting.parsed", pytest.fail)
    assert found["ID"].texts(flags=False) == pa.array([row["ID"] for row in rows])
    assert found["COUNT"].texts(flags=False) == pa.array([str(row["COUNT"]) for row in rows])
    assert found["FLAG"].texts(flags=True) == pa.array(["true", "false"] * 150)
    assert found["MANY"].lists() == pa.array([["a", "б"]] * 300)
    assert found["NOTHING"].is_null()


# --- pages ------------------------------------------------------------------------------------------------------------

DEALS = STREAMS["deals"]
INSIDE = replace(DEALS, rows_at="items")

SINCE = Since("DATE_MODIFY", datetime(2026, 1, 1, tzinfo=MOSCOW), "2026-01-01")


def page(first: int, count: int = PAGE, **more: Any) -> list[dict[str, Any]]:
    return [{"ID": str(key), "DATE_MODIFY": "2026-01-02T00:00:00+03:00", **more} for key in range(first, first + count)]


CHAINS: dict[str, list[Any]] = {
    "full pages": [page(1), page(51)],
    "a short page": [page(1), page(51, 7), page(1)],
    "an empty page": [page(1), []],
    "nothing": [[]],
    "numbers": [[{"ID": 1}, {"ID": 2.0}, {"TITLE": "x", "ID": "3"}]],
    "the id is not the first": [[{"TITLE": "x", "ID": "3"}, {"FILE": {"ID": "9"}, "ID": "4"}]],
    "no id": [page(1), [{"TITLE": "x"}]],
    "an id that is no number": [[{"ID": "x"}]],
    "an id that is an object": [[{"ID": {"a": 1}}]],
    "ids that do not rise": [page(1), page(50)],
    "too many rows": [page(1, 51)],
    "old rows": [page(1, 3, DATE_MODIFY="2025-12-31T00:00:00+03:00")],
    "rows without a time": [page(1, 3, DATE_MODIFY=None)],
    "no rows at all": [page(1), "text"],
    "an object of rows": [{"0": {"ID": "1"}, "1": {"ID": "2"}}],
    "not only rows": [page(1), [{"ID": "51"}, 5]],
}


def judged(stream: Stream, contents: list[Any], since: Since | None) -> Any:
    try:
        read = read_chain(stream, Chain(after=0, pages=len(contents)), since, [Answer(content) for content in contents])
    except StreamError as error:
        return str(error)
    return [value_of(row, stream.key) for row in read.rows], read.reached, read.finished, str(read.problem), read.wasted


def unread(content: Any) -> Any:
    """A result as a large body leaves it."""
    if isinstance(content, list | dict):
        return msgspec.json.decode(orjson.dumps(content), type=list[Raw] | dict[str, Raw])
    return content


@pytest.mark.parametrize("since", [None, SINCE], ids=["all", "since"])
@pytest.mark.parametrize("contents", CHAINS.values(), ids=CHAINS)
def test_pages_of_json_are_judged_as_the_same_pages_parsed(contents: list[Any], since: Since | None) -> None:
    assert judged(DEALS, [unread(content) for content in contents], since) == judged(DEALS, contents, since)


@pytest.mark.parametrize("contents", CHAINS.values(), ids=CHAINS)
def test_pages_inside_of_an_object_are_judged_too(contents: list[Any]) -> None:
    inside = [{"items": content} for content in contents]
    assert judged(INSIDE, [unread(content) for content in inside], None) == judged(INSIDE, inside, None)


def test_pages_of_json_stay_json() -> None:
    read = read_chain(DEALS, Chain(after=0, pages=1), None, [Answer(unread(page(1)))])
    assert [type(row) for row in read.rows] == [Raw] * PAGE
