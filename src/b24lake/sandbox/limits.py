"""The leaky bucket in front of the portal. Source: settings/performance/limits.md."""

from dataclasses import dataclass, field


@dataclass
class Bucket:
    """Requests counted per source address: each adds 1, `drain` leave per second, above `threshold` calls fail.

    foreign   requests per second that another program at the same address sends
    since     when `foreign` was set last, in portal seconds
    """

    threshold: int
    drain: float
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)  # address -> (level, at portal seconds)
    foreign: float = 0.0
    since: float | None = None

    def admit(self, address: str, now: float) -> bool:
        """Count one request at `now` (portal seconds); False where it must be refused."""
        if not self.threshold:
            return True
        level = self.level(address, now)
        fits = level + 1 <= self.threshold
        self.levels[address] = (level + 1 if fits else level, now)
        return fits

    def level(self, address: str, now: float) -> float:
        """How full it is for an address."""
        level, at = self.levels.get(address, (0.0, now if self.since is None else self.since))
        level -= max(0.0, now - at) * (self.drain - self.foreign)
        return min(max(0.0, level), float(self.threshold))

    def share(self, foreign: float, now: float) -> None:
        """Another program begins, changes its rate or stops."""
        self.levels = {address: (self.level(address, now), now) for address in self.levels}
        self.foreign, self.since = foreign, now
