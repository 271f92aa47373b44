"""How long to wait, and which method rests. Pure: time is passed in, state goes in and comes out.

Two limits of the portal (limits.md of the vendor's docs):

* requests: a leaky bucket per portal and address. Each HTTP request adds 1, `drain` leave per second; above
  `threshold` the portal answers 503 QUERY_LIMIT_EXCEEDED.
* operating time: seconds of work per method in a sliding window of ten minutes. It comes as a gauge with each answer
  (`operating`, `operating_reset_at`), and is billed to the method or, on some portals, to `batch` as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from b24lake.portal.replies import Answer, Timing

BATCH = "batch"  # the gauge of a portal that bills the envelope instead of the methods inside
UNKNOWN_REST = 60.0  # seconds to rest after a block of which the portal does not say when it ends
RESERVE = 2.0  # seconds of drain kept free: requests arrive later and closer together than they were sent
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

    until   rests before this moment; 0 = may run
    """

    operating: float = 0.0
    reset_at: float | None = None
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Gauges:
    """The gauges of all methods, and the threshold (seconds, 0 = off) above which one of them rests."""

    threshold: float = 200.0
    by_method: Mapping[str, Gauge] = field(default_factory=dict)

    def resting_until(self, method: str) -> float:
        """The moment (our clock) at which a command of this method may run again."""
        return max(self.by_method.get(name, Gauge()).until for name in (method, BATCH))


def observe(gauges: Gauges, answers: Iterable[tuple[str, Answer]], outer: Timing, now: float) -> Gauges:
    """The gauges after one batch (or call): `answers` as (method, answer), `outer` the batch's own timing.

    Per batch and method the largest value counts, since most commands report 0. The envelope's own number is the gauge
    of `batch` where no command reports anything, or several methods all report just this number. Elsewhere it may
    repeat a method's number, so it only tells when `batch` would be free after a block.
    """
    seen: dict[str, Timing] = {}
    for method, answer in answers:
        known = seen.get(method)
        if known is None or (answer.timing.operating or 0) >= (known.operating or 0):
            seen[method] = answer.timing
    updated = dict(gauges.by_method)
    for method, timing in seen.items():
        updated[method] = _read(updated.get(method, Gauge()), timing, gauges.threshold, now)
    if outer.operating:
        threshold = gauges.threshold if _bills_batch(seen.values(), outer.operating) else 0.0
        updated[BATCH] = _read(updated.get(BATCH, Gauge()), outer, threshold, now)
    return replace(gauges, by_method=updated)


def _bills_batch(inner: Collection[Timing], operating: float) -> bool:
    """Whether a portal seems to bill the batch as a whole instead of the methods in it."""
    told = [timing.operating for timing in inner if timing.operating]
    return not told or (len(told) > 1 and set(told) == {operating})


def blocked(gauges: Gauges, method: str, now: float) -> Gauges:
    """The gauges after OPERATION_TIME_LIMIT: rest until the reset of the last good answer, else a minute."""
    gauge = gauges.by_method.get(method, Gauge())
    ahead = gauge.reset_at is not None and gauge.reset_at > now
    until = (gauge.reset_at or 0.0) + 1.0 if ahead else now + UNKNOWN_REST
    return replace(gauges, by_method={**gauges.by_method, method: replace(gauge, until=until)})


def _read(gauge: Gauge, timing: Timing, threshold: float, now: float) -> Gauge:
    """A 0 or an absent value never lowers a gauge before its reset: real batches report 0 on most commands."""
    before_reset = gauge.reset_at is not None and now < gauge.reset_at
    operating = max(timing.operating or 0.0, gauge.operating if before_reset else 0.0)
    reset_at = _ours(timing, now) if timing.operating or not before_reset else None
    reset_at = reset_at if reset_at is not None else (gauge.reset_at if before_reset else None)
    until = gauge.until if gauge.until > now else 0.0
    if threshold > 0 and (timing.operating or 0.0) > threshold:
        until = reset_at + 1.0 if reset_at is not None and reset_at > now else now + operating
    return Gauge(operating, reset_at, until)


def _ours(timing: Timing, now: float) -> float | None:
    """The reset moment on our clock: the portal's clock may be an hour off, only the distance counts."""
    if timing.reset_at is None:
        return None
    return now + (timing.reset_at - timing.finish) if timing.finish is not None else timing.reset_at
