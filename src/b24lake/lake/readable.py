"""Readable views: a table with labels beside its ids and sums beside their text, as one SELECT (pure).

What a column refers to stands in its table's properties, so that this knows tables, and nothing of who wrote them:

    b24lake.refers   {"STAGE_ID": [{"stream": "status_list", "key": "STATUS_ID", "label": ["NAME"], …}], …}
    b24lake.money    ["UF_CRM_1710245281259"]   text such as `300|EUR`

A view has all columns of its table, unchanged, and beside them `X_LABEL`, or `X_AMOUNT` and `X_CURRENCY`; `__2` is
added where the table has a column of that name. Its columns depend on its table alone: where the table that knows the
labels is missing, they are null. It has a row for each row of its table: the tables with labels are grouped by what is
looked up in them.
"""

# ruff: noqa: S608  every name and text in this SQL is quoted

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, count
from typing import Any, Literal

import pyarrow as pa

from b24lake.lake.columns import base_name

REFERS, MONEY = "b24lake.refers", "b24lake.money"
"""Table properties, as JSON."""
SUFFIX = "_readable"
"""What the name of a view has behind that of its table."""
SUM = pa.decimal128(38, 9)
SUMS = "sums"

What = Literal["label", "amount", "currency"]


@dataclass(frozen=True)
class Reference:
    """What the values of a column stand for: rows of another stream's table.

    stream   that of the other table, which is of the same portal
    key      its column that holds the values
    label    its columns that say what to call a row, to be read with a blank between them
    where    column -> value of the rows that count; `family`: rows with that value, `_` and a number count as well
    items    the column of lists whose structs are looked up in the place of rows; `key` and `label` are their parts
    when     column -> value of the rows to which this reference applies, as text
    """

    stream: str
    key: str
    label: tuple[str, ...]
    where: tuple[tuple[str, str], ...] = ()
    family: bool = False
    items: str = ""
    when: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Described:
    """A table as far as views need it."""

    layer: str
    name: str
    schema: pa.Schema
    refers: Mapping[str, tuple[Reference, ...]] = field(default_factory=dict)
    money: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Extra:
    """A column that a view has beside its column `of`."""

    name: str
    of: str
    what: What
    type: pa.DataType
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class Dialect:
    """How an engine spells what engines spell differently; `{}` takes what it is about.

    streams   it takes the left side of a join into memory, whatever that is, and lets the right one pass: so labels
              come from the left, join by join
    """

    mark: str
    text: str
    texts: str
    each: str
    numbers: str
    at: str
    gathered: str
    escapes: bool = False
    streams: bool = False


STANDARD = Dialect(
    mark='"',
    text="VARCHAR",
    texts="VARCHAR[]",
    each="unnest({})",
    numbers="unnest(range(1, CAST(cardinality(ids) AS BIGINT) + 1))",
    at="ids[n]",
    gathered="array_agg({} ORDER BY n)",
)
"""What DuckDB and others of its kind understand."""
DATAFUSION = replace(STANDARD, streams=True)
"""The engine of `query`. It understands the standard as well, but takes all rows of the table into memory, each time
for each join (20 GB for 100,000 deals). It must be told not to change the sides: see `query`."""
SPARK = Dialect(
    mark="`",
    text="STRING",
    texts="ARRAY<STRING>",
    each="explode({})",
    numbers="explode(sequence(1, cardinality(ids)))",
    at="element_at(ids, n)",
    gathered="transform(sort_array(collect_list(struct(n, {} AS v))), x -> x.v)",
    escapes=True,
)
DIALECTS: Mapping[str, Dialect] = {"duckdb": STANDARD, "spark": SPARK}


def as_properties(refers: Mapping[str, tuple[Reference, ...]], money: Collection[str]) -> dict[str, str]:
    """Both as table properties; "" where there is nothing to say."""
    told = {column: [_as_json(each) for each in several] for column, several in refers.items() if several}
    return {REFERS: dumped(told), MONEY: dumped(sorted(money))}


