import copy

import numpy as np
import pytest
import torch

pytest.importorskip("mmdet")

from mmengine.config import Config

from unirestore.mm import FrozenDetector, pseudo_labels, read_config
from unirestore.mm.class_names import detector_class_names

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
NANO = "mmdet::yolox/yolox_nano_8xb8-300e_coco"
BOXES = [torch.tensor([[10.0, 10, 80, 90], [60, 30, 120, 90]]), torch.zeros(0, 4)]
LABELS = [torch.tensor([2, 0]), torch.zeros(0, dtype=torch.long)]


def images(count=2, height=96, width=128, seed=0):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
@torch.no_grad()
def detector(tmp_path_factory):
    """YOLOX-nano with 80 classes and random but spread-out weights, so that it predicts something."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "nano.pth"
    plain = FrozenDetector(NANO, None, CLASSES, fuse=False)
    for norm in (part for part in plain.detector.modules() if isinstance(part, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(std=0.1)
        norm.running_var.uniform_(0.5, 2.0)
    heads = plain.detector.bbox_head
    seen = {}
    for layer in (*heads.multi_level_conv_cls, *heads.multi_level_conv_obj):
        layer.register_forward_hook(lambda layer, args, output: seen.update({layer: output}))
    heads(plain.features(images(1)))
    for layer, output in seen.items():  # scores of zero mean and spread 2 over the picture
        spread = output.std(dim=(0, 2, 3), keepdim=True).clamp(min=1e-6) / 2
        layer.bias.sub_(output.mean(dim=(0, 2, 3))).div_(spread.flatten())
        layer.weight.div_(spread.permute(1, 0, 2, 3))
        layer._forward_hooks.clear()
    torch.save({"state_dict": plain.detector.state_dict()}, path)
    return FrozenDetector(NANO, path, CLASSES, input_size=128), path


def test_fusing_changes_outputs_by_rounding_only(detector):
    fused, path = detector
    plain = FrozenDetector(NANO, path, CLASSES, fuse=False)
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in plain.modules())
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in fused.modules())
    for got, expected in zip(fused.features(images()), plain.features(images()), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=3e-4)


def test_loss_equals_that_of_mmdet_with_its_own_preprocessor(detector):
    """Reference: an mmdet data sample through mmdet's preprocessor and `loss`, labels in COCO's indices."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    _, path = detector
    ours = FrozenDetector(NANO, path, CLASSES, fuse=False)
    coco = {"person": 0, "car": 2, "bus": 5, "truck": 7}
    labels = [torch.tensor([4, 5]), torch.tensor([2])]  # bus, truck, car in our order
    boxes = [BOXES[0], BOXES[0][:1]]
    batch = images()
    samples = []
    for box, names in zip(boxes, (("bus", "truck"), ("car",)), strict=True):
        sample = DetDataSample(metainfo={"img_shape": (96, 128), "ori_shape": (96, 128)})
        sample.gt_instances = InstanceData(bboxes=box, labels=torch.tensor([coco[name] for name in names]))
        samples.append(sample)
    bgr = [image[[2, 1, 0]] * 255 for image in batch]
    data = ours.detector.data_preprocessor({"inputs": bgr, "data_samples": samples}, False)
    expected = ours.detector.loss(data["inputs"], data["data_samples"])
    got = ours.loss(batch, boxes, labels)
    assert set(got) == set(expected) == {"loss_cls", "loss_bbox", "loss_obj"}
    for name, value in got.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-5)


def test_loss_is_differentiable_in_the_images_and_in_nothing_else(detector):
    detector, _ = detector
    batch = images().requires_grad_()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    losses, features = detector.train().loss_and_features(batch, BOXES, LABELS)
    (sum(losses.values()) + features[0].square().mean()).backward()
    assert batch.grad.shape == batch.shape and float(batch.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in detector.parameters())
    assert not any(part.training for part in detector.modules())
    for name, value in detector.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_gradient_agrees_with_finite_differences(detector):
    detector, _ = detector
    batch, direction = (
        images(1).requires_grad_(),
        torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(1)),
    )
    value = sum(feature.square().sum() for feature in detector.features(batch))
    value.backward()
    slope = float((batch.grad * direction).sum())
    step = 1e-3
    with torch.no_grad():
        ends = [
            sum(f.double().square().sum() for f in detector.features(batch + s * step * direction))
            for s in (1, -1)
        ]
    assert slope == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=0.05)


