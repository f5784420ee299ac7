"""Work spread over processes, which ends with a word when one of them is killed instead of waiting for ever."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any


def in_processes(
    function: Callable[[Any], Any], items: Iterable[Any], workers: int, *, kept: str, ordered: bool = False
) -> Iterator[Any]:
    """`function(item)` of every item, by processes that share nothing with this one.

    (A fork would inherit the locks of OpenCV's and torch's threads.) When one item fails, or the caller stops
    to ask, items that nobody has begun are dropped.

    Args:
        function: what can be pickled; each process gets it once, so that it may be large.
        items: likewise.
        workers: number of processes.
        kept: what the user has when a process was killed and what to do then; ends the message.
        ordered: True gives results in the order of the items, False as they come.

    Raises:
        BrokenProcessPool (a RuntimeError) when a process was killed; or what `function` raises.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_keep, initargs=(pickle.dumps(function),)
    )
    try:
        tasks = [pool.submit(_call, item) for item in items]
        for task in tasks if ordered else as_completed(tasks):
            yield task.result()
    except BrokenProcessPool as error:
        raise BrokenProcessPool(
            f"a worker process was killed, perhaps because memory ran out (then take fewer workers); {kept}"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_kept: list[Any] = []  # in a worker process: the pickled function, then the function itself


def _keep(pickled: bytes) -> None:
    _kept[:] = [pickled]


def _call(item: Any) -> Any:
    if isinstance(_kept[0], bytes):  # here and not in `_keep`, so that what goes wrong is told
        _kept[0] = pickle.loads(_kept[0])
    return _kept[0](item)
