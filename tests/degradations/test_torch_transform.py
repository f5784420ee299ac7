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
