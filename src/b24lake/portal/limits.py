"""How long to wait, and which method rests. Pure: time is passed in, state goes in and comes out.

Two limits of the portal (limits.md of the vendor's docs):

* requests: a leaky bucket per portal and address. Each HTTP request adds 1, `drain` leave per second; above
  `threshold` the portal answers 503 QUERY_LIMIT_EXCEEDED.
* operating time: seconds of work per method in a sliding window of ten minutes. It comes as a gauge with each answer
  (`operating`, `operating_reset_at`), and is billed to the method or, on some portals, to `batch` as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from b24lake.portal.replies import Answer, Timing

BATCH = "batch"  # the gauge of a portal that bills the envelope instead of the methods inside
UNKNOWN_REST = 1.5  # seconds between two looks at a block of which the portal does not say when it ends
OVER = 0.02  # of the threshold, by which a method may pass it with its last request before a rest
FEELER = 0.05  # of the threshold may be asked after a reset, until an answer tells what has become free
RESERVE = 2.0  # seconds of drain kept free: requests arrive later and closer together than they were sent
_NEARLY = 0.9  # of the work that is booked: portals leave out very short commands
TOGETHER = 1.0  # seconds between refusals that count as one
SLOWEST = 1 / 8  # of the plan's drain, however often the portal refuses


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tariff allows: `drain` requests a second after a burst of `threshold`."""

    threshold: int
    drain: float


