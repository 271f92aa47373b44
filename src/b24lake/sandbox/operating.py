"""Operating budgets: seconds of work per method in the last ten minutes. Source: settings/performance/limits.md.

The portal has one webhook, so a budget belongs to a method alone.
"""

WINDOW, BUCKETS = 600, 10  # seconds, and the parts in which they leave


class Budgets:
    """Seconds booked, in buckets of a minute.

    A bucket opens with the first work after the last one has closed: real answers show resets just ten minutes ahead.

    window   seconds that are added up; a bucket is a tenth of it
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.window, self.bucket = window, window / BUCKETS
        self._buckets: dict[str, list[tuple[int, float]]] = {}  # method -> (opened at, seconds), oldest first

    def book(self, method: str, seconds: float, at: float) -> None:
        """Add seconds of work that ended `at` portal seconds."""
        buckets = self._buckets.setdefault(method, [])
        if buckets and at < buckets[-1][0] + self.bucket:
            opened, booked = buckets[-1]
            buckets[-1] = (opened, booked + seconds)
        else:
            buckets.append((int(at), seconds))

    def used(self, method: str, at: float) -> float:
        """Seconds booked in the window before `at`."""
        buckets = self._buckets.get(method)
        if not buckets:
            return 0.0
        while buckets and buckets[0][0] + self.window <= at:
            buckets.pop(0)
        return sum(seconds for _, seconds in buckets)

    def reset_at(self, method: str, at: float) -> int:
        """When the oldest bucket leaves; a whole window ahead where nothing is booked."""
        buckets = self._buckets.get(method)
        return (buckets[0][0] if buckets else int(at)) + self.window

    def all(self, at: float) -> dict[str, float]:
        """Seconds in use of every method that has any."""
        return {method: used for method in self._buckets if (used := self.used(method, at))}
