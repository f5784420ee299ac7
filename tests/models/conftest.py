"""Models small enough for a test of milliseconds, with weights that are not their silent initial ones."""

from __future__ import annotations

import pytest
import torch

from unirestore.models import UniRestore


def stirred(model: torch.nn.Module) -> torch.nn.Module:
    """Adds noise to every parameter, so that zero-initialised branches take part."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def micro(**overrides) -> UniRestore:
    """The tiny preset with one width and no classical candidates."""
    settings = {"block_out_channels": (8, 8, 8, 8), "cfrm_depths": (0, 0, 1), "candidates": ()}
    settings["candidate_weights"] = None
    return UniRestore.build("tiny", **{**settings, **overrides})


@pytest.fixture(scope="session")
def tiny() -> UniRestore:
    """The tiny preset, stirred."""
    torch.manual_seed(0)
    return stirred(UniRestore.build("tiny", detail_channels=8, detail_blocks=1))


@pytest.fixture(scope="session")
def plain() -> UniRestore:
    """A micro model that ends in the decoder's picture, stirred."""
    torch.manual_seed(0)
    return stirred(micro())


@pytest.fixture
def make_micro():
    """`micro` and `stirred` as one function."""
    return lambda **overrides: stirred(micro(**overrides))
