"""How a run uses memory: it makes and drops millions of small values, batch after batch, and little else."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_EVERY = 200  # batches between two garbage collections
# glibc's malloc.h: what the options are called there, and bytes
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEPT, _STEP, _LARGE = 1 << 30, 64 << 20, 32 << 20


@contextmanager
def of_a_run() -> Iterator[None]:
    """Collect garbage rarely, and keep freed memory for the next batch, while the block runs.

    Looking for cycles in millions of parsed values takes a fifth of a run's CPU time, giving each batch's memory back
    to the system and asking for it again a tenth. A run is a process of its own, so nobody else in it is affected.
    """
    _keep_freed_memory()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def collect_now_and_then(batch: int) -> None:
    """Collect garbage after every `COLLECT_EVERY`-th batch: failed requests leave cycles behind."""
    if batch % COLLECT_EVERY == COLLECT_EVERY - 1:
        gc.collect()


def _keep_freed_memory() -> None:
    """Only glibc can be told; elsewhere nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE)
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
    mallopt(_M_TOP_PAD, _STEP)