def described(layer: str, name: str, schema: pa.Schema, properties: Mapping[str, str]) -> Described:
    """The table with what its properties say; what they say in another form than ours is nothing."""
    refers, money = loaded(properties.get(REFERS), dict), loaded(properties.get(MONEY), list)
    known = {str(column): tuple(_references(told)) for column, told in refers.items()}
    return Described(layer, name, schema, known, frozenset(map(str, money)))


def has_view(properties: Mapping[str, str]) -> bool:
    """Tell whether a view would have more columns than its table."""
    return bool(properties.get(REFERS) or properties.get(MONEY))


def extras(table: Described) -> tuple[Extra, ...]:
    """The columns that the view has beyond its table's, in the order of these."""
    taken = {name.casefold() for name in table.schema.names}
    found = []
    for column in table.schema:
        for what, kind in _kinds_of(column, table):
            name = _free(f"{column.name}_{what.upper()}", taken)
            taken.add(name.casefold())
            found.append(Extra(name, column.name, what, kind, table.refers.get(column.name, ())))
    return tuple(found)


def streams_of(table: Described, wanted: Collection[str] | None = None) -> frozenset[str]:
    """The streams whose tables know labels: all, or those of the columns that are wanted."""
    asked = (each for each in extras(table) if wanted is None or each.name in wanted)
    return frozenset(reference.stream for each in asked for reference in each.references)


def usable(reference: Reference, table: Described, other: Described | None) -> bool:
    """Tell whether the other table is there and has what the reference names, as values that can be compared."""
    if other is None:
        return False
    texts = {each.name for each in other.schema if pa.types.is_string(each.type)}
    return (
        {name for name, _ in reference.when} <= _values(table.schema)
        and {name for name, _ in reference.where} <= texts
        and {reference.key, *reference.label} <= _values(_looked_up(reference, other))
    )


def select(
    table: Described,
    others: Mapping[str, Described],
    *,
    wanted: Collection[str] | None = None,
    dialect: Dialect = STANDARD,
) -> str:
    """The view as one SELECT.

    others   the tables that know labels, by stream
    wanted   names that somebody asks for: other labels are left out, and nobody has to look them up; None = all
    """
    sql = _Parts(table, others, dialect)
    beside: dict[str, list[Extra]] = {}
    for extra in extras(table):
        if wanted is None or extra.name in wanted:
            beside.setdefault(extra.of, []).append(extra)
    columns = []
    for name in table.schema.names:
        columns.append(f"t.{sql.name(name)}")
        columns += [f"{_value(extra, sql)} AS {sql.name(extra.name)}" for extra in beside.get(name, ())]
    queries = [f"{name} AS ({query})" for query, name in sql.queries.items()]
    source, joins = f"{sql.table(table)} AS t", _left_joins(sql)
    if dialect.streams and sql.joins:
        queries += _right_joins(sql)
        source, joins = f"joined_{len(sql.joins)} AS t", []
    head = [f"WITH {_listed(queries)}"] if queries else []
    return "\n".join([*head, f"SELECT\n  {_listed(columns)}", f"FROM {source}", *joins])


def _left_joins(sql: _Parts) -> list[str]:
    return [f"LEFT JOIN {name} AS {alias} ON {alias}.value = {on}" for (name, on), alias in sql.joins.items()]


def _right_joins(sql: _Parts) -> list[str]:
    """Subqueries, each of which puts the labels of one join beside the rows of the one before it."""
    queries, before = [], sql.table(sql.of)
    for number, ((name, on), alias) in enumerate(sql.joins.items(), 1):
        brought = ("amount", "currency") if name.startswith(SUMS) else ("label",)
        columns = ", ".join(f"{alias}.{each} AS {sql.hidden(alias, each)}" for each in brought)
        joined = f"{name} AS {alias} RIGHT JOIN {before} AS t ON {alias}.value = {on}"
        before = f"joined_{number}"
        queries.append(f"{before} AS (SELECT t.*, {columns} FROM {joined})")
    return queries


