"""The operators of ``unirestore.mm.ops``, called through mmcv as detectors call them."""

import importlib
import math
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

pytest.importorskip("mmdet")

import unirestore.mm  # noqa: F401
from unirestore.mm import ops

mmcv_ops = importlib.import_module("mmcv.ops")
supplied_only = pytest.mark.skipif(not ops.is_supplied(), reason="a compiled mmcv._ext is installed")


def random_boxes(count: int, size: float = 60.0) -> torch.Tensor:
    corners = torch.rand(count, 2) * size
    return torch.cat([corners, corners + 1 + torch.rand(count, 2) * size / 2], dim=1)


def plain_iou(a: list[float], b: list[float], offset: int = 0) -> float:
    """One pair at a time, in Python floats."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    area = sum((box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b))
    return width * height / (area - width * height) if width * height else 0.0


def plain_nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if all(plain_iou(boxes[i].tolist(), boxes[j].tolist(), offset) <= threshold for j in kept):
            kept.append(i)
    return kept


def plain_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset=0):
    """The loop of the paper's figure 2."""
    left = dict(enumerate(scores.tolist()))
    kept = []
    while left:
        best = max(left, key=left.get)
        kept.append((best, left.pop(best)))
        for other in list(left):
            iou = plain_iou(boxes[best].tolist(), boxes[other].tolist(), offset)
            if method == "gaussian":
                left[other] *= math.exp(-(iou**2) / sigma)
            elif iou >= threshold:
                left[other] *= 0.0 if method == "naive" else 1 - iou
            if left[other] < min_score:
                del left[other]
    return kept


# --- suppression


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 30),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9]),
    offset=st.sampled_from([0, 1]),
)
def test_nms_equals_plain_nms(seed, count, threshold, offset):
    torch.manual_seed(seed)
    boxes, scores = random_boxes(count), torch.rand(count)
    dets, kept = mmcv_ops.nms(boxes, scores, threshold, offset=offset)
    assert kept.tolist() == plain_nms(boxes, scores, threshold, offset)
    torch.testing.assert_close(dets, torch.cat([boxes[kept], scores[kept, None]], dim=1))


def test_nms_offset_changes_what_is_kept():
    """Overlap 4 of 12 without offset (0.33), 9 of 23 with it (0.39)."""
    boxes = torch.tensor([[0.0, 0, 4, 2], [2, 0, 6, 2]])
    scores = torch.tensor([0.9, 0.8])
    assert mmcv_ops.nms(boxes, scores, 0.36, offset=0)[1].tolist() == [0, 1]
    assert mmcv_ops.nms(boxes, scores, 0.36, offset=1)[1].tolist() == [0]


def test_nms_keeps_a_pair_that_overlaps_by_the_threshold_exactly():
    boxes = torch.tensor([[0.0, 0, 10, 6], [0, 0, 10, 10]])  # overlap 0.6 in float32, as compiled
    assert mmcv_ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.6)[1].tolist() == [0, 1]


def test_nms_of_nothing_and_in_half_precision():
    assert len(mmcv_ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)[1]) == 0
    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 7], [20, 20, 30, 30]], dtype=torch.float16)
    scores = torch.tensor([0.5, 0.75, 0.25], dtype=torch.float16)
    assert mmcv_ops.nms(boxes, scores, 0.5)[1].tolist() == [1, 2]


def test_batched_nms_suppresses_within_a_class_only():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 9, 10]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    classes = torch.tensor([0, 0, 1])
    dets, kept = mmcv_ops.batched_nms(boxes, scores, classes, dict(type="nms", iou_threshold=0.5))
    assert kept.tolist() == [0, 2]
    torch.testing.assert_close(dets[:, :4], boxes[kept])
    together = mmcv_ops.batched_nms(boxes, scores, classes, dict(type="nms", iou_threshold=0.5), True)[1]
    assert together.tolist() == [0]


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
def test_soft_nms_equals_the_loop_of_the_paper(method, offset):
    boxes, scores = random_boxes(25), torch.rand(25)
    dets, kept = mmcv_ops.soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    expected = plain_soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    assert kept.tolist() == [index for index, _ in expected]
    torch.testing.assert_close(dets[:, 4], torch.tensor([score for _, score in expected]))
    torch.testing.assert_close(dets[:, :4], boxes[kept])
    decayed = (dets[:, 4] < scores[kept] - 1e-6).any()
    assert decayed == (method != "naive") and len(kept) < 25


