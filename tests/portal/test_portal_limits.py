"""The request bucket is never overfilled, and rests are as long as the portal asks."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.errors import RestError
from b24lake.portal import limits
from b24lake.portal.limits import BATCH, PLANS, UNKNOWN_REST, Bucket, Gauge, Gauges, Plan, blocked, observe
from b24lake.portal.replies import Answer, Timing

STANDARD, ENTERPRISE = PLANS["standard"], PLANS["enterprise"]
EPOCH = 1_767_225_600.0


class PortalBucket:
    """The portal's own count, from its docs: requests add 1, `drain` leave per second, none goes above `threshold`."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.level, self.at = plan, 0.0, 0.0

    def admit(self, now: float) -> bool:
        self.level = max(0.0, self.level - (now - self.at) * self.plan.drain)
        self.at = now
        if self.level + 1 > self.plan.threshold + 1e-6:
            return False
        self.level += 1
        return True


def paced(plan: Plan, pauses: Iterable[float]) -> list[float]:
    """Moments at which a caller sends who obeys `wait`; `pauses` are what it does in between."""
    bucket, now, sent = Bucket(), EPOCH, []
    for pause in pauses:
        now += pause
        now += limits.wait(bucket, now, plan)
        bucket = limits.take(bucket, now, plan)
        sent.append(now)
    return sent


@given(st.sampled_from([STANDARD, ENTERPRISE]), st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.1, 3.0])), st.randoms())
def test_a_caller_that_is_alone_is_never_refused(plan: Plan, pauses: list[float], chance: object) -> None:
    sent = paced(plan, [0.0] * (plan.threshold + 40) + pauses + [0.0] * 40)
    arrived = sorted(moment + chance.random() for moment in sent)  # type: ignore[attr-defined]
    portal = PortalBucket(plan)
    assert all(portal.admit(moment) for moment in arrived)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_not_even_when_a_second_of_requests_arrives_at_once(plan: Plan) -> None:
    portal = PortalBucket(plan)
    arrived = [EPOCH + 1.0 * int(moment - EPOCH + 1) for moment in paced(plan, [0.0] * 3 * plan.threshold)]
    assert all(portal.admit(moment) for moment in arrived)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_the_burst_is_used_and_the_drain_kept(plan: Plan) -> None:
    sent = paced(plan, [0.0] * (plan.threshold * 2))
    assert sum(moment == EPOCH for moment in sent) >= plan.threshold * 0.9
    assert sent[-1] - EPOCH == pytest.approx((len(sent) - plan.threshold * 0.94) / plan.drain, rel=0.1)


def share_with_another(plan: Plan, seconds: float, *, until: float) -> tuple[list[float], list[float]]:
    """Our requests, admitted and refused, beside a program that takes half of the drain up to `until`."""
    portal, bucket, now, next_other = PortalBucket(plan), Bucket(), EPOCH, EPOCH
    admitted: list[float] = []
    refused: list[float] = []
    while now < EPOCH + seconds:
        now += limits.wait(bucket, now, plan)
        while next_other <= min(now, EPOCH + until):
            portal.admit(next_other)
            next_other += 2 / plan.drain
        bucket = limits.take(bucket, now, plan)
        if portal.admit(now):
            admitted.append(now)
        else:
            bucket = limits.refused(bucket, now, plan)
            refused.append(now)
    return admitted, refused


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_beside_another_program_we_slow_down_and_still_get_on(plan: Plan) -> None:
    admitted, refused = share_with_another(plan, 600, until=600)
    assert len(refused) < 0.05 * len(admitted)
    assert len(admitted) > 0.25 * plan.drain * 600


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_the_full_pace_comes_back_when_the_other_program_ends(plan: Plan) -> None:
    admitted, _refused = share_with_another(plan, 1000, until=400)
    late = sum(moment > EPOCH + 800 for moment in admitted)
    assert late == pytest.approx(200 * plan.drain, rel=0.05)


def test_many_refusals_never_stop_us_for_good() -> None:
    bucket = Bucket()
    for second in range(100):
        bucket = limits.refused(bucket, EPOCH + second, STANDARD)
    assert limits.wait(bucket, EPOCH + 99, STANDARD) <= 30


def test_a_clock_that_is_set_back_does_not_fill_the_bucket() -> None:
    bucket = Bucket(level=46, at=EPOCH + 3600)
    assert limits.wait(bucket, EPOCH, STANDARD) == 0.5
    assert limits.wait(limits.rebased(bucket, EPOCH, STANDARD), EPOCH + 0.5, STANDARD) == 0


