"""The streams of one portal: which are there, with which columns, and why the others are locked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from b24lake.errors import B24LakeError, LockedError, RestError, RetryError, StreamError
from b24lake.portal import probe
from b24lake.portal.connection import MAX_COMMANDS, Command, Connection
from b24lake.portal.probe import Probe
from b24lake.portal.replies import Answer, mapping
from b24lake.streams.definitions import STREAMS, Stream
from b24lake.streams.fields import Column, columns

ROUNDS = 5  # times that a command which a portal leaves unanswered is asked
RESTING_ROUNDS = 240  # times that one is asked whose method rests: about the ten minutes that a rest lasts at most
SLOWEST = 3  # the pause between two rounds grows up to that of this attempt


@dataclass(frozen=True, slots=True)
class Found:
    """A stream as one portal has it; `locked` says why it cannot be read there."""

    stream: Stream
    columns: tuple[Column, ...] = ()
    locked: LockedError | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one webhook may read. `streams` holds all of them by name, the locked ones as well."""

    probe: Probe
    streams: Mapping[str, Found]


def discover(connection: Connection) -> Discovery:
    """Ask the portal for its owner, scopes and clock and for the columns of every stream: one request.

    Raises StopError where the webhook or the portal does not work at all.
    """
    described = {stream.describe for stream in STREAMS.values()} | {
        stream.method for stream in STREAMS.values() if stream.paging == "fields"
    }
    commands = {f"d{number}": Command(method) for number, method in enumerate(sorted(described - {""}))}
    answers = _ask(connection, {**probe.QUESTIONS, **commands})
    about = probe.read(answers)
    by_method = {command.method: answers[key] for key, command in commands.items()}
    return Discovery(about, {stream.name: _found(stream, about, by_method) for stream in STREAMS.values()})


def _ask(connection: Connection, commands: Mapping[str, Command]) -> dict[str, Answer]:
    """All commands in as few requests as possible; what stays unanswered or rests is asked again."""
    answers: dict[str, Answer] = {}
    for round_ in range(RESTING_ROUNDS):
        open_ = {key: command for key, command in commands.items() if key not in answers or _unanswered(answers[key])}
        resting = any(isinstance(answers[key].error, RestError) for key in open_ if key in answers)
        if not open_ or (round_ >= ROUNDS and not resting):
            break
        if round_:
            connection.pause(min(round_, SLOWEST))
        for part in _parts(open_.items()):
            answers.update(_batch(connection, dict(part)))
    return answers


def _batch(connection: Connection, commands: Mapping[str, Command]) -> Mapping[str, Answer]:
    try:
        return connection.batch(commands).answers
    except RestError as error:  # the portal bills batches, and these rest
        return dict.fromkeys(commands, Answer(error=error))


def _unanswered(answer: Answer) -> bool:
    return answer.missing or isinstance(answer.error, RetryError | RestError)


def _parts(items: Iterable[tuple[str, Command]]) -> Iterable[list[tuple[str, Command]]]:
    rest = iter(items)
    while part := list(islice(rest, MAX_COMMANDS)):
        yield part


def _found(stream: Stream, about: Probe, described: Mapping[str, Answer]) -> Found:
    scope = _missing_scope(stream, about)
    if scope is not None:
        return Found(stream, locked=scope)
    answer = described.get(stream.describe or stream.method, Answer())
    refused = _refusal(stream, answer)
    if refused is not None:
        return Found(stream, locked=refused)
    shown = None if stream.paging == "fields" else _description(answer)
    return Found(stream, columns(shown, stream.declared, key=stream.key))


def _description(answer: Answer) -> Any:
    return None if answer.error or answer.missing else answer.result


def _missing_scope(stream: Stream, about: Probe) -> LockedError | None:
    if not about.tells_scopes or about.scopes.intersection(stream.scopes):
        return None  # a portal that does not list its scopes refuses the method itself, if at all
    return LockedError(
        f"Stream {stream.name} needs the scope {' or '.join(stream.scopes)}",
        why="the webhook was not given it",
        fix="open the incoming webhook in Bitrix24 > Developer resources > Integrations and tick the scope",
        code="insufficient_scope",
    )


def _refusal(stream: Stream, answer: Answer) -> LockedError | None:
    """Why a stream cannot be read, from the answer that should describe its columns."""
    error: B24LakeError | None = answer.error
    if error is None and answer.missing:
        error = StreamError(f"The portal does not answer {stream.describe or stream.method}", fix="run it again later")
    if error is None and stream.describe and not stream.declared and not mapping(answer.result):
        error = StreamError(
            f"{stream.describe} describes no fields",
            why="the webhook's owner may not read them",
            fix="let an administrator create the webhook",
        )
    if error is None or isinstance(error, LockedError):
        return error if error is None or _needed(stream) else None
    return LockedError(error.what, why=error.why, fix=error.fix, code=error.code) if _needed(stream) else None


def _needed(stream: Stream) -> bool:
    """Whether a stream cannot do without its description: labels alone are not worth refusing it."""
    return stream.paging == "fields" or stream.spelling == "crm"