def test_soft_nms_of_boxes_without_area():
    """The documented example of mmcv: one of six boxes has score 0 and goes."""
    boxes = torch.tensor(
        [[4.0, 3, 5, 3], [4, 3, 5, 4], [3, 1, 3, 1], [3, 1, 3, 1], [3, 1, 3, 1], [3, 1, 3, 1]]
    )
    scores = torch.tensor([0.9, 0.9, 0.5, 0.5, 0.4, 0.0])
    dets, kept = mmcv_ops.soft_nms(boxes, scores, 0.6, sigma=0.5)
    assert len(dets) == len(kept) == 5
    assert len(mmcv_ops.soft_nms(torch.zeros(0, 4), torch.zeros(0))[1]) == 0


def test_nms_match_groups_every_box_once():
    boxes, scores = random_boxes(20), torch.rand(20)
    groups = mmcv_ops.nms_match(torch.cat([boxes, scores[:, None]], dim=1), 0.3)
    assert sorted(i for group in groups for i in group.tolist()) == list(range(20))
    for group in groups:
        first, *others = group.tolist()
        for other in others:
            assert scores[other] <= scores[first]
            assert plain_iou(boxes[first].tolist(), boxes[other].tolist()) >= 0.3
    assert [int(group[0]) for group in groups] == plain_nms(boxes, scores, 0.3, 0)


def test_bbox_overlaps_known_values():
    first = torch.tensor([[0.0, 0, 10, 10], [10, 10, 20, 20], [32, 32, 38, 42]])
    second = torch.tensor([[0.0, 0, 10, 20], [0, 10, 10, 19], [10, 10, 20, 20]])
    expected = torch.tensor([[0.5, 0, 0], [0, 0, 1.0], [0, 0, 0]])
    torch.testing.assert_close(mmcv_ops.bbox_overlaps(first, second), expected)
    torch.testing.assert_close(mmcv_ops.bbox_overlaps(first, second, aligned=True), expected.diag())
    assert mmcv_ops.bbox_overlaps(first, second, mode="iof")[0, 0] == 1.0  # the whole of the first box
    with_offset = mmcv_ops.bbox_overlaps(first[:1], second[:1], offset=1)
    assert with_offset.item() == pytest.approx(11 * 11 / (11 * 21))


# --- RoIAlign


def plain_roi_align(features, roi, bins, scale, samples, mode, aligned):
    """One sample at a time, from the definition."""
    index, x1, y1, x2, y2 = roi.tolist()
    image = features[int(index)]
    height, width = image.shape[1:]
    shift = 0.5 if aligned else 0.0
    x1, y1, x2, y2 = (v * scale - shift for v in (x1, y1, x2, y2))
    smallest = 0.0 if aligned else 1.0
    step_y, step_x = max(y2 - y1, smallest) / bins[0], max(x2 - x1, smallest) / bins[1]
    count_y = samples or math.ceil(step_y)
    count_x = samples or math.ceil(step_x)

    def at(y, x):
        if not (-1 <= y <= height and -1 <= x <= width):
            return torch.zeros(image.size(0), dtype=image.dtype)
        y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
        top, left = int(y), int(x)
        down, right = min(top + 1, height - 1), min(left + 1, width - 1)
        wy, wx = y - top, x - left
        upper = image[:, top, left] * (1 - wx) + image[:, top, right] * wx
        lower = image[:, down, left] * (1 - wx) + image[:, down, right] * wx
        return upper * (1 - wy) + lower * wy

    result = torch.zeros(image.size(0), *bins, dtype=image.dtype)
    for i in range(bins[0]):
        for j in range(bins[1]):
            values = torch.stack(
                [
                    at(y1 + (i + (a + 0.5) / count_y) * step_y, x1 + (j + (b + 0.5) / count_x) * step_x)
                    for a in range(count_y)
                    for b in range(count_x)
                ]
            )
            result[:, i, j] = values.mean(0) if mode == "avg" else values.max(0).values
    return result


