"""A progress bar with the time left, for loops that take minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    steps: int, *, visible: bool = True, what: str = "measuring"
) -> Iterator[Callable[[str], None]]:
    """Give a function that advances the bar by one step and shows a word on what is being done.

    Args:
        steps: how many there will be.
        visible: False gives a function that does nothing.
        what: is being done until the first step.
    """
    if not visible:
        yield lambda what: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(what, total=steps)
        yield lambda what: bar.update(task, advance=1, description=what)
