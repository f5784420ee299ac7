"""A trained restorer is used before DDP's forward; its gradients must be averaged all the same."""

import time

import pytest
import torch
import torch.multiprocessing as mp

pytest.importorskip("mmdet")

from torch import nn


class Restorer(nn.Module):
    """Two parameters, one per task of the seam: a gain and a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.8))
        self.bias = nn.Parameter(torch.tensor(0.05))

    def forward(self, images: torch.Tensor, task: str = "det") -> torch.Tensor:
        return images * self.gain + self.bias


def build_model(train_restorer: bool) -> nn.Module:
    """A model of mmengine with the restoring preprocessor and a loss that sees each pixel once."""
    from mmengine.model import BaseModel

    from unirestore.mm import RestorationDetDataPreprocessor

    class Toy(BaseModel):
        def __init__(self) -> None:
            super().__init__(
                RestorationDetDataPreprocessor(restorer=Restorer(), train_restorer=train_restorer)
            )
            self.layer = nn.Conv2d(3, 2, 1)

        def forward(self, inputs, data_samples=None, mode="loss"):
            return {"loss": self.layer(inputs / 255).square().mean()}

    torch.manual_seed(0)
    return Toy()


def batch_of(rank: int) -> dict:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(rank)) * 200
    return {"inputs": list(images), "data_samples": None}


def steps(model: nn.Module, batch: dict, wrapped: nn.Module) -> list[torch.Tensor]:
    """Two SGD steps of the wrapped model; the weights afterwards."""
    from mmengine.optim import OptimWrapper

    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = OptimWrapper(torch.optim.SGD(trainable, lr=0.1))
    for _ in range(2):
        wrapped.train_step(batch, optimizer)
    return [parameter.detach().clone() for parameter in model.parameters()]


CASES = [(True, False), (True, True), (False, False)]  # train_restorer, find_unused_parameters


def worker(rank: int, folder: str) -> None:
    import datetime

    import torch.distributed as dist
    from mmengine.model import MMDistributedDataParallel

    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",  # no port to be taken, no host to leave first
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=120),
    )
    try:
        for train_restorer, unused in CASES:
            model = build_model(train_restorer)
            wrapped = MMDistributedDataParallel(model, find_unused_parameters=unused)
            weights = steps(model, batch_of(rank), wrapped)
            torch.save(weights, f"{folder}/{train_restorer}-{unused}-{rank}.pt")
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    processes = mp.spawn(worker, (str(tmp_path),), nprocs=2, join=False)
    until = time.monotonic() + 300
    while not processes.join(timeout=5):
        if time.monotonic() > until:
            for process in processes.processes:
                process.kill()
            pytest.fail("the two processes did not end within 300 s")
    both = {"inputs": batch_of(0)["inputs"] + batch_of(1)["inputs"], "data_samples": None}
    for train_restorer, unused in CASES:
        first, second = (torch.load(tmp_path / f"{train_restorer}-{unused}-{rank}.pt") for rank in (0, 1))
        start = [parameter.detach().clone() for parameter in build_model(train_restorer).parameters()]
        model = build_model(train_restorer)
        alone = steps(model, both, model)
        for mine, other, single in zip(first, second, alone, strict=True):
            assert torch.equal(mine, other)
            torch.testing.assert_close(mine, single, rtol=1e-4, atol=1e-6)
        names = [name for name, _ in model.named_parameters()]
        moved = {name for name, a, b in zip(names, start, first, strict=True) if not torch.equal(a, b)}
        assert any("restorer" in name for name in moved) == train_restorer