# --- operating time ---------------------------------------------------------------------------------------------------

DEALS, LEADS = "crm.deal.list", "crm.lead.list"


def told(operating: float | None, reset_in: float | None = None, *, clock: float = EPOCH) -> Timing:
    """Timing as the portal prints it at `clock`, its own time."""
    return Timing(0.1, operating, None if reset_in is None else clock + reset_in, clock)


def seen(
    gauges: Gauges, *timings: Timing, now: float = EPOCH, outer: Timing | None = None, method: str = DEALS
) -> Gauges:
    return observe(gauges, [(method, Answer(timing=timing)) for timing in timings], outer or Timing(), now)


@pytest.mark.parametrize(
    ("operating", "reset_in", "rest"),
    [
        (199.9, 100, 0),
        (200.0, 100, 0),
        (200.1, 100, 100),
        (480.0, 600, 600),
        (200.1, 0.5, 0.5),
        (250.0, None, 250),
        (250.0, -30, 250),
        (0.0, 100, 0),
        (None, None, 0),
    ],
)
@pytest.mark.parametrize("off", [0, 3600, -3600])
def test_a_method_above_the_threshold_rests_as_long_as_the_portal_asks(
    operating: float | None, reset_in: float | None, rest: float, off: float
) -> None:
    gauges = seen(Gauges(200.0), told(operating, reset_in, clock=EPOCH + off))
    rests = max(0.0, gauges.resting_until(DEALS) - EPOCH)
    assert rest <= rests <= (rest + 2 if rest else 0)
    assert gauges.resting_until(LEADS) == 0


def test_a_threshold_of_zero_switches_rests_off() -> None:
    assert seen(Gauges(0.0), told(9999, 600)).resting_until(DEALS) == 0


def test_of_one_batch_the_largest_value_counts() -> None:
    gauges = seen(Gauges(200.0), told(0, 600), told(250, 60), told(0, 600), told(None))
    assert gauges.by_method[DEALS].operating == 250
    assert 60 <= gauges.resting_until(DEALS) - EPOCH <= 62


@pytest.mark.parametrize("nothing", [told(0, 600), told(0), told(None)])
def test_a_zero_never_lowers_a_gauge_nor_moves_its_reset(nothing: Timing) -> None:
    gauges = seen(seen(Gauges(200.0), told(150, 60)), nothing, now=EPOCH + 10)
    gauge = gauges.by_method[DEALS]
    assert (gauge.operating, gauge.reset_at) == (150, EPOCH + 60)
    assert seen(gauges, told(0, clock=EPOCH + 70), now=EPOCH + 70).by_method[DEALS].operating == 0


def test_a_late_smaller_answer_does_not_end_a_rest() -> None:
    resting = seen(Gauges(200.0), told(250, 100))
    assert seen(resting, told(120, 100), now=EPOCH + 1).resting_until(DEALS) >= EPOCH + 100


def test_above_the_threshold_after_the_reset_it_rests_again() -> None:
    again = seen(seen(Gauges(200.0), told(250, 100)), told(230, 60, clock=EPOCH + 101), now=EPOCH + 101)
    assert EPOCH + 161 <= again.resting_until(DEALS) <= EPOCH + 163


@pytest.mark.parametrize(
    ("inner", "batch_rests"),
    [
        ([(DEALS, 0.0), (LEADS, 0.0)], True),
        ([(DEALS, None)], True),
        ([(DEALS, 250.0), (LEADS, 250.0)], True),
        ([(DEALS, 250.0), (LEADS, 20.0)], False),
        ([(DEALS, 250.0), (DEALS, 0.0)], False),
    ],
)
def test_all_rest_where_the_portal_bills_the_batch(inner: list[tuple[str, float | None]], *, batch_rests: bool) -> None:
    answers = [(method, Answer(timing=told(operating, 100))) for method, operating in inner]
    gauges = observe(Gauges(200.0), answers, told(250, 100), EPOCH)
    assert (gauges.resting_until("user.get") > EPOCH) is batch_rests
    assert (gauges.by_method[BATCH].until > EPOCH) is batch_rests


@pytest.mark.parametrize(
    ("before", "rest"),
    [(told(150, 90), 90), (told(150), UNKNOWN_REST), (told(150, -5), UNKNOWN_REST), (told(None), UNKNOWN_REST)],
)
def test_a_blocked_method_rests_until_the_reset_of_its_last_good_answer(before: Timing, rest: float) -> None:
    gauges = blocked(seen(Gauges(200.0), before), DEALS, EPOCH)
    assert rest <= gauges.resting_until(DEALS) - EPOCH <= rest + 2
    assert gauges.resting_until(LEADS) == 0


