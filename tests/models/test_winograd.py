"""Winograd's convolution against torch's own, and what is fused with it against the plain sequence of operations."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unirestore.models import winograd
from unirestore.models.winograd import WinogradConv2d, conv3x3, fits, moments_of_rows, pays, transform_filters


def rows(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 2),
    height=st.integers(1, 19),
    width=st.integers(1, 19),
    channels=st.integers(1, 6),
    wanted=st.integers(1, 6),
    enlarge=st.booleans(),
    strip=st.sampled_from([1, 500, 10**6]),
    seed=st.integers(0, 99),
)
def test_any_shape_as_torch_convolves_it(batch, height, width, channels, wanted, enlarge, strip, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    x, weight, bias = draw(batch, channels, height, width), draw(wanted, channels, 3, 3), draw(wanted)
    before = winograd.STRIP_ELEMENTS
    winograd.STRIP_ELEMENTS = strip  # one row of patches at a time, some, all
    try:
        found, _ = conv3x3(rows(x), transform_filters(weight, enlarge), bias, enlarge=enlarge)
    finally:
        winograd.STRIP_ELEMENTS = before
    seen = F.interpolate(x, scale_factor=2, mode="nearest") if enlarge else x
    torch.testing.assert_close(found, rows(F.conv2d(seen, weight, bias, padding=1)), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_norm_activation_residual_and_moments_in_one_pass(threads):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 12, 33, 21), torch.randn(8, 12, 3, 3)
    residual, bias = torch.randn(2, 8, 33, 21), torch.randn(2, 8)
    scale, shift = torch.randn(2, 12), torch.randn(2, 12)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, moments = conv3x3(
            rows(x),
            transform_filters(weight),
            bias,
            affine=(scale, shift),
            residual=rows(residual),
            moments=True,
        )
        assert torch.get_num_threads() == threads  # the workers' single thread is theirs alone
    finally:
        torch.set_num_threads(before)
    seen = F.silu(x * scale[..., None, None] + shift[..., None, None])
    wanted = F.conv2d(seen, weight, padding=1) + bias[..., None, None] + residual
    assert relative(found, rows(wanted)) < 1e-5
    place = rows(residual).clone()
    over, _ = conv3x3(
        rows(x), transform_filters(weight), bias, affine=(scale, shift), residual=place, overwrite=True
    )
    assert over is place and torch.equal(over, found)
    assert moments.pixels == 33 * 21
    variance, mean = torch.var_mean(wanted.double(), (2, 3), correction=0)
    torch.testing.assert_close(moments.mean, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moments.variance, variance, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("enlarge", [False, True])
def test_filters_are_the_same_however_many_at_a_time(monkeypatch, enlarge):
    weight = torch.randn(6, 7, 3, 3)
    whole = transform_filters(weight, enlarge)
    assert whole.shape == (25 if enlarge else 36, 7, 6) and whole.is_contiguous()
    monkeypatch.setattr(winograd, "FILTER_ELEMENTS", 1)
    torch.testing.assert_close(transform_filters(weight, enlarge), whole, rtol=1e-7, atol=1e-7)


def test_filters_made_anew_are_for_larger_pictures():
    x = torch.zeros(1, 1, 32, 64)
    with torch.no_grad(), winograd.filters_kept(nn.Identity(), False):
        assert not pays(x) and pays(torch.zeros(1, 1, 64, 64))
        with winograd.filters_kept(nn.Identity(), True):
            assert pays(x)
        assert not pays(x)


def test_sums_are_the_same_however_strips_fall_to_threads():
    torch.manual_seed(0)
    x, filters = torch.randn(1, 64, 64, 16), transform_filters(torch.randn(16, 16, 3, 3))
    first, sums = conv3x3(x, filters, moments=True)
    for _ in range(5):
        again, others = conv3x3(x, filters, moments=True)
        assert torch.equal(first, again)
        assert torch.equal(sums.mean, others.mean) and torch.equal(sums.variance, others.variance)


def test_moments_of_rows():
    x = 2 + torch.randn(2, 7, 5, 3)
    moments = moments_of_rows(x)
    variance, mean = torch.var_mean(x.double(), (1, 2), correction=0)
    assert moments.pixels == 35
    torch.testing.assert_close(moments.mean, mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(moments.variance, variance, rtol=1e-5, atol=1e-6)


def test_module_is_its_convolution():
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 6, 3, padding=1)
    fast = WinogradConv2d(conv)
    x = torch.randn(1, 8, 40, 36)
    with torch.no_grad():
        assert relative(fast(x), conv(x)) < 1e-5
        assert torch.equal(fast(x[..., :3, :3]), conv(x[..., :3, :3]))  # too small to pay
    x.requires_grad_()
    fast(x).sum().backward()  # gradients go through torch's convolution
    assert x.grad is not None and conv.weight.grad is not None
    assert set(fast.state_dict()) == {"weight", "bias", "filters.weight"}


def test_inference_tensors_pass():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    with torch.inference_mode():
        assert WinogradConv2d(conv)(torch.randn(1, 4, 64, 64)).is_inference()


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 5, padding=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Linear(4, 4),
    ],
)
def test_other_convolutions_are_refused(conv):
    assert not fits(conv)
    with pytest.raises(ValueError, match="Winograd takes"):
        WinogradConv2d(conv)


def test_pays_only_in_float32_on_a_large_picture_without_gradients():
    x = torch.zeros(1, 1, 32, 32)
    assert not pays(x)
    with torch.no_grad():
        assert pays(x)
        assert not pays(x[..., :31]) and not pays(x.bfloat16()) and not pays(x.to("meta"))
