"""Where to cut the ids of a stream so that parts of it can be read by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from b24lake.errors import RestError, RetryError, StreamError
from b24lake.portal.connection import Command, Connection
from b24lake.portal.replies import Answer
from b24lake.reading.paging import key_of, narrowed, newest_command, page_params, rows_of, unanswered
from b24lake.streams.definitions import Stream

ROUNDS = 6  # times that the two questions are asked


def cuts(stream: Stream, connection: Connection, parts: int) -> list[tuple[int, int | None]]:
    """Stretches (after, upto] of about as many ids, which together are all ids, from the first to the last and beyond.

    One request: the lowest ids and the highest ones. Raises StreamError where the portal does not tell them.
    """
    oldest = Command(stream.method, narrowed(page_params(stream, 0, None, None), [stream.key]))
    answers = _answers(connection, {"oldest": oldest, "newest": newest_command(stream, None)})
    keys = [key_of(stream, row) for answer in answers for row in rows_of(stream, answer.result)]
    return spread([key for key in keys if key is not None], parts)


def spread(keys: Sequence[int], parts: int) -> list[tuple[int, int | None]]:
    """Ids from the lowest to the highest of these keys, cut into so many stretches, or as many as there are ids.

    >>> spread([11, 12, 20], 2), spread([11, 12], 5), spread([], 3)
    ([(0, 15), (15, None)], [(0, 11), (11, None)], [(0, None)])
    """
    if not keys:
        return [(0, None)]
    below, highest = min(keys) - 1, max(keys)
    count = min(parts, highest - below)
    bounds = [below + (highest - below) * number // count for number in range(1, count)]
    return list(zip([0, *bounds], [*bounds, None], strict=True))


def _answers(connection: Connection, commands: dict[str, Command]) -> list[Answer]:
    """Asked again where they are left unanswered. Raises the error of the portal's refusal."""
    for round_ in range(1, ROUNDS + 1):
        answers = [*connection.batch(commands).answers.values()]
        error = next((answer.error for answer in answers if answer.error), None)
        if error is not None and not isinstance(error, RestError | RetryError):
            raise error
        if error is None and not any(map(unanswered, answers)):
            return answers
        connection.pause(round_)
    raise StreamError("The portal does not tell the ids of the stream", why=str(error or ""), fix="try again later")
