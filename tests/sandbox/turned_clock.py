"""A clock for tests of time."""


class Time:
    """A clock that is turned by hand, or by whoever sleeps."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at, self.naps = at, list[float]()

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += seconds
