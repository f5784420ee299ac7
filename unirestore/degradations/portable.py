"""The same pixels on every processor: what a manifest's replay on another machine stands on.

OpenCV chooses its code by what the processor can do (AVX2, AVX-512, Intel's IPP), numpy does so for exp, sin and
their like, and BLAS for products of matrices. Each choice rounds a little differently, so that one pixel in some
ten thousand comes out one level apart. Two measures:

  - `portable()` makes OpenCV use the code that every x86-64 processor can run. `degrade_photo`, `replay_photo` and
    `load_photo` of `replay.py` run in it. It is nearly as fast, but for `cv2.filter2D` with large kernels (motion
    blur: an eighth of the speed).
  - `rounded()` computes functions in double precision, where libraries differ in the last of 53 bits, and rounds to
    the 24 bits of a float: two results differ once in some hundred million values, by one part in 2^24.

Everything else that a pixel depends on is arithmetic that IEEE 754 defines to the last bit (+ - * / sqrt), integers, or
functions and small products of matrices in double precision, which come out as the same float but for once in some
hundred million; `tests/degradations/test_portable.py` lists where those stand. Releases must be the same: of numpy, of
OpenCV, of Pillow (decodes the photos, writes AVIF where OpenCV cannot) and of PyAV (video codecs). Other families
of processors (ARM) may differ, which the hashes in the manifest tell.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

_lock = threading.Lock()
_inside = 0  # how many `portable()` blocks are open
_outside = (True, 0)  # optimised? how many threads? when the first of them was entered
_thread = (
    threading.local()
)  # `inside`: how many of them this thread has open; IPP is switched for each thread


@contextmanager
def portable() -> Iterator[None]:
    """Within it, also as a decorator, OpenCV computes the same bits on every x86-64 processor, in one thread.

    The switch is OpenCV's own and holds for the whole process; other threads of it become a little slower meanwhile.
    """
    global _inside, _outside
    with _lock:
        if _inside == 0:
            _outside = cv2.useOptimized(), cv2.getNumThreads()
            cv2.setNumThreads(1)  # IPP is switched off for the calling thread alone
        _inside += 1
        _thread.inside = getattr(_thread, "inside", 0) + 1
        cv2.setUseOptimized(False)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            _thread.inside -= 1
            optimised, threads = _outside
            if _inside == 0:
                cv2.setUseOptimized(optimised)
                cv2.setNumThreads(threads)
            elif optimised and _thread.inside == 0:  # other threads are still in theirs
                cv2.ipp.setUseIPP(True)


def rounded(function: Callable[..., np.ndarray], *values: Any) -> np.ndarray:
    """`function(*values)` in double precision, rounded to float32; any shape.

    rounded(np.exp, x)        rounded(np.power, x, 1.5)
    """
    return function(*values, dtype=np.float64).astype(np.float32)
