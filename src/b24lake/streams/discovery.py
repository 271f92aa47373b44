"""The streams of one portal: which are there, with which columns, and why the others are locked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

from b24lake.errors import B24LakeError, LockedError, OverlongError, RestError, RetryError, StreamError
from b24lake.portal import phpquery, probe
from b24lake.portal.connection import MAX_COMMANDS, Command, Connection
from b24lake.portal.probe import Probe
from b24lake.portal.replies import Answer, mapping
from b24lake.streams import funnels, smart, universal
from b24lake.streams.definitions import SMART, STREAMS, Stream
from b24lake.streams.fields import CATEGORY, Column, columns, name_of
from b24lake.streams.funnels import Funnels
from b24lake.streams.scopes import tick
from b24lake.streams.universal import UNIVERSAL

ROUNDS = 5  # times that a command which a portal leaves unanswered is asked
RESTING_ROUNDS = 240  # times that one is asked whose method rests: about the ten minutes that a rest lasts at most
SLOWEST = 3  # the pause between two rounds grows up to that of this attempt

Lock = Literal["scope", "plan", "rights", "gone", "other"]
_LOCKS: Mapping[str, Lock] = {
    "INSUFFICIENT_SCOPE": "scope",
    "ERROR_METHOD_NOT_FOUND": "plan",
    "ERROR_MANIFEST_IS_NOT_AVAILABLE": "plan",
    "ACCESS_DENIED": "rights",
    "ACCESS_ERROR": "rights",
    "200040300010": "rights",
    "ALLOWED_ONLY_INTRANET_USER": "rights",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A stream as one portal has it; `locked` says why it cannot be read there, `note` how it is read otherwise."""

    stream: Stream
    columns: tuple[Column, ...] = ()
    locked: LockedError | None = None
    note: str = ""

    def column(self, source: str) -> str:
        """The column that holds a key of the portal's rows."""
        return name_of(self.columns, source)

    @property
    def lock(self) -> Lock | None:
        """What locks it: a missing scope, the plan or edition, the owner's rights, its end, or something else."""
        return kind_of_lock(self.stream, self.locked) if self.locked else None


