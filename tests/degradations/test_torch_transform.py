"""The torchvision transform: images, boxes and masks stay together, seeds come from torch."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from unirestore.degradations import REGISTRY, Degradation, Haze, JpegCompression
from unirestore.degradations.corruptions import ElasticTransformC
from unirestore.degradations.step import DegradeStep
from unirestore.degradations.torch_transform import DegradeTransform


@pytest.fixture
def shift():
    """An effect that moves everything 6 pixels to the right and 3 down."""

    @dataclass(frozen=True, kw_only=True)
    class ShiftForTorch(Degradation):
        moves_pixels: ClassVar[bool] = True

        def sampling_map(self, shape, rng):
            rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
            return np.stack([columns - 6, rows - 3], -1)

        def apply(self, image, rng, scene):
            return cv2.remap(image, self.sampling_map(image.shape[:2], rng), None, cv2.INTER_NEAREST)

    yield ShiftForTorch()
    del REGISTRY["ShiftForTorch"]


def picture(height=30, width=44):
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (width, height))


def tensor():
    return torch.from_numpy(picture()).permute(2, 0, 1).contiguous()


def test_every_kind_of_image_gets_the_core_degradation():
    expected = Haze(severity=4)(picture(), seed=9)
    step = DegradeTransform(Haze(severity=4), seed=9)
    tagged = step(tv_tensors.Image(tensor()))
    assert isinstance(tagged, tv_tensors.Image) and np.array_equal(tagged.permute(1, 2, 0).numpy(), expected)
    plain = step(tensor())
    assert type(plain) is torch.Tensor and torch.equal(plain, tagged)
    pil = step(Image.fromarray(picture()))
    assert isinstance(pil, Image.Image) and np.array_equal(np.asarray(pil), expected)
    floats = step(tensor().float() / 255)
    assert floats.dtype == torch.float32 and (floats * 255 - plain).abs().max() < 0.51
    grey = step(tensor()[:1])
    assert grey.shape == (1, 30, 44)
    narrow = torch.zeros(3, 5, 3, dtype=torch.uint8)  # 3 pixels wide: still channels first
    assert step(narrow).shape == narrow.shape


def test_boxes_and_masks_follow(shift):
    image = torch.zeros(3, 30, 44, dtype=torch.uint8)
    image[:, 5:15, 10:20] = 255
    for form, box in (("XYXY", [10, 5, 20, 15]), ("XYWH", [10, 5, 10, 10]), ("CXCYWH", [15, 10, 10, 10])):
        sample = {
            "image": tv_tensors.Image(image),
            "boxes": tv_tensors.BoundingBoxes([box, box], format=form, canvas_size=(30, 44)),
            "masks": tv_tensors.Mask(image[:1] > 0),
            "labels": torch.tensor([3, 4]),
            "map": tv_tensors.Mask((image[0] > 0).to(torch.uint8)),
            "name": "a",
        }
        out = DegradeTransform(shift)(sample)
        assert isinstance(out["boxes"], tv_tensors.BoundingBoxes) and out["boxes"].format.name == form
        moved = [value + by for value, by in zip(box, (6, 3, 0, 0) if form != "XYXY" else (6, 3, 6, 3))]
        assert out["boxes"].tolist() == [moved, moved] and out["boxes"].dtype == sample["boxes"].dtype
        assert torch.equal(out["masks"][0], out["image"][0] > 0) and out["masks"].dtype == torch.bool
        assert torch.equal(out["map"] == 1, out["image"][0] > 0) and (out["map"][:3] == 255).all()
        assert out["labels"].tolist() == [3, 4] and out["name"] == "a"


def test_keypoints_follow(shift):
    points = torch.tensor([[[10, 5], [20.25, 12]], [[43, 29], [0, 0]]])
    sample = (
        tv_tensors.Image(tensor()),
        tv_tensors.KeyPoints(points, canvas_size=(30, 44)),
        tv_tensors.KeyPoints(torch.tensor([[7, 7]]), canvas_size=(30, 44)),
    )
    _, first, second = DegradeTransform(shift)(sample)
    assert isinstance(first, tv_tensors.KeyPoints) and torch.equal(first, points + torch.tensor([6.0, 3.0]))
    assert second.tolist() == [[13, 10]] and second.dtype == torch.int64
    with pytest.raises(ValueError, match=r"canvas \(9, 9\) cannot follow an image of \(30, 44\)"):
        DegradeTransform(shift)(sample[0], tv_tensors.KeyPoints(points, canvas_size=(9, 9)))


def test_a_photo_with_nothing_in_it_passes(shift):
    image, boxes, masks, points = DegradeTransform(shift)(
        tv_tensors.Image(tensor()),
        tv_tensors.BoundingBoxes(torch.zeros(0, 4), format="XYXY", canvas_size=(30, 44)),
        tv_tensors.Mask(torch.zeros(0, 30, 44, dtype=torch.bool)),
        tv_tensors.KeyPoints(torch.zeros(0, 17, 2), canvas_size=(30, 44)),
    )
    assert boxes.shape == (0, 4) and masks.shape == (0, 30, 44) and points.shape == (0, 17, 2)
    assert not torch.equal(image, tensor())


def test_keypoints_follow_an_elastic_transform():
    effect, seed = ElasticTransformC(severity=1), 3
    points = np.random.default_rng(1).uniform(20, 230, (30, 2)).astype(np.float32)
    image = tv_tensors.Image(torch.zeros(3, 256, 256, dtype=torch.uint8))
    marks = tv_tensors.KeyPoints(torch.from_numpy(points), canvas_size=(256, 256))
    moved = DegradeTransform(effect, seed=seed)(image, marks)[1].numpy()
    field = effect.sampling_map((256, 256), effect._generator(seed))
    shown = cv2.remap(field, moved[None], None, cv2.INTER_LINEAR)[0]
    assert np.abs(shown - points).max() < 0.6, "what is shown there is what was marked"
    assert np.abs(moved - points).max() > 1.5


def test_a_depth_in_the_sample_is_used_and_follows(shift):
    depth = torch.full((30, 44), 10.0)
    depth[:, 22:] = 300
    step = DegradeTransform(Haze(severity=4), seed=2, depth="depth", class_names=("sky", "road"))
    expected = Haze(severity=4)(picture(), seed=2, depth=depth.numpy())
    for own in (depth, depth[None], tv_tensors.Mask(depth)):
        out = step([{"depth": own, "image": tensor(), "map": tv_tensors.Mask(torch.ones(30, 44).byte())}])[0]
        assert np.array_equal(out["image"].permute(1, 2, 0).numpy(), expected) and out["depth"] is own
    guessed = step({"depth": None, "image": tensor()})
    assert np.array_equal(guessed["image"].permute(1, 2, 0).numpy(), Haze(severity=4)(picture(), seed=2)), (
        "no depth: guessed"
    )
    moved = DegradeTransform(shift, depth="depth")({"depth": depth[None], "image": tensor()})["depth"]
    assert type(moved) is torch.Tensor and torch.equal(moved[0, 3:, 6:], depth[:-3, :-6])
    with pytest.raises(ValueError, match="0 entries 'depth'"):
        step({"image": tensor()})
    with pytest.raises(ValueError, match=r"depth must be a tensor \(H, W\)"):
        step({"image": tensor(), "depth": torch.zeros(2, 30, 44)})


def test_effects_that_stay_leave_annotations_alone():
    boxes = tv_tensors.BoundingBoxes([[1, 2, 3, 4]], format="XYXY", canvas_size=(30, 44))
    image, same = DegradeTransform("second_order")(tv_tensors.Image(tensor()), boxes)
    assert same is boxes and not torch.equal(image, tensor())


def test_seeds_come_from_torch_and_prob_is_a_share():
    step = DegradeTransform("haze", prob=0.5)
    torch.manual_seed(3)
    first = [step(tensor()) for _ in range(40)]
    torch.manual_seed(3)
    assert all(torch.equal(a, step(tensor())) for a in first)
    untouched = sum(torch.equal(one, tensor()) for one in first)
    assert 8 < untouched < 32
    assert len({bytes(one.numpy()) for one in first}) == 40 - untouched + 1


def test_a_label_map_gives_the_depth():
    labels = torch.ones(30, 44, dtype=torch.uint8)
    labels[:10] = 0
    step = DegradeTransform(Haze(severity=4), seed=2, class_names=("sky", "road"))
    out, _ = step(tv_tensors.Image(tensor()), tv_tensors.Mask(labels))
    expected = Haze(severity=4)(picture(), seed=2, label_map=labels.numpy(), class_names=("sky", "road"))
    assert np.array_equal(out.permute(1, 2, 0).numpy(), expected)
    assert not torch.equal(step(tensor()), out)


def test_it_stands_in_a_v2_pipeline():
    pipeline = v2.Compose(
        [
            DegradeTransform(JpegCompression(quality=20)),
            v2.RandomHorizontalFlip(1.0),
            v2.ToDtype(torch.float32),
        ]
    )
    assert pipeline(tv_tensors.Image(tensor())).shape == (3, 30, 44)
    assert "JpegCompression" in repr(pipeline)


def test_what_is_no_sample_is_refused():
    step = DegradeTransform("haze")
    with pytest.raises(ValueError, match="has no image"):
        step({"a": 1})
    with pytest.raises(ValueError, match=r"\(2, 3, 30, 44\)"):
        step(torch.zeros(2, 3, 30, 44))
    with pytest.raises(ValueError, match="RGB or L, got P"):
        step(Image.fromarray(picture()).convert("P"))
    with pytest.raises(ValueError, match="prob is 2"):
        DegradeTransform("haze", prob=2)


def test_the_step_moves_what_belongs_to_the_photo(shift):
    image = picture()
    moved = DegradeStep(shift)(image, seed=1, boxes=[[4, 4, 9, 9]], maps=[image[..., 0], image[..., 1]])
    assert moved.boxes.tolist() == [[10, 7, 15, 12]] and len(moved.maps) == 2
    assert np.array_equal(moved.maps[1][3:, 6:], moved.image[3:, 6:, 1]) and (moved.maps[0][:3] == 255).all()
    kept = DegradeStep(shift, prob=0.0)(image, seed=1, boxes=[[4, 4, 9, 9]])
    assert kept.effect is None and kept.image is image and kept.boxes.tolist() == [[4, 4, 9, 9]]
    planes = DegradeStep(shift)(torch.from_numpy(image).permute(2, 0, 1), seed=1, boxes=[[4, 4, 9, 9]])
    assert planes.boxes.tolist() == [[10, 7, 15, 12]]
    assert "ShiftForTorch" in repr(DegradeStep(shift)) and DegradeStep({"type": "Haze", "severity": 2}).effect
