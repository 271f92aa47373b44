"""The leaky bucket in front of the portal. Source: settings/performance/limits.md."""

from dataclasses import dataclass, field


@dataclass
class Bucket:
    """Requests counted per source address: each adds 1, `drain` leave per second, above `threshold` calls fail."""

    threshold: int
    drain: float
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)  # address -> (level, at unix seconds)

    def admit(self, address: str, now: float) -> bool:
        """Count one request at `now` (unix seconds); False where it must be refused."""
        if not self.threshold:
            return True
        level, at = self.levels.get(address, (0.0, now))
        level = max(0.0, level - max(0.0, now - at) * self.drain)
        fits = level + 1 <= self.threshold
        self.levels[address] = (level + 1 if fits else level, now)
        return fits