@dataclass(frozen=True)
class _Parts:
    """The parts of a SELECT as they come together: subqueries and joins, each of them once."""

    of: Described
    others: Mapping[str, Described]
    dialect: Dialect
    queries: dict[str, str] = field(default_factory=dict)
    joins: dict[tuple[str, str], str] = field(default_factory=dict)

    def name(self, text: str) -> str:
        """A name, quoted."""
        mark = self.dialect.mark
        return f"{mark}{text.replace(mark, mark * 2)}{mark}"

    def table(self, table: Described) -> str:
        """Its name with its layer."""
        return f"{self.name(table.layer)}.{self.name(table.name)}"

    def literal(self, text: str) -> str:
        """A text as SQL takes it."""
        text = text.replace("\\", "\\\\") if self.dialect.escapes else text
        return "'" + text.replace("'", "\\'" if self.dialect.escapes else "''") + "'"

    def query(self, text: str, stem: str) -> str:
        """The name of a subquery."""
        return self.queries.setdefault(text, f"{stem}_{len(self.queries) + 1}")

    def join(self, name: str, on: str, column: str = "label") -> str:
        """The column of a subquery that is joined where its value is that of `on`."""
        alias = self.joins.setdefault((name, on), f"l{len(self.joins) + 1}")
        return f"t.{self.hidden(alias, column)}" if self.dialect.streams else f"{alias}.{column}"

    def hidden(self, alias: str, column: str) -> str:
        """The name under which a column goes from join to join: longer than that of any column of the table."""
        return self.name(f"{max(self.of.schema.names, key=len)}_{alias}_{column}")


def _value(extra: Extra, sql: _Parts) -> str:
    """What the column holds."""
    if extra.what != "label":
        return _sum(extra, sql)
    labels = [
        _joined(extra, each, sql) for each in extra.references if usable(each, sql.of, sql.others.get(each.stream))
    ]
    if not labels:
        return f"CAST(NULL AS {_spelled(extra.type, sql.dialect)})"
    return labels[0] if len(labels) == 1 else f"coalesce({', '.join(labels)})"


def _joined(extra: Extra, reference: Reference, sql: _Parts) -> str:
    """The column with the labels of one reference."""
    kind = sql.of.schema.field(extra.of).type
    many = base_name(kind) == "array"
    labels = sql.query(_labels(reference, kind.value_type if many else kind, sql), "labels")
    if many:
        gathered = sql.dialect.gathered.format(f"{labels}.label")
        lists = f"{labels} RIGHT JOIN {_numbered(extra.of, sql)} ON {labels}.value = e.value GROUP BY e.ids"
        labels = sql.query(f"SELECT e.ids AS value, {gathered} AS label FROM {lists}", "lists")
    column = f"t.{sql.name(extra.of)}"
    texts = {name: f"CAST(t.{sql.name(name)} AS {sql.dialect.text})" for name, _ in reference.when}
    whens = [f" AND {texts[name]} = {sql.literal(value)}" for name, value in reference.when]
    return sql.join(labels, f"{column}{''.join(whens)}")


def _labels(reference: Reference, kind: pa.DataType, sql: _Parts) -> str:
    """The values and the label of each, as values of the type `kind`."""
    other, text = sql.others[reference.stream], sql.dialect.text
    source, where = sql.table(other), [_condition(name, value, reference, sql) for name, value in reference.where]
    filtered = f" WHERE {' AND '.join(where)}" if where else ""
    named: Callable[[str], str] = sql.name
    if reference.items:
        items = sql.dialect.each.format(sql.name(reference.items))
        source, filtered = f"(SELECT {items} AS item FROM {source}{filtered}) AS i", ""
        named = lambda part: f"item[{sql.literal(part)}]"  # noqa: E731
    value = f"TRY_CAST({named(reference.key)} AS {'BIGINT' if pa.types.is_integer(kind) else text})"
    texts = [f"CAST({named(name)} AS {text})" for name in reference.label]
    label = texts[0] if len(texts) == 1 else f"nullif(trim(concat_ws(' ', {', '.join(texts)})), '')"
    return f"SELECT {value} AS value, min({label}) AS label FROM {source}{filtered} GROUP BY {value}"


def _condition(name: str, value: str, reference: Reference, sql: _Parts) -> str:
    """Rows with the value; of a family, with the value and a number behind it as well."""
    column, equal = sql.name(name), f"{sql.name(name)} = {sql.literal(value)}"
    begins = f"{value}_"
    if not reference.family:
        return equal
    return f"({equal} OR substr({column}, 1, {len(begins)}) = {sql.literal(begins)})"


