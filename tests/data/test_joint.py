"""Joint batches: one task each, in turn, the same whatever the worker."""

from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader

from unirestore.data import JointDataset


class Numbers(torch.utils.data.Dataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, n: int) -> dict:
        return {"value": n, "index": n}


@pytest.mark.parametrize("workers", [0, 2])
def test_every_batch_is_of_one_task_and_tasks_take_turns(workers):
    joint = JointDataset(
        {"det": Numbers(100), "seg": Numbers(7), "ir": Numbers(3)}, 4, turns={"det": 2}, length=64
    )
    batches = list(DataLoader(joint, batch_size=4, num_workers=workers))
    tasks = [set(batch["task"]) for batch in batches]
    assert all(len(task) == 1 for task in tasks)
    order = [task.pop() for task in tasks]
    assert Counter(order) == {"det": 8, "seg": 4, "ir": 4} and order[:4] == order[4:8]
    assert order[:4] == ["det", "seg", "ir", "det"]
    first_seg = batches[order.index("seg")]
    start = 4 * order.index("seg")
    assert first_seg["index"].tolist() == list(range(start, start + 4))
    assert first_seg["value"].tolist() == [n % 7 for n in range(start, start + 4)]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (dict(datasets={}, batch_size=1), "needs pictures"),
        (dict(datasets={"a": Numbers(0)}, batch_size=1), "needs pictures"),
        (dict(datasets={"a": Numbers(1)}, batch_size=0), "at least 1"),
        (dict(datasets={"a": Numbers(1)}, batch_size=1, turns={"a": 0}), "at least 1"),
        (dict(datasets={"a": Numbers(1)}, batch_size=1, turns={"b": 1}), "turns names b"),
    ],
)
def test_what_cannot_be_is_told(options, match):
    with pytest.raises(ValueError, match=match):
        JointDataset(**options)
    with pytest.raises(IndexError):
        JointDataset({"a": Numbers(1)}, 1, length=2)[2]