def kind_of_lock(stream: Stream, error: B24LakeError) -> Lock:
    """What keeps a stream from being read, from the error that says so."""
    if stream.group == SMART and error.code.upper() == smart.GONE:
        return "gone"
    return "plan" if "plan does not" in error.why else _LOCKS.get(error.code.upper(), "other")


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one webhook may read. `streams` holds all of them by name, the locked ones as well.

    knows_types   whether the portal told which smart processes there are; otherwise some may be missing in `streams`
    universal     those of the core CRM as the universal methods give them (`readers.read_by`)
    funnels       of deals; none where the portal does not tell
    """

    probe: Probe
    streams: Mapping[str, Found]
    knows_types: bool = True
    universal: Mapping[str, Found] = field(default_factory=dict)
    funnels: Funnels = field(default_factory=dict)


def discover(connection: Connection) -> Discovery:
    """Ask the portal for its owner, scopes and clock and for the columns of every stream: one request.

    A portal with smart processes is asked for theirs in a second one. Raises StopError where the webhook or the portal
    does not work at all.
    """
    fixed = _descriptions([*STREAMS.values(), *UNIVERSAL.values()])
    answers = _ask(connection, {**probe.QUESTIONS, **smart.QUESTIONS, **funnels.OF_DEALS, **fixed})
    about = probe.read(answers)
    types, knows_types = _smart_types(connection, answers)
    dynamic = {stream.name: stream for one in types for stream in smart.streams_of(one)}
    asked = _descriptions(dynamic.values())
    more = _ask(connection, {**asked, **_funnels_of(types, room=MAX_COMMANDS - len(asked))})
    described = {_question(command): answers[key] for key, command in fixed.items()}
    described |= {_question(command): more[key] for key, command in asked.items()}
    known = {"deal_fields": funnels.of_deals(answers)}
    known |= {name: funnels.told(more[name]) for name in dynamic if name in more}
    streams = {**STREAMS, **dynamic}
    if smart.refused(answers):
        streams["spa_types"] = smart.listed_one_by_one(types)
    found, other = (
        {stream.name: _found(_with_choices(stream, known), about, described) for stream in each.values()}
        for each in (streams, UNIVERSAL)
    )
    if not knows_types and found["spa_types"].locked is None:
        found["spa_types"] = Found(streams["spa_types"], locked=_untold(answers[smart.TYPES]))
    return Discovery(about, found, knows_types, other, known["deal_fields"])


def _funnels_of(types: Collection[smart.SmartType], *, room: int) -> dict[str, Command]:
    """What to ask for the funnels of smart processes, by the name of the stream that tells them.

    Nothing where that would take one more request: these names are worth no waiting.
    """
    return {smart.fields_of(one): funnels.of_type(one.entity_type) for one in types} if len(types) <= room else {}


def _with_choices(stream: Stream, known: Mapping[str, Funnels]) -> Stream:
    """Field definitions with the names of funnels, which the portal does not tell together with the fields."""
    told = known.get(stream.name)
    return replace(stream, choices={CATEGORY: funnels.items(told)}) if told else stream


def _descriptions(streams: Iterable[Stream]) -> dict[str, Command]:
    """What to ask to know the columns of streams, or at least whether the portal has their methods."""
    asked = [command for stream in streams for command in (_description_of(stream), *_existence_of(stream))]
    questions = {_question(command): command for command in asked}
    return {f"d{number}": questions[each] for number, each in enumerate(sorted(questions))}


def _description_of(stream: Stream) -> Command:
    if stream.paging == "fields":
        return Command(stream.method, stream.params)
    if stream.describe:
        return Command(stream.describe, stream.describe_params)
    return _existence(stream)


def _existence_of(stream: Stream) -> tuple[Command, ...]:
    """What to ask beside the columns: whether there is the list itself, where it can be read in another way."""
    return (_existence(stream),) if stream.name in UNIVERSAL and stream.describe else ()


def _existence(stream: Stream) -> Command:
    return Command("method.get", {"name": stream.method.lower()})


def _question(command: Command) -> str:
    return phpquery.command(*command)


def _smart_types(connection: Connection, answers: Mapping[str, Answer]) -> tuple[list[smart.SmartType], bool]:
    """The portal's smart processes, all pages of them, and whether these are all.

    Those whom the list is refused, or whom a page of it does not reach, know them by name from the list of all types.
    """
    answer, types = answers[smart.TYPES], smart.page(answers[smart.TYPES])
    while following := smart.next_page(answer):
        answer = _ask(connection, {smart.TYPES: following})[smart.TYPES]
        types += [one for one in smart.page(answer) if one not in types]
    if smart.told(answer):
        return types, True
    known = {one.entity_type: one for one in (*smart.known_by_name(answers), *types)}
    return sorted(known.values()), smart.told(answers[smart.OWNERS])


def _untold(answer: Answer) -> LockedError:
    """Why nobody can tell which smart processes there are: what the portal said when it was asked for their list."""
    error = answer.error or StreamError("The portal does not answer crm.type.list", fix="run it again later")
    return LockedError(error.what, why=error.why, fix=error.fix, code=error.code)


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
    """One request; a portal that is too slow for so many commands is asked for half of them at a time."""
    try:
        return connection.batch(commands, splits=len(commands) > 1).answers
    except OverlongError:
        keys = list(commands)
        halves = (keys[: len(keys) // 2], keys[len(keys) // 2 :])
        return {key: one for half in halves for key, one in _batch(connection, {k: commands[k] for k in half}).items()}
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
    answer = described.get(_question(_description_of(stream)), Answer())
    refused = _refusal(stream, answer) if stream.describe or stream.paging == "fields" else None
    refused = refused or _absence(stream, described.get(_question(_existence(stream)), Answer()))
    if refused is not None:
        return Found(stream, locked=refused)
    fields = _description(stream, answer)
    if stream.of_keys:
        classic = STREAMS[stream.name]
        told = described.get(_question(_description_of(classic)), Answer())
        fields = universal.described(mapping(fields), mapping(_description(classic, told)), stream.of_keys)
        if not universal.has_names(fields):
            return Found(stream, locked=_nameless(stream))
    return Found(stream, columns(fields, stream.declared, key=stream.key, translation=stream.of_keys))


def _description(stream: Stream, answer: Answer) -> Any:
    if not stream.describe or answer.error or answer.missing:
        return None
    return mapping(answer.result).get("fields", answer.result)  # crm.item.fields wraps them


def _nameless(stream: Stream) -> LockedError:
    return LockedError(
        f"{stream.describe} does not tell the classic names of fields",
        why="the portal's CRM is too old for that",
        fix="update an on-premise portal",
        code="ERROR_METHOD_NOT_FOUND",
    )


def _absence(stream: Stream, answer: Answer) -> LockedError | None:
    """Why a method cannot be called, from `method.get`; portals that do not answer that are believed to have it."""
    told = mapping(answer.result)
    if told.get("isExisting") is False:
        return LockedError(
            f"The portal has no method {stream.method}",
            why="its plan or its edition does not have it",
            fix="choose a plan with it, or update an on-premise portal; the other streams do without",
            code="ERROR_METHOD_NOT_FOUND",
        )
    if told.get("isAvailable") is False:
        return _without_scope(stream)
    return None


def _missing_scope(stream: Stream, about: Probe) -> LockedError | None:
    if not about.tells_scopes or about.scopes.intersection(stream.scopes):
        return None  # a portal that does not list its scopes refuses the method itself, if at all
    return _without_scope(stream)


def _without_scope(stream: Stream) -> LockedError:
    return LockedError(
        f"The scope {' or '.join(stream.scopes)} is missing",
        why="the webhook was not given it",
        fix=tick(stream.scopes),
        code="insufficient_scope",
    )


def _refusal(stream: Stream, answer: Answer) -> LockedError | None:
    """Why a stream cannot be read, from the answer that should describe its columns."""
    error: B24LakeError | None = answer.error
    if error is None and answer.missing:
        error = StreamError(f"The portal does not answer {stream.describe or stream.method}", fix="run it again later")
    if error is None and not mapping(mapping(answer.result).get("fields", answer.result)):
        error = StreamError(
            f"{stream.describe or stream.method} describes no fields",
            why="the webhook's owner may not read them",
            fix="let an administrator create the webhook",
            code="ACCESS_DENIED",
        )
    if error is None or isinstance(error, LockedError):
        return error if error is None or _needed(stream) else None
    return LockedError(error.what, why=error.why, fix=error.fix, code=error.code) if _needed(stream) else None


def _needed(stream: Stream) -> bool:
    """Whether a stream cannot do without its description: labels alone are not worth refusing it."""
    return stream.paging == "fields" or stream.spelling == "crm"
