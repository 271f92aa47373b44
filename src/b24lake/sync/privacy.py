"""Columns that a table shall not hold, as a person names them: left out, or hashed with a key (`reading.veil`)."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from b24lake.errors import UsageError
from b24lake.reading.veil import Veil, needed_by
from b24lake.streams.selection import Selected
from b24lake.sync.home import Home
from b24lake.sync.options import Options


def veils_of(selected: Sequence[Selected], streams: Iterable[str], options: Options, home: Home) -> dict[str, Veil]:
    """The veil of each stream, from patterns such as contacts.PHONE or *.UF_*.

    streams   all that there are: a pattern may name one that is not read this time

    Raises UsageError where a pattern fits no column, or names one that its stream cannot do without.
    """
    known = list(streams)
    check(selected, known, options.exclude, "--exclude")
    check(selected, known, options.hash, "--hash")
    key = home.ready().hash_key() if options.hash else b""
    return {one.name: _veil(one, options, key) for one in selected}


def _veil(selected: Selected, options: Options, key: bytes) -> Veil:
    left_out, hashed = _named(selected, options.exclude), _named(selected, options.hash)
    return Veil(left_out, hashed - left_out, key)


def _named(selected: Selected, patterns: Sequence[str]) -> frozenset[str]:
    """The columns of a stream that patterns name; a column may be called by its field's code, too."""
    wanted = [column for stream, column in map(_split, patterns) if fnmatch.fnmatchcase(selected.name, stream)]
    return frozenset(
        column.name
        for column in selected.found.columns
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted for name in (column.name, column.source))
        and column.name not in _needed(selected)
    )


def _needed(selected: Selected) -> frozenset[str]:
    """Columns without which the stream cannot be read or merged."""
    codes = needed_by(selected.found.stream, selected.replication_key)
    return frozenset(column.name for column in selected.found.columns if column.source in codes)


def refuse_needed(option: str, pattern: str, stream: str, column: str) -> UsageError:
    """The error for a column that a stream needs."""
    return UsageError(
        f"{option} {pattern}: {stream} cannot do without {column}",
        why="it is its key, or rows are chosen by it",
        fix="choose other columns",
    )


def check(selected: Sequence[Selected], known: Sequence[str], patterns: Sequence[str], option: str) -> None:
    """Raises UsageError where a pattern fits no column of the streams, or names one that its stream needs.

    known    all streams that there are: a pattern may name one that is not selected
    option   what the patterns were given as, for messages
    """
    for pattern in patterns:
        stream, column = _split(pattern, option)
        if not any(fnmatch.fnmatchcase(name, stream) for name in known):
            raise UsageError(
                f"{option} {pattern}: there is no stream {stream!r}",
                fix=_near(stream, known, "b24lake streams lists them"),
            )
        readable = [one for one in selected if one.found.locked is None and fnmatch.fnmatchcase(one.name, stream)]
        codes = [name for one in readable for each in one.found.columns for name in (each.name, each.source)]
        if readable and not fnmatch.filter(codes, column):
            raise UsageError(
                f"{option} {pattern}: {stream} has no column {column!r}",
                fix=_near(column, codes, f"b24lake streams --json tells the columns of {stream}"),
            )
        for one in readable:
            if column in _needed(one):
                raise refuse_needed(option, pattern, one.name, column)


def _split(pattern: str, option: str = "") -> tuple[str, str]:
    stream, dot, column = pattern.partition(".")
    if not (stream and dot and column):
        raise UsageError(f"{option} needs STREAM.COLUMN, not {pattern!r}", fix=f"write {option} contacts.PHONE")
    return stream, column


def _near(name: str, names: Iterable[str], otherwise: str) -> str:
    near = get_close_matches(name, dict.fromkeys(names), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else otherwise
