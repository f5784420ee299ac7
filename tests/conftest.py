"""What every test shares: one thread per process, fixed seeds, the folder of real photos if there is one."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the commands that tests start
torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Every test starts from the same random state."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real photos and weights; the test is skipped where it is absent.

    ``UNIRESTORE_SHARED`` names it; without that it is ``../shared`` beside the checkout.
    """
    folder = Path(os.environ.get("UNIRESTORE_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real photos at {folder}; set UNIRESTORE_SHARED to the folder that holds them")
    return folder