PLANS: Mapping[str, Plan] = {"standard": Plan(50, 2.0), "enterprise": Plan(250, 5.0)}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Requests the portal counts against us: `level` at moment `at`; `pace` (0..1] slows us down after a refusal."""

    level: float = 0.0
    at: float = 0.0
    pace: float = 1.0


def wait(bucket: Bucket, now: float, plan: Plan) -> float:
    """Seconds until one more request is safe.

    >>> wait(Bucket(level=46, at=100.0), 100.0, PLANS["standard"])
    0.5
    """
    over = _drained(bucket, now, plan) + 1 - max(1.0, plan.threshold - RESERVE * plan.drain)
    return max(0.0, over / (plan.drain * bucket.pace))


def take(bucket: Bucket, now: float, plan: Plan) -> Bucket:
    """The bucket after one more request; each one that went well also restores a little of the pace."""
    return Bucket(_drained(bucket, now, plan) + 1, now, min(1.0, bucket.pace * 1.02))


def refused(bucket: Bucket, now: float, plan: Plan) -> Bucket:
    """The bucket after a 503: somebody else fills it too, so count it as full and halve the pace.

    Requests that were on their way together are refused together: that is one refusal.
    """
    again = bucket.level >= plan.threshold and now - bucket.at < TOGETHER
    return Bucket(float(plan.threshold), now, bucket.pace if again else max(SLOWEST, bucket.pace / 2))


def rebased(bucket: Bucket, now: float, plan: Plan) -> Bucket:
    """The same bucket as of `now`: from here it drains even where a clock was set back by hours."""
    return Bucket(_drained(bucket, now, plan), now, bucket.pace)


def _drained(bucket: Bucket, now: float, plan: Plan) -> float:
    return max(0.0, bucket.level - max(0.0, now - bucket.at) * plan.drain * bucket.pace)


@dataclass(frozen=True, slots=True)
class Gauge:
    """Operating seconds the portal last booked for one method. Moments are seconds of our own clock.

    until       rests before this moment; 0 = may run
    since       seconds of work since then of which the portal has not told
    refused_at  when OPERATION_TIME_LIMIT came first, with no command having run since; None = it did not
    """

    operating: float = 0.0
    reset_at: float | None = None
    until: float = 0.0
    since: float = 0.0
    refused_at: float | None = None


@dataclass(frozen=True, slots=True)
class Gauges:
    """The gauges of all methods, and the threshold (seconds, 0 = off) above which one of them rests.

    by_batch   the portal seems to bill batches as a whole
    """

    threshold: float = 200.0
    by_method: Mapping[str, Gauge] = field(default_factory=dict)
    by_batch: bool = False

    def resting_until(self, method: str) -> float:
        """The moment (our clock) at which a command of this method may run again."""
        return max(self.by_method.get(name, Gauge()).until for name in (method, BATCH))

    def unsure(self, method: str) -> bool:
        """Whether only a command can tell if the method may run again; one that is refused costs the portal nothing."""
        gauge = self.by_method.get(method, Gauge())
        return gauge.refused_at is not None and gauge.reset_at is None

    def refused_for(self, method: str, now: float) -> float:
        """Seconds for which a method has not been let run; 0 = it has."""
        since = [self.by_method.get(name, Gauge()).refused_at for name in (method, BATCH)]
        return max(0.0 if at is None else now - at for at in since)

    def left(self, method: str, now: float) -> float:
        """Seconds of work until a method passes the threshold; infinite where the portal does not tell."""
        gauge = self.by_method.get(BATCH if self.by_batch else method, Gauge())
        if not self.threshold or gauge.reset_at is None:
            return math.inf
        if gauge.reset_at <= now:
            return FEELER * self.threshold
        return self.threshold - gauge.operating - gauge.since


def observe(gauges: Gauges, answers: Iterable[tuple[str, Answer]], outer: Timing, now: float) -> Gauges:
    """The gauges after one batch (or call): `answers` as (method, answer), `outer` the batch's own timing.

    Per batch and method the largest value counts, since most commands report 0. The envelope's own number is the gauge
    of `batch` where no command reports anything, or commands of several methods all report just this number and it
    grew by the work of all of them. Elsewhere it may repeat a method's number, so it only tells when `batch` would be
    free after a block.
    """
    answers = list(answers)
    told = _by_method(answers)
    finish = outer.finish or max((one.timing.finish or 0.0 for one in told.values()), default=0.0)
    by_batch = gauges.by_batch
    if outer.operating:
        grew = outer.operating - gauges.by_method.get(BATCH, Gauge()).operating
        by_batch = _bills_batch(answers, outer.operating, grew, before=by_batch)
    updated = dict(gauges.by_method)
    for method, one in told.items():
        updated[method] = _read(updated.get(method, Gauge()), one, gauges.threshold, now, finish)
    if outer.operating or BATCH in updated:
        whole = _Told(outer, ran=any(one.ran for one in told.values()))
        updated[BATCH] = _read(updated.get(BATCH, Gauge()), whole, gauges.threshold if by_batch else 0.0, now, finish)
    return replace(gauges, by_method=updated, by_batch=by_batch)


class _Told(NamedTuple):
    """What one batch told of a method: the largest gauge, seconds of work in all and after that, whether any ran."""

    timing: Timing
    took: float = 0.0
    since: float = 0.0
    ran: bool = False


def _by_method(answers: Iterable[tuple[str, Answer]]) -> dict[str, _Told]:
    told: dict[str, _Told] = {}
    for method, answer in answers:
        timing, known = answer.timing, told.get(method, _Told(answer.timing))
        took, ran = known.took + timing.duration, known.ran or not (answer.error or answer.missing)
        if (timing.operating or 0) >= (known.timing.operating or 0):
            told[method] = _Told(timing, took, 0.0, ran)
        else:
            told[method] = _Told(known.timing, took, known.since + timing.duration, ran)
    return told


def _bills_batch(answers: Collection[tuple[str, Answer]], operating: float, grew: float, *, before: bool) -> bool:
    """Whether a portal seems to bill batches as a whole instead of the methods inside; `before` where nothing tells.

    Methods that did the same work show the same number as well, but not one that has grown by the work of all of them.
    """
    told = [(method, answer.timing.operating) for method, answer in answers if answer.timing.operating]
    if not told or {number for _, number in told} != {operating}:
        return not told
    worked = sum(answer.timing.duration for _, answer in answers)
    return True if len({method for method, _ in told}) > 1 and grew >= _NEARLY * worked else before


def blocked(gauges: Gauges, method: str, now: float) -> Gauges:
    """The gauges after OPERATION_TIME_LIMIT: rest until the reset of the last good answer; else look now and then."""
    gauge = gauges.by_method.get(method, Gauge())
    reset_at = gauge.reset_at if gauge.reset_at is not None and gauge.reset_at > now else None
    until = now + UNKNOWN_REST if reset_at is None else reset_at + 1.0
    gauge = replace(
        gauge, reset_at=reset_at, until=until, refused_at=now if gauge.refused_at is None else gauge.refused_at
    )
    return replace(gauges, by_method={**gauges.by_method, method: gauge})


def _read(gauge: Gauge, told: _Told, threshold: float, now: float, finish: float) -> Gauge:
    """A 0 or an absent value never lowers a gauge before its reset: real batches report 0 on most commands."""
    timing = told.timing
    before_reset = gauge.reset_at is not None and now < gauge.reset_at
    operating = max(timing.operating or 0.0, gauge.operating if before_reset else 0.0)
    reset_at = _ours(timing, now, finish) if timing.operating or not before_reset else None
    reset_at = reset_at if reset_at is not None else (gauge.reset_at if before_reset else None)
    until = gauge.until if gauge.until > now else 0.0
    if threshold > 0 and (timing.operating or 0.0) > threshold:
        until = reset_at + 1.0 if reset_at is not None else now + operating
    since = 0.0
    if told.since or (timing.operating or 0.0) < gauge.operating:  # what ran at the same time may not be in the number
        since = max(told.since, (gauge.operating + gauge.since if before_reset else 0.0) + told.took - operating)
    return Gauge(operating, reset_at, until, since, None if told.ran else gauge.refused_at)


def _ours(timing: Timing, now: float, finish: float) -> float | None:
    """The reset moment on our clock: the portal's clock, which ended the batch at `finish`, may be an hour off.

    None where the portal tells none, or one that has passed when it tells it.
    """
    if timing.reset_at is None or timing.reset_at <= (timing.finish or now):
        return None
    return now + (timing.reset_at - finish) if finish else timing.reset_at
