"""The portal's clock, which can run faster than the real one, and one request's way through its time."""

from collections.abc import Callable

from b24lake.sandbox.errors import GatewayError
from b24lake.sandbox.settings import Settings


class Clock:
    """Portal seconds, counted from 1970.

    real           the real clock: a function giving unix seconds
    sleep          how to wait for some real seconds
    acceleration   portal seconds that pass in one real second
    """

    def __init__(self, real: Callable[[], float], sleep: Callable[[float], None], acceleration: float = 1.0) -> None:
        self._real, self._sleep = real, sleep
        self._anchor, self.acceleration = (0.0, 0.0), 1.0  # (real, portal) seconds of one and the same moment
        self.accelerate(acceleration)

    def now(self) -> float:
        """Portal seconds."""
        real, portal = self._anchor
        return portal + (self._real() - real) * self.acceleration

    def accelerate(self, acceleration: float) -> None:
        """Run at another speed from now on; no moment comes twice."""
        if acceleration != self.acceleration:
            self._anchor, self.acceleration = (self._real(), self.now()), acceleration

    def nap(self, seconds: float) -> None:
        """Wait for some portal seconds."""
        if seconds > 0:
            self._sleep(seconds / self.acceleration)

    def wait(self, moment: float) -> None:
        """Wait until a moment of the portal's time."""
        self.nap(moment - self.now())


class Course:
    """One request's way through the portal's time: its commands take their seconds one after another.

    at       portal seconds now, by the request's own account
    sleeps   whether service time is waited for; otherwise it is only booked
    """

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.clock, self.sleeps = clock, settings.timed and not settings.book
        self.limit = settings.request_seconds
        self.started = self.at = clock.now()

    def spend(self, seconds: float) -> float:
        """Let service time pass; returns how much of it fitted below the limit of one request. Sleeps: hold no lock."""
        if not seconds:
            self.at = max(self.at, self.clock.now())
            return 0.0
        fitting = min(seconds, max(0.0, self.started + self.limit - self.at)) if self.limit else seconds
        self.at += fitting
        if self.sleeps:
            self.clock.wait(self.at)
        return fitting

    def cut(self) -> GatewayError:
        """What becomes of a request that takes too long: a page of the proxy in front; the docs print none."""
        return GatewayError(504)
