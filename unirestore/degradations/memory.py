"""Keeps the memory of passing results at hand instead of handing it back to the system.

An effect on a photo is dozens of steps whose results, a few MB each, live for a moment. As it starts out, the
GNU C library hands such blocks back to the system when they are freed and asks for them again, and the page
faults cost time beside the arithmetic. It learns from the largest block that it has seen freed (mallopt(3), "Note
on dynamic thresholds"; at most 32 MiB): from then on it serves blocks up to that size from its own heap and
returns the free top of the heap only past twice that size. Nothing happens on systems with another C library,
or where MALLOC_TRIM_THRESHOLD_ or MALLOC_MMAP_THRESHOLD_ is set.
"""

from __future__ import annotations

import numpy as np

LARGEST = 31 << 20  # bytes; a little below the most that the library learns from


def keep_freed_memory() -> None:
    """Let the process keep up to 62 MB that it has freed; changes no result."""
    np.empty(LARGEST, np.uint8)
