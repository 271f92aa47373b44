"""Deterministic chance: hashes of ids in place of stored random values, and id sequences with gaps."""

import random
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate, cycle, islice
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")

PERIOD = 4096  # the pattern of id gaps repeats after so many rows
_MASK = (1 << 64) - 1


def hasher(seed: int, name: str) -> Callable[[int], int]:
    """A function id -> 64 well mixed bits, the same for the same seed and name."""
    salt = crc32(f"{seed}:{name}".encode()) * 0x9E3779B97F4A7C15 & _MASK

    def mix(number: int) -> int:
        bits = number * 0x9E3779B97F4A7C15 + salt & _MASK
        bits = (bits ^ bits >> 32) * 0xD6E8FEB86659FD93 & _MASK
        return bits ^ bits >> 32

    return mix


def generator(seed: int, name: str) -> random.Random:
    """A random generator of its own for each use, so that one more value here changes nothing elsewhere."""
    return random.Random(f"{seed}:{name}")


class Numbering:
    """Ids with gaps, as deleted records leave them; the n-th id is computed, not looked up."""

    def __init__(self, count: int, start: int, gap: float, seed: int, name: str) -> None:
        dice = generator(seed, f"ids of {name}")
        steps = [1 + _extra(dice, gap - 1) for _ in range(PERIOD)]
        self.start, self.count = start, count
        self.before = [0, *accumulate(steps)]
        self.steps = steps

    def nth(self, index: int) -> int:
        """The id of row `index`, from 0."""
        rounds, rest = divmod(index, PERIOD)
        return self.start + rounds * self.before[-1] + self.before[rest]

    def pick(self, bits: int) -> int:
        """One of the ids, chosen by `bits`; 0 where there are none."""
        return self.nth(bits % self.count) if self.count else 0

    def ids(self) -> "array[int]":
        """All ids in order."""
        if not self.count:
            return array("q")
        return array("q", accumulate(islice(cycle(self.steps), self.count - 1), initial=self.start))


def _extra(dice: random.Random, mean: float) -> int:
    """How many ids are skipped: mostly none, now and then several; `mean` on average."""
    skipped = 0
    while mean > 0 and dice.random() < mean / (1 + mean):
        skipped += 1
    return skipped


def one_of(values: Sequence[T], bits: int) -> T:
    """A value chosen by `bits`."""
    return values[bits % len(values)]