def test_loss_and_features_share_one_pass_and_agree_with_the_single_calls(detector):
    detector, _ = detector
    passes = []
    handle = detector.detector.backbone.register_forward_hook(lambda *args: passes.append(1))
    losses, features = detector.loss_and_features(images(), BOXES, LABELS)
    handle.remove()
    assert len(passes) == 1
    assert [tuple(f.shape[-2:]) for f in features] == [(12, 16), (6, 8), (3, 4)]
    for got, expected in zip(features, detector.features(images()), strict=True):
        assert torch.equal(got, expected)
    for name, value in detector.loss(images(), BOXES, LABELS).items():
        assert torch.equal(losses[name], value)


def test_any_size_is_padded_to_the_divisor(detector):
    detector, _ = detector
    assert [tuple(f.shape[-2:]) for f in detector.features(images(1, 33, 1))] == [(8, 4), (4, 2), (2, 1)]


def test_mean_std_and_channel_order_of_the_config_are_honoured():
    config = read_config(NANO)
    seen = []
    batch = torch.zeros(1, 3, 32, 32)
    batch[:, 0] = 1.0  # red
    for keys, expected in (
        ({}, [0.0, 0.0, 255.0]),  # YOLOX: BGR 0-255
        ({"mean": [100, 10, 20], "std": [2, 5, 4], "bgr_to_rgb": True}, [77.5, -2.0, -5.0]),
        ({"rgb_to_bgr": True}, [0.0, 0.0, 255.0]),
    ):
        changed = copy.deepcopy(config)
        changed.model.data_preprocessor.update(keys)
        detector = FrozenDetector(changed, None, CLASSES)
        detector.detector.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        detector.features(batch)
        assert seen[-1][0, :, 0, 0].tolist() == pytest.approx(expected)


def test_predictions_come_in_our_classes_and_pixels(detector):
    detector, _ = detector
    pictures = [
        (images(1, 90, 120, seed)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8) for seed in range(3)
    ]
    results = detector.predict(pictures, batch_size=2)
    assert len(results) == 3 and sum(len(boxes) for boxes, _, _ in results) > 0
    for boxes, scores, labels in results:
        assert boxes.dtype == scores.dtype == np.float32 and labels.dtype == np.int64
        assert boxes.shape == (len(scores), 4) and len(labels) == len(scores) <= detector.max_per_img
        assert np.all(np.diff(scores) <= 0) and np.all(scores >= 0.01)
        assert np.all((labels >= 0) & (labels < len(CLASSES)))
    alone = detector.predict(pictures[1:2])[0]
    assert len(alone[0]) == len(results[1][0])
    np.testing.assert_allclose(alone[0], results[1][0], rtol=1e-3, atol=1e-2)