ROIS = torch.tensor(
    [[0, 2.3, 1.1, 13.7, 9.2], [1, 0.0, 0.0, 15.9, 15.9], [1, -3.0, 4.0, 5.0, 30.0], [0, 7.0, 7.0, 7.6, 8.1]],
    dtype=torch.float64,
)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_roi_align_equals_the_definition(mode, samples, aligned):
    features = torch.rand(2, 3, 8, 9, dtype=torch.float64)
    ours = mmcv_ops.roi_align(features, ROIS, (3, 2), 0.5, samples, mode, aligned)
    expected = [plain_roi_align(features, roi, (3, 2), 0.5, samples, mode, aligned) for roi in ROIS]
    torch.testing.assert_close(ours, torch.stack(expected))


def test_roi_align_of_a_ramp_is_the_ramp():
    """The average of f(x) = x over a bin inside the picture is its centre, the maximum its last sample."""
    ramp = torch.arange(16.0).expand(1, 1, 16, 16).contiguous()
    roi = torch.tensor([[0, 2.0, 2.0, 10.0, 10.0]])
    average = mmcv_ops.roi_align(ramp, roi, (2, 2), 1.0, 2, "avg", True)
    assert average[0, 0].tolist() == [[3.5, 7.5], [3.5, 7.5]]
    maximum = mmcv_ops.roi_align(ramp, roi, (2, 2), 1.0, 2, "max", True)
    assert maximum[0, 0].tolist() == [[4.5, 8.5], [4.5, 8.5]]


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align_gradient(mode, samples):
    features = torch.rand(2, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: mmcv_ops.roi_align(x, ROIS, (2, 3), 0.5, samples, mode, True), features)


def test_roi_align_of_a_box_without_area_is_zero():
    features = torch.rand(1, 2, 8, 8, requires_grad=True)
    roi = torch.tensor([[0, 3.0, 3.0, 3.0, 3.0]])
    for mode in ("avg", "max"):
        pooled = mmcv_ops.roi_align(features, roi, (2, 2), 1.0, 0, mode, True)
        assert pooled.abs().max() == 0
        (slope,) = torch.autograd.grad(pooled.sum(), features)
        assert slope.abs().max() == 0


def test_roi_align_in_half_precision():
    features = torch.rand(2, 3, 8, 8)
    rois = ROIS.float()
    full = mmcv_ops.roi_align(features, rois, (2, 2), 0.5, 2, "avg", True)
    half = mmcv_ops.roi_align(features.half(), rois, (2, 2), 0.5, 2, "avg", True)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), full, atol=2e-3, rtol=0)


# --- deformable operators


@pytest.mark.parametrize("stride, padding, dilation, groups", [(1, 1, 1, 1), (2, 0, 1, 2), (1, 2, 2, 2)])
def test_modulated_deform_conv_without_offset_is_a_convolution(stride, padding, dilation, groups):
    layer = mmcv_ops.ModulatedDeformConv2d(
        4, 6, 3, stride=stride, padding=padding, dilation=dilation, groups=groups, deform_groups=2
    )
    torch.nn.init.normal_(layer.bias)
    x = torch.rand(2, 4, 9, 8)
    expected = F.conv2d(x, layer.weight, layer.bias, stride, padding, dilation, groups)
    size = expected.shape[2:]
    ours = layer(x, torch.zeros(2, 36, *size), torch.ones(2, 18, *size))
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    halved = layer(x, torch.zeros(2, 36, *size), torch.full((2, 18, *size), 0.5))
    bias = layer.bias[:, None, None]
    torch.testing.assert_close(halved - bias, (expected - bias) / 2, atol=1e-5, rtol=1e-5)


