"""The `batch` method: up to 50 commands in turn, with references to earlier results.

Source: settings/how-to-call-rest-api/batch.md. What a reference to a missing path becomes is what servers were seen
to do.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from b24lake.sandbox import errors
from b24lake.sandbox.errors import ApiError
from b24lake.sandbox.params import Params, get, items, parse_query
from b24lake.sandbox.replies import Reply, resolve, section

MAX_COMMANDS = 50
TRUE = {"1", "true", "y", "yes", "on"}

_REFERENCE = re.compile(r"\$result((?:\[[^\]]*\])+)")
_KEY = re.compile(r"\[([^\]]*)\]")

Call = Callable[[str, Params], tuple[Reply, dict[str, Any]]]


@dataclass
class Sections:
    """The answer in the making: command key -> JSON text."""

    result: dict[str, bytes] = field(default_factory=dict)
    result_error: dict[str, bytes] = field(default_factory=dict)
    result_total: dict[str, bytes] = field(default_factory=dict)
    result_next: dict[str, bytes] = field(default_factory=dict)
    result_time: dict[str, bytes] = field(default_factory=dict)

    def forget(self, key: str) -> None:
        """Leave a command out of all sections."""
        for entries in vars(self).values():
            entries.pop(key, None)

    def json(self) -> list[bytes]:
        """The five sections as one object, in pieces."""
        pieces = []
        for name, entries in vars(self).items():
            pieces += [b',"%b":' % name.encode(), *section(entries)]
        return [b"{" + pieces[0][1:], *pieces[1:], b"}"]


def run_batch(params: Params, call: Call) -> tuple[Sections, dict[str, dict[str, Any]]]:
    """Run the commands of a batch through `call`; returns the sections but for the times, and these by key."""
    halt = str(get(params, "halt") or "0").lower() in TRUE
    sections, replies, times = Sections(), dict[str, Reply](), dict[str, dict[str, Any]]()
    for number, (key, command) in enumerate(items(get(params, "cmd"))):
        try:
            reply, time = _run(number, str(command), replies, call)
        except ApiError as error:
            sections.result_error[key] = orjson.dumps(error.body())
            if halt:
                break
            continue
        replies[key], times[key] = reply, time
        _keep(sections, key, reply)
    return sections, times


def _run(number: int, command: str, replies: dict[str, Reply], call: Call) -> tuple[Reply, dict[str, Any]]:
    """One command: `method?query`."""
    if number >= MAX_COMMANDS:
        raise errors.too_long_batch()
    method, _, query = command.partition("?")
    if method.strip("/").lower().removesuffix(".json") == "batch":
        raise errors.nested_batch()
    params = parse_query(query)
    return call(method, {key: _filled(value, replies) for key, value in params.items()})


def _keep(sections: Sections, key: str, reply: Reply) -> None:
    sections.result[key] = reply.json()
    if reply.total is not None:
        sections.result_total[key] = b"%d" % reply.total
    if reply.next is not None:
        sections.result_next[key] = b"%d" % reply.next


def _filled(value: Any, replies: dict[str, Reply]) -> Any:
    """A parameter with its references replaced by what they point to."""
    if isinstance(value, dict):
        return {key: _filled(each, replies) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, replies) for each in value]
    if "$result[" not in value:
        return value
    return _referred(value, replies)


def _referred(text: str, replies: dict[str, Reply]) -> Any:
    """Exactly one reference becomes the value it points to, an array too; within a text only scalars are put in."""
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return _pointed(whole, replies)

    def put(found: re.Match[str]) -> str:
        value = _pointed(found, replies)
        return found[0] if isinstance(value, (dict, list)) else _text(value)

    return _REFERENCE.sub(put, text)


def _pointed(found: re.Match[str], replies: dict[str, Reply]) -> Any:
    """Where a reference leads: the deepest existing value, which without the command is the array of all results."""
    key, *path = _KEY.findall(found[1])
    if key in replies:
        return resolve(replies[key], path)
    return {name: orjson.loads(reply.json()) for name, reply in replies.items()}


def _text(value: Any) -> str:
    """A scalar within a text, as PHP prints it: true is 1, false and null are nothing."""
    if value is None or value is False:
        return ""
    return "1" if value is True else str(value)