def test_prediction_equals_mmdet_on_the_same_canvas(detector):
    """Reference: mmdet's own predict on the padded BGR canvas; COCO labels 0, 1, 2, 3, 5, 7 are ours."""
    from mmdet.structures import DetDataSample

    detector, _path = detector
    picture = (images(1, 90, 120)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    canvas = np.full((128, 128, 3), 114, np.uint8)
    canvas[:90, :120] = picture
    sample = DetDataSample(
        metainfo={"img_shape": (128, 128), "ori_shape": (128, 128), "scale_factor": (1.0, 1.0)}
    )
    bgr = torch.from_numpy(canvas[..., ::-1].copy()).permute(2, 0, 1)
    with torch.no_grad():
        expected = detector.detector.test_step({"inputs": [bgr], "data_samples": [sample]})[0].pred_instances
    coco_to_ours = {0: 0, 1: 1, 2: 2, 3: 3, 5: 4, 7: 5}
    kept = [i for i, label in enumerate(expected.labels.tolist()) if label in coco_to_ours]
    boxes, scores, labels = detector.predict([picture])[0]
    assert 0 < len(scores) == len(kept) < len(expected.scores)
    order = np.argsort(-expected.scores[kept].numpy(), kind="stable")
    np.testing.assert_allclose(scores, expected.scores[kept].numpy()[order], atol=1e-5)
    assert labels.tolist() == [coco_to_ours[expected.labels[kept[i]].item()] for i in order]
    np.testing.assert_allclose(boxes, expected.bboxes[kept].numpy()[order], atol=1e-2)


def test_a_two_stage_detector_with_mean_and_std_works_too():
    config = read_config("mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco")
    config.model.backbone.update(type="ResNet", depth=18, init_cfg=None)
    config.model.backbone.pop("_delete_", None)
    config.model.neck.update(in_channels=[64, 128, 256, 512], out_channels=32)
    config.model.rpn_head.update(in_channels=32, feat_channels=32)
    config.model.roi_head.bbox_roi_extractor.out_channels = 32
    config.model.roi_head.bbox_head.update(in_channels=32, fc_out_channels=32)
    detector = FrozenDetector(config, None, CLASSES, input_size=128, score_thr=0.0)
    batch = images().requires_grad_()
    losses, features = detector.loss_and_features(batch, BOXES, LABELS)
    assert {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox"} <= set(losses) and "acc" not in losses
    assert len(features) == 5
    sum(losses.values()).backward()
    assert float(batch.grad.abs().sum()) > 0
    boxes, _, labels = detector.predict([np.zeros((100, 128, 3), np.uint8)])[0]
    assert len(boxes) <= detector.max_per_img and set(labels.tolist()) <= set(range(6))


def test_wrong_input_is_refused_with_the_numbers(detector):
    detector, path = detector
    with pytest.raises(ValueError, match=r"200 x 90 does not fit the 128 x 128"):
        detector.predict([np.zeros((90, 200, 3), np.uint8)])
    with pytest.raises(ValueError, match="float32"):
        detector.predict([np.zeros((90, 90, 3), np.float32)])
    with pytest.raises(ValueError, match="3, 32, 32"):
        detector.features(torch.rand(3, 32, 32))
    with pytest.raises(ValueError, match="2 images but 1"):
        detector.loss(images(), BOXES[:1], LABELS)
    with pytest.raises(ValueError, match="2 boxes but 1 labels"):
        detector.loss(images(1), BOXES[:1], [torch.tensor([1])])
    with pytest.raises(ValueError, match="from 0 to 6"):
        detector.loss(images(1), BOXES[:1], [torch.tensor([0, 6])])
    with pytest.raises(ValueError, match="does not know rickshaw"):
        FrozenDetector(NANO, None, ("car", "rickshaw"))
    with pytest.raises(FileNotFoundError, match="no config at absent"):
        FrozenDetector("absent.py", None, CLASSES)
    with pytest.raises(ValueError, match="input_size"):
        FrozenDetector(NANO, None, CLASSES, input_size=0)
    with pytest.raises(ValueError, match="score_thr"):
        FrozenDetector(NANO, None, CLASSES, score_thr=1.5)
    with pytest.raises(ValueError, match="does not fit the config"):
        FrozenDetector("mmdet::yolox/yolox_tiny_8xb8-300e_coco", path, CLASSES)


def test_class_names_are_asked_for_in_order():
    config = Config({"test_dataloader": {"dataset": {"dataset": {"metainfo": {"classes": ("a", "b")}}}}})
    meta = {"dataset_meta": {"CLASSES": ("c", "d")}}
    assert detector_class_names(2, given=("x", "y"), meta=meta, config=config) == ("x", "y")
    assert detector_class_names(2, meta=meta, config=config) == ("c", "d")
    assert detector_class_names(2, meta={"dataset_meta": {"classes": ("only",)}}, config=config) == ("a", "b")
    assert detector_class_names(2, fallback=("m", "n")) == ("m", "n")
    assert detector_class_names(80, fallback=CLASSES)[:8:7] == ("person", "truck")
    with pytest.raises(ValueError, match="3 class names were given"):
        detector_class_names(2, given=("x", "y", "z"))
    with pytest.raises(ValueError, match="7 classes"):
        detector_class_names(7, fallback=CLASSES)


def test_pseudo_labels_are_coco_and_keep_confident_boxes_only(detector):
    detector, _ = detector
    picture = (images(1, 90, 120)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    _boxes, scores, labels = detector.predict([picture])[0]
    threshold = float(np.median(scores))
    coco = pseudo_labels(detector, [picture, picture], ["a.png", "b.png"], score_thr=threshold)
    assert [image["file_name"] for image in coco["images"]] == ["a.png", "b.png"]
    assert [category["name"] for category in coco["categories"]] == list(CLASSES)
    assert 0 < len(coco["annotations"]) <= 2 * int((scores >= threshold).sum())
    first = coco["annotations"][0]
    assert first["score"] >= threshold and first["category_id"] - 1 in labels
    for annotation in coco["annotations"]:
        left, top, width, height = annotation["bbox"]
        assert left >= 0 and top >= 0 and left + width <= 120 + 1e-3 and top + height <= 90 + 1e-3
    with pytest.raises(ValueError, match="1 names"):
        pseudo_labels(detector, [picture, picture], ["a.png"])


def test_pseudo_labels_of_several_sizes_are_merged_in_the_pixels_of_the_picture(detector):
    detector, _ = detector
    picture = (images(1, 45, 60)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    seen = []

    class TwoBoxes:
        """Finds the whole of every picture, and its left half only when it is large."""

        classes = CLASSES

        def predict(self, pictures):
            (image,) = pictures
            height, width = image.shape[:2]
            seen.append((height, width))
            boxes = np.float32([[0, 0, width, height], [0, 0, width / 2, height]])[: 1 + (width > 60)]
            return [
                (boxes, np.float32([0.5 + width / 1000, 0.9])[: len(boxes)], np.int64([0, 1])[: len(boxes)])
            ]

    coco = pseudo_labels(TwoBoxes(), [picture], sizes=[30, 60, 120], restore=lambda image: 255 - image)
    assert seen == [(22, 30), (45, 60), (90, 120)]
    found = {a["category_id"]: (a["bbox"], a["score"]) for a in coco["annotations"]}
    assert len(coco["annotations"]) == 2 and coco["images"][0]["width"] == 60
    assert found[1][0] == pytest.approx([0, 0, 60, 45], abs=1) and found[1][1] == pytest.approx(0.62)
    assert found[2][0] == pytest.approx([0, 0, 30, 45])


@pytest.mark.slow
@pytest.mark.shared
def test_reference_car_ap_on_real_fog(shared):
    """Reference: car AP 32.3 in fog, development half; the filter of the resize moves it by about 0.2."""
    import json

    import cv2
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    detector = FrozenDetector(NANO, shared / "weights/yolox_nano_coco.pth", CLASSES)
    truth = COCO(str(shared / "data/dawn/annotations/fog.json"))
    ids = {category["name"]: category["id"] for category in truth.dataset["categories"]}
    found = []
    for entry in truth.dataset["images"]:
        photo = cv2.imread(str(shared / "data/dawn" / entry["file_name"]))[..., ::-1]
        scale = 640 / max(photo.shape[:2])
        size = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
        picture = cv2.resize(np.ascontiguousarray(photo), size, interpolation=cv2.INTER_LINEAR)
        for box, score, label in zip(*detector.predict([picture])[0], strict=True):
            left, top, right, bottom = (
                box / np.tile([size[0] / photo.shape[1], size[1] / photo.shape[0]], 2)
            ).tolist()
            found.append(
                {
                    "image_id": entry["id"],
                    "category_id": ids[CLASSES[label]],
                    "score": float(score),
                    "bbox": [left, top, right - left, bottom - top],
                }
            )
    evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(found))), "bbox")
    evaluation.params.catIds = [ids["car"]]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, 2]
    assert 100 * precision[precision > -1].mean() == pytest.approx(32.3, abs=0.4)