def test_deform_conv_offset_is_y_before_x():
    """An offset of one pixel down at every tap samples the picture one row lower."""
    x = torch.rand(1, 1, 6, 6)
    layer = mmcv_ops.DeformConv2d(1, 1, 1)
    offset = torch.zeros(1, 2, 6, 6)
    offset[:, 0] = 1
    lower = F.pad(x[:, :, 1:], (0, 0, 0, 1))
    torch.testing.assert_close(layer(x, offset), lower * layer.weight)


@pytest.mark.parametrize("bias", [True, False])
def test_modulated_deform_conv_gradients(bias):
    def random(*shape):
        return torch.rand(*shape, dtype=torch.float64).mul_(0.8).add_(0.1).requires_grad_()

    x, weight = random(2, 2, 5, 4), random(4, 1, 2, 2)
    offset, mask = random(2, 16, 4, 3), random(2, 8, 4, 3)
    b = random(4) if bias else None

    def layer(x, offset, mask, weight, *rest):
        return mmcv_ops.modulated_deform_conv2d(
            x, offset, mask, weight, rest[0] if rest else None, 1, 0, 1, 2, 2
        )

    inputs = (x, offset, mask, weight, *([b] if bias else []))
    assert gradcheck(layer, inputs)


def test_deform_conv_gradients_and_step_of_a_layer():
    x = torch.rand(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    offset = torch.rand(2, 8, 4, 3, dtype=torch.float64).mul_(0.8).add_(0.1).requires_grad_()
    weight = torch.rand(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda *a: mmcv_ops.deform_conv2d(*a, 1, 0), (x, offset, weight))
    for kind in ("DCN", "DCNv2"):
        from mmcv.cnn import build_conv_layer

        layer = build_conv_layer(dict(type=kind), 4, 6, 3, padding=1)
        layer(torch.rand(2, 4, 8, 8)).square().mean().backward()
        assert layer.weight.grad.abs().sum() > 0
        assert layer.conv_offset.weight.grad.abs().sum() > 0


def test_deformable_attention_equals_the_plain_function():
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch,
    )

    shapes = torch.tensor([[4, 3], [2, 2]])
    starts = torch.tensor([0, 12])
    value = torch.rand(1, 16, 2, 2, dtype=torch.float64, requires_grad=True)
    locations = torch.rand(1, 3, 2, 2, 2, 2, dtype=torch.float64).mul_(0.9).add_(0.03).requires_grad_()
    weights = torch.rand(1, 3, 2, 2, 2, dtype=torch.float64, requires_grad=True)

    def attend(value, locations, weights):
        return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)

    expected = multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    torch.testing.assert_close(attend(value, locations, weights), expected)
    assert gradcheck(attend, (value, locations, weights))


# --- focal loss


def test_focal_loss_known_value():
    """At logit 0 both logarithms are -ln 2 and both factors 1/4."""
    loss = mmcv_ops.sigmoid_focal_loss(torch.zeros(1, 2), torch.tensor([0]), 2.0, 0.25, None, "none")
    expected = torch.tensor([[0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)]])
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_focal_loss_equals_the_plain_loss_of_mmdet(reduction):
    from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss

    logits = torch.randn(7, 3)
    target = torch.tensor([0, 1, 2, 3, 3, 1, 0])  # 3 is the background
    one_hot = F.one_hot(target, 4)[:, :3].float()
    plain = py_sigmoid_focal_loss(logits, one_hot, reduction="none")
    expected = {"none": plain, "sum": plain.sum(), "mean": plain.sum() / 7}[reduction]
    torch.testing.assert_close(
        mmcv_ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, reduction), expected
    )


@pytest.mark.parametrize("gamma", [2.0, 1.5, 0.0])
def test_focal_loss_gradient(gamma):
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 0])
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    assert gradcheck(lambda x: mmcv_ops.sigmoid_focal_loss(x, target, gamma, 0.25, weight, "sum"), logits)


def test_focal_loss_weight_counts_by_target_and_background_counts_once():
    logits = torch.randn(4, 2)
    target = torch.tensor([0, 1, 2, 0])
    weight = torch.tensor([3.0, 5.0])
    plain = mmcv_ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "none")
    weighted = mmcv_ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, weight, "none")
    torch.testing.assert_close(weighted, plain * torch.tensor([3.0, 5.0, 1.0, 3.0])[:, None])