def _numbered(column: str, sql: _Parts) -> str:
    """Each different list of a column with its values, in rows numbered from 1.

    Lists are compared as a whole, and there are far fewer different ones than rows: no key is needed to bring the
    labels back to their rows.
    """
    name, source = sql.name(column), sql.table(sql.of)
    lists = f"SELECT DISTINCT {name} AS ids FROM {source} WHERE cardinality({name}) > 0"
    numbers = f"SELECT ids, {sql.dialect.numbers} AS n FROM ({lists}) AS c"
    return f"(SELECT ids, n, {sql.dialect.at} AS value FROM ({numbers}) AS d) AS e"


def _sum(extra: Extra, sql: _Parts) -> str:
    """Amount or currency of a text such as `300|EUR`; a text that is no amount has none."""
    if base_name(extra.type) != "array":
        return _half(extra.what, f"t.{sql.name(extra.of)}")
    halves = [f"{sql.dialect.gathered.format(_half(what, 'e.value'))} AS {what}" for what in ("amount", "currency")]
    rows = f"{_numbered(extra.of, sql)} GROUP BY e.ids"
    lists = sql.query(f"SELECT e.ids AS value, {', '.join(halves)} FROM {rows}", SUMS)
    return sql.join(lists, f"t.{sql.name(extra.of)}", extra.what)


def _half(what: str, text: str) -> str:
    if what == "amount":
        return f"TRY_CAST(split_part({text}, '|', 1) AS DECIMAL(38, 9))"
    return f"nullif(split_part({text}, '|', 2), '')"


def _kinds_of(column: pa.Field, table: Described) -> Iterator[tuple[What, pa.DataType]]:
    """What comes beside a column, and of which type; nothing beside one whose type no label can be looked up for."""
    many = base_name(column.type) == "array"
    kind = column.type.value_type if many else column.type
    text = pa.types.is_string(kind)
    if column.name in table.money and text:
        yield "amount", pa.list_(SUM) if many else SUM
        yield "currency", pa.list_(pa.string()) if many else pa.string()
    elif table.refers.get(column.name) and (text or pa.types.is_integer(kind)):
        yield "label", pa.list_(pa.string()) if many else pa.string()


def _looked_up(reference: Reference, other: Described) -> Iterable[pa.Field]:
    """Where key and label have to be: among columns, or parts of the structs in a column of lists."""
    if not reference.items:
        fields: Iterable[pa.Field] = other.schema
        return fields
    kind = other.schema.field(reference.items).type if reference.items in other.schema.names else pa.null()
    return list(kind.value_type) if base_name(kind) == "array" and pa.types.is_struct(kind.value_type) else ()


def _values(fields: Iterable[pa.Field]) -> set[str]:
    """Those that hold plain values."""
    return {each.name for each in fields if not pa.types.is_nested(each.type)}


def _spelled(kind: pa.DataType, dialect: Dialect) -> str:
    return dialect.texts if base_name(kind) == "array" else dialect.text


def _free(wanted: str, taken: Collection[str]) -> str:
    names = chain([wanted], (f"{wanted}__{number}" for number in count(2)))
    return next(name for name in names if name.casefold() not in taken)


def _listed(parts: Any) -> str:
    return ",\n  ".join(parts)


def _as_json(reference: Reference) -> dict[str, Any]:
    pairs = {"where": dict(reference.where), "when": dict(reference.when)}
    return {name: value for name, value in {**asdict(reference), **pairs}.items() if value}


def _references(told: Any) -> Iterator[Reference]:
    for each in told if isinstance(told, list) else ():
        with suppress(KeyError, TypeError, ValueError):
            pairs = {name: tuple(dict(each[name]).items()) for name in ("where", "when") if name in each}
            yield Reference(**{**each, "label": tuple(each["label"]), **pairs})


def dumped(told: Any) -> str:
    """As a table property; "" where there is nothing to say."""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if told else ""


def loaded(text: str | None, kind: type) -> Any:
    """What a property says; nothing where it is there in another form than ours."""
    try:
        told = json.loads(text or "")
    except ValueError:
        return kind()
    return told if isinstance(told, kind) else kind()
