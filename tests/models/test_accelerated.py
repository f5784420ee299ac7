"""The accelerated copy against the network that it was made of."""

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D

from unirestore.models import UniRestore
from unirestore.models.accelerated import EnlargingConv, FusedResnetBlock, accelerate
from unirestore.models.winograd import Filters, WinogradConv2d, filters_kept
from unirestore.tiling import restore_tiled


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def stir(module: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for value in module.parameters():
            value += 0.1 * torch.randn_like(value)
    return module.eval()


@pytest.mark.parametrize("time", [True, False])
@pytest.mark.parametrize("wanted", [64, 96])
def test_resnet_block(time, wanted):
    torch.manual_seed(0)
    block = stir(
        ResnetBlock2D(
            in_channels=64, out_channels=wanted, temb_channels=24 if time else None, groups=16, eps=1e-5
        )
    )
    fused = FusedResnetBlock(block)
    x, temb = 3 + torch.randn(2, 64, 35, 41), torch.randn(2, 24) if time else None
    with torch.no_grad():
        assert relative(fused(x, temb), block(x, temb)) < 1e-5
        assert torch.equal(fused(x[..., :8, :8], temb), block(x[..., :8, :8], temb))
    fused(x.requires_grad_(), temb).sum().backward()
    assert x.grad is not None


def test_mean_far_from_zero_keeps_its_variance():
    """The variance out of two sums must not drown where the mean is a hundred deviations away."""
    torch.manual_seed(0)
    block = stir(ResnetBlock2D(in_channels=64, out_channels=64, temb_channels=None, groups=32, eps=1e-6))
    x = 100 + torch.randn(1, 64, 64, 64)
    with torch.no_grad():
        wanted = block.double()(x.double(), None)
        found = FusedResnetBlock(block.float())(x, None)
    assert relative(found.double(), wanted) < 1e-3


def test_upsampler_and_its_other_sizes():
    torch.manual_seed(0)
    block = Upsample2D(64, use_conv=True, out_channels=72).eval()
    fast = EnlargingConv(block)
    x = torch.randn(1, 64, 33, 40)
    with torch.no_grad():
        assert relative(fast(x), block(x)) < 1e-5
        assert relative(fast(x, (66, 80)), block(x)) < 1e-5
        assert torch.equal(fast(x, (65, 79)), block(x, (65, 79)))


@pytest.fixture(scope="module")
def wide():
    """A network whose blocks are wide enough to be exchanged."""
    torch.manual_seed(0)
    prior = dict(channels=(64, 64), layers=1, groups=32, text_channels=None)
    prior["controller"] = dict(
        channels=(64, 64),
        attention=(False, False),
        mid_attention=False,
        heads=4,
        layers=1,
        groups=32,
        out_channels=64,
    )
    model = UniRestore.build(
        "sd_turbo",
        block_out_channels=(64, 64, 64, 64),
        layers_per_block=1,
        cfrm_depths=(1, 0, 0),
        prior_config=prior,
        tasks=("ir", "det"),
    )
    return stir(model)


def test_network_gives_the_same_pictures_and_features(wide):
    fast = accelerate(wide)
    kinds = {type(module) for module in fast.modules()}
    assert {FusedResnetBlock, EnlargingConv, WinogradConv2d} <= kinds
    images = torch.rand(1, 3, 290, 270)
    with torch.no_grad():
        for task in ("ir", "det"):
            assert relative(fast(images, task), wide(images, task)) < 1e-4
        for found, wanted in zip(
            fast(images, "det", output="features"), wide(images, "det", output="features"), strict=True
        ):
            assert relative(found, wanted) < 1e-4
    assert type(fast) is type(wide) and fast.tasks == wide.tasks


def test_parameters_are_shared_and_the_original_is_left_alone(wide):
    before = [type(module) for module in wide.modules()]
    fast = accelerate(wide)
    assert [type(module) for module in wide.modules()] == before
    known = {id(value) for value in wide.parameters()}
    assert {id(value) for value in fast.parameters()} == known


def test_tiles_share_the_photo_s_statistics_with_fused_norms(wide):
    images = torch.rand(1, 3, 200, 260)
    found = restore_tiled(accelerate(wide), images, "det", tile=128)
    assert relative(found, restore_tiled(wide, images, "det", tile=128)) < 1e-4
    alone = restore_tiled(wide, images, "det", tile=128, statistics="tile")
    assert relative(alone, found) > 1e-3  # it does make a difference


def held(model: torch.nn.Module) -> list[Filters]:
    return [f for f in model.modules() if isinstance(f, Filters) and f.transformed is not None]


def test_filters_are_kept_or_made_for_each_use(wide):
    fast, images = accelerate(wide), torch.rand(1, 3, 290, 270)
    with torch.no_grad():
        kept = fast(images, "det")
        made = held(fast)
        assert made and sum(f.size() for f in made) == sum(
            f.transformed.numel() * f.transformed.element_size() for f in made
        )
        with filters_kept(fast, False):
            assert not held(fast)
            assert relative(fast(images, "det"), kept) < 1e-4
            assert not held(fast)
        assert torch.equal(fast(images, "det"), kept) and held(fast)


def test_tiles_hold_no_filters(wide):
    fast, images = accelerate(wide), torch.rand(1, 3, 200, 260)
    with torch.no_grad():
        fast(images, "det")
    restore_tiled(fast, images, "det", tile=128, statistics="tile")
    assert not held(fast)
