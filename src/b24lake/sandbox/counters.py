"""What the portal was asked and what it served, so that tests can say what was wasted."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

WINDOWS = (1, 10, 60)  # portal seconds


@dataclass
class Counters:
    """Since the start or the last reset. Keys of the Counters are methods, lower-case.

    requests   HTTP requests with the right code
    refused    of these, by the leaky bucket: 503
    blocked    calls and commands refused because a budget was used up: 429
    cut        requests that passed the limit of one request: 504
    moved      requests sent on to the portal's new address
    commands   calls, alone or within a batch; pages, empty, counted: those answered with a page of a list, with a page
               without rows, with a page for which all rows had to be counted
    rows       rows served
    seconds    service time in portal seconds
    fullest    the highest level of the bucket
    most       window in portal seconds -> most requests in any such window
    """

    requests: int = 0
    refused: int = 0
    blocked: int = 0
    cut: int = 0
    moved: int = 0
    commands: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    fullest: float = 0.0
    most: dict[int, int] = field(default_factory=lambda: dict.fromkeys(WINDOWS, 0))
    _recent: dict[int, deque[float]] = field(default_factory=lambda: {window: deque() for window in WINDOWS})

    def arrived(self, at: float) -> None:
        """One more request, at portal seconds."""
        self.requests += 1
        for window, moments in self._recent.items():
            moments.append(at)
            while moments[0] <= at - window:
                moments.popleft()
            self.most[window] = max(self.most[window], len(moments))

    def page(self, method: str, rows: int, *, counted: bool) -> None:
        """One more page."""
        self.pages[method] += 1
        self.rows[method] += rows
        if not rows:
            self.empty[method] += 1
        if counted:
            self.counted[method] += 1

    def took(self, method: str, seconds: float) -> None:
        """Service time of a command."""
        self.seconds[method] = self.seconds.get(method, 0.0) + seconds

    def told(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        told["most"] = {str(window): count for window, count in self.most.items()}
        return {name: dict(value) if isinstance(value, dict) else value for name, value in told.items()}
