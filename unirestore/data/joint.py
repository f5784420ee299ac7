"""Batches of several tasks from one data loader: each batch is of one task, and tasks take turns.

A loader that does not shuffle draws items 0, 1, 2, ...; items `b * batch_size .. (b + 1) * batch_size - 1` are batch b,
and b says whose turn it is. Stateless like `PairedDataset`, so a resumed run continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import Dataset


class JointDataset(Dataset):
    """Items of several data sets, batch by batch; each item says in `task` whose it is.

    Args:
        datasets: name of the task -> its pairs.
        batch_size: items in a row of one task: the loader's batch size times the number of processes.
        turns: batches of each task in a round, default one each; they are spread over it, not bunched.
        length: number of items.

    Raises:
        ValueError: there is no data set, one is empty, a number is below 1, or `turns` names another task.
    """

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        batch_size: int,
        turns: Mapping[str, int] | None = None,
        length: int = 200_000,
    ) -> None:
        turns = dict(turns or {})
        if not datasets or any(len(dataset) == 0 for dataset in datasets.values()):
            raise ValueError(f"each task needs pictures, got { ({t: len(d) for t, d in datasets.items()}) }")
        if unknown := sorted(set(turns) - set(datasets)):
            raise ValueError(f"turns names {', '.join(unknown)}; the tasks are {', '.join(datasets)}")
        if batch_size < 1 or length < 1 or any(count < 1 for count in turns.values()):
            raise ValueError(
                f"batch_size, length and turns must be at least 1, got {batch_size}, {length}, {turns}"
            )
        self.datasets, self.batch_size, self.length = dict(datasets), int(batch_size), int(length)
        self.round = _spread({task: turns.get(task, 1) for task in datasets})

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, n: int) -> dict[str, Any]:
        """Item `n`, as its data set gives it, with `task`."""
        if not 0 <= n < self.length:
            raise IndexError(f"item {n} of {self.length}")
        task = self.round[n // self.batch_size % len(self.round)]
        dataset = self.datasets[task]
        return {**dataset[n % len(dataset)], "task": task, "index": n}


def _spread(turns: Mapping[str, int]) -> tuple[str, ...]:
    """The tasks of one round in an order in which each comes as evenly as it can: 2 to 1 is a, b, a."""
    total = sum(turns.values())
    places = [((2 * k + 1) * total / count, task) for task, count in turns.items() for k in range(count)]
    return tuple(task for _, task in sorted(places, key=lambda place: place[0]))