def test_focal_loss_of_extreme_logits_is_finite():
    logits = torch.tensor([[-200.0, 200.0], [200.0, -200.0]], requires_grad=True)
    loss = mmcv_ops.sigmoid_focal_loss(logits, torch.tensor([0, 0]), 2.0, 0.25, None, "none")
    assert loss[0, 0].item() == pytest.approx(0.25 * 200)  # -alpha log p with log p = -200
    loss.sum().backward()
    assert logits.grad.isfinite().all()


# --- the module itself


@supplied_only
def test_an_operator_that_is_not_supplied_names_itself_and_the_way_out():
    pool = mmcv_ops.RoIPool(2)
    with pytest.raises(NotImplementedError, match=r"'roi_pool_forward'.*--no-build-isolation"):
        pool(torch.rand(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 3, 3]]))


@supplied_only
def test_environment_report_names_the_supplier():
    assert "unirestore.mm.ops" in mmcv_ops.get_compiler_version()
    assert "unirestore.mm.ops" in mmcv_ops.get_compiling_cuda_version()


@supplied_only
def test_install_again_changes_nothing():
    before = sys.modules["mmcv._ext"]
    assert ops.install() is True
    assert sys.modules["mmcv._ext"] is before


@supplied_only
def test_dunder_names_are_absent():
    assert not hasattr(sys.modules["mmcv._ext"], "__path__")


@pytest.mark.parametrize("mode", [2, -1])
def test_wrong_modes_are_refused(mode):
    box, empty = torch.zeros(1, 5), torch.zeros(0)
    with pytest.raises(ValueError, match=f"pool_mode must be 0 .* got {mode}"):
        ops.roi_align.roi_align_forward(
            torch.zeros(1, 1, 2, 2), box, empty, empty, empty, 1, 1, 1.0, 0, mode, True
        )
    with pytest.raises(ValueError, match=f"got {mode - 1 if mode < 0 else mode + 1}"):
        method = mode - 1 if mode < 0 else mode + 1
        ops.suppression.softnms(torch.zeros(1, 4), torch.zeros(1), box, 0.3, 0.5, 0.1, method, 0)
    with pytest.raises(ValueError, match=f"bbox_overlaps mode must be .* got {mode}"):
        ops.suppression.bbox_overlaps(box[:, 1:], box[:, 1:], torch.zeros(1, 1), mode, False, 0)


def test_a_compiled_module_that_does_not_load_is_replaced(tmp_path, monkeypatch):
    import mmcv

    (tmp_path / "_ext.py").write_text("raise ImportError('undefined symbol: _ZN2at4_ops')\n")
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
    monkeypatch.setattr(mmcv, "__path__", [str(tmp_path)])
    with pytest.warns(RuntimeWarning, match="undefined symbol: _ZN2at4_ops"):
        assert ops.install() is True
    assert ops.is_supplied()


@pytest.mark.slow
def test_a_compiled_module_is_left_alone(tmp_path):
    """In a fresh interpreter, with a stand-in for the compiled module inside mmcv's folder."""
    (tmp_path / "_ext.py").write_text(
        "def nms(*a, **k):\n    return 'compiled'\n\n\ndef __getattr__(name):\n"
    )
    with (tmp_path / "_ext.py").open("a") as file:
        file.write("    if name.startswith('__'):\n        raise AttributeError(name)\n    return nms\n")
    code = f"""
import mmcv
mmcv.__path__.insert(0, {str(tmp_path)!r})
import unirestore.mm, mmcv.ops, sys
from unirestore.mm import ops
print(sys.modules['mmcv._ext'].__file__, ops.is_supplied(), ops.install(), mmcv.ops.nms.__module__)
print(sys.modules['mmcv._ext'].nms())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), timeout=120
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.strip().splitlines()[-2:]
    assert first == f"{tmp_path / '_ext.py'} False False mmcv.ops.nms"
    assert second == "compiled"