def test_a_blocked_batch_rests_until_the_reset_that_the_envelope_told() -> None:
    gauges = blocked(seen(Gauges(0.0), told(150, 90), outer=told(150, 90)), BATCH, EPOCH)
    assert 90 <= gauges.resting_until(LEADS) - EPOCH <= 92


def test_blocked_again_after_the_reset_it_looks_now_and_then() -> None:
    gauges = blocked(blocked(seen(Gauges(200.0), told(150, 90)), DEALS, EPOCH), DEALS, EPOCH + 91)
    assert gauges.resting_until(DEALS) == EPOCH + 91 + UNKNOWN_REST


def test_a_command_that_runs_ends_the_block() -> None:
    gauges = blocked(blocked(Gauges(200.0), DEALS, EPOCH), DEALS, EPOCH + 5)
    assert (gauges.unsure(DEALS), gauges.unsure(LEADS), gauges.refused_for(DEALS, EPOCH + 9)) == (True, False, 9)
    again = observe(gauges, [(DEALS, Answer(error=RestError("blocked")))], Timing(), EPOCH + 9)
    assert again.unsure(DEALS)
    ran = seen(gauges, told(None), now=EPOCH + 9)
    assert (ran.unsure(DEALS), ran.refused_for(DEALS, EPOCH + 9)) == (False, 0)


def test_a_gauge_told_early_in_a_long_batch_is_set_by_the_clock_at_its_end() -> None:
    """The first of its commands told that the minute leaves in 100 s, and that was 30 s ago."""
    outer = told(None, clock=EPOCH + 30)
    gauges = seen(Gauges(200.0), told(250, 100), told(0, 100, clock=EPOCH + 30), now=EPOCH + 30, outer=outer)
    assert EPOCH + 100 <= gauges.resting_until(DEALS) <= EPOCH + 102


def test_a_minute_that_has_left_while_the_answer_was_on_its_way_needs_no_rest() -> None:
    gauges = seen(Gauges(200.0), told(250, 20), now=EPOCH + 30, outer=told(None, clock=EPOCH + 30))
    assert gauges.resting_until(DEALS) <= EPOCH + 30
    assert 0 < gauges.left(DEALS, EPOCH + 30) < 20


def test_what_is_left_counts_work_of_which_the_portal_has_not_told() -> None:
    assert Gauges(200.0).left(DEALS, EPOCH) == math.inf
    assert Gauges(0.0, {DEALS: Gauge(500, EPOCH + 60)}).left(DEALS, EPOCH) == math.inf
    first = Timing(5.0, 100.0, EPOCH + 60, EPOCH)
    others = [Timing(5.0, 0.0, EPOCH + 60, EPOCH)] * 4
    gauges = seen(Gauges(200.0), first, *others)
    assert gauges.left(DEALS, EPOCH) == pytest.approx(80)
    beside = seen(gauges, Timing(5.0, 101.0, EPOCH + 60, EPOCH), *others)  # a batch that ran at the same time
    assert beside.left(DEALS, EPOCH) == pytest.approx(200 - 100 - 20 - 25)
    assert seen(beside, Timing(5.0, 160.0, EPOCH + 60, EPOCH)).left(DEALS, EPOCH) == pytest.approx(40)


def test_methods_that_did_the_same_work_do_not_rest_together() -> None:
    """Both show the same number, and the envelope repeats it, but it has not grown by the work of both."""
    same = [(method, Answer(timing=Timing(4.0, 8.0, EPOCH + 90, EPOCH))) for method in (DEALS, LEADS)]
    gauges = observe(Gauges(200.0), same, Timing(8.0, 8.0, EPOCH + 90, EPOCH), EPOCH)
    assert gauges.by_batch  # nothing is known from before: it may have been the work of a batch
    again = [(method, Answer(timing=Timing(4.0, 12.0, EPOCH + 90, EPOCH))) for method in (DEALS, LEADS)]
    assert not observe(Gauges(200.0, {BATCH: Gauge(8.0)}), again, Timing(8.0, 12.0, EPOCH + 90, EPOCH), EPOCH).by_batch
    rising = [(DEALS, Answer(timing=told(number, 90))) for number in (4.0, 8.0)] + same[1:]
    assert not observe(Gauges(200.0), rising, Timing(8.0, 8.0, EPOCH + 90, EPOCH), EPOCH).by_batch
