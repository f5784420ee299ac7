"""Boxes, label maps and depth follow the pixels that an effect moves."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import pytest

from unirestore.degradations import REGISTRY, Compose, Degradation, Haze, Identity, RandomChoice, geometry


@pytest.fixture
def shifts():
    """Two effects made for the test: one shifts by a drawn number of pixels, one forgets its map."""

    @dataclass(frozen=True, kw_only=True)
    class Shift(Degradation):
        moves_pixels: ClassVar[bool] = True
        right: int = 0

        def sampling_map(self, shape, rng):
            rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
            return np.stack([columns - self.right, rows - int(rng.integers(2, 6))], -1)

        def apply(self, image, rng, scene):
            field = self.sampling_map(image.shape[:2], rng)
            return cv2.remap(image, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)

    @dataclass(frozen=True, kw_only=True)
    class Forgetful(Degradation):
        moves_pixels: ClassVar[bool] = True

        def apply(self, image, rng, scene):
            return image

    yield Shift, Forgetful
    del REGISTRY["Shift"], REGISTRY["Forgetful"]


def box_photo(box=(20, 15, 32, 27), shape=(48, 64)):
    image = np.zeros((*shape, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def bounds(image):
    rows, columns = np.nonzero(image[..., 0] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("seed", range(5))
def test_boxes_and_label_maps_lie_where_the_pixels_are(shifts, seed):
    shift = shifts[0](right=9)
    image = box_photo()
    for effect in (shift, Compose(effects=(shift, Identity(), shift)), RandomChoice(effects=(shift, shift))):
        assert effect.moves_pixels
        moved = effect(image, seed=seed)
        boxes = effect.warp_boxes([[20, 15, 32, 27]], (48, 64), seed=seed)
        assert np.array_equal(boxes[0], bounds(moved)), type(effect)
        labels = effect.warp_map((image[..., 0] > 0).astype(np.uint8), seed=seed)
        assert np.array_equal(labels, moved[..., 0] // 255)


def test_effects_that_stay_leave_boxes_alone_and_one_without_a_map_is_told(shifts):
    boxes = np.array([[1.5, 2, 3, 4]], np.float32)
    still = Compose(effects=(Haze(), Identity()))
    assert not still.moves_pixels and np.array_equal(still.warp_boxes(boxes, (9, 9), seed=0), boxes)
    labels = np.arange(81).reshape(9, 9)
    assert np.array_equal(still.warp_map(labels, seed=0), labels)
    with pytest.raises(NotImplementedError, match="Forgetful moves pixels but has no sampling_map"):
        shifts[1]().warp_boxes(boxes, (9, 9), seed=0)


def test_haze_after_a_move_uses_the_moved_depth(shifts):
    image = np.full((48, 64, 3), 60, np.uint8)
    depth = np.full((48, 64), 5.0, np.float32)
    depth[:, :20] = 500.0  # thick fog on the left 20 columns, before everything goes 30 to the right
    both = Compose(effects=(shifts[0](right=30), Haze(severity=4, unevenness=0.0, vignette=0.0)))
    bright = both(image, seed=1, depth=depth).mean(axis=(0, 2))
    assert bright[45] > bright[58] + 30, (bright[45], bright[58])


def test_smooth_fields_keep_boxes_to_a_pixel():
    height, width = 80, 100
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    field = np.stack([columns + 4 * np.sin(rows / 13), rows + 3 * np.cos(columns / 17)], -1)
    image = box_photo((30, 20, 70, 60), (height, width))
    moved = cv2.remap(image, field, None, cv2.INTER_LINEAR)
    found = geometry.warp_boxes(np.array([[30, 20, 70, 60]]), field, (height, width))[0]
    assert np.abs(found - bounds(moved)).max() <= 1.0, (found, bounds(moved))


def test_boxes_that_leave_have_no_area_and_small_ones_survive():
    rows, columns = np.mgrid[0:20, 0:30].astype(np.float32)
    away = np.stack([columns - 15, rows], -1)  # 15 to the right
    boxes = np.array([[20, 2, 28, 9], [10, 2, 20, 9], [3.2, 4.1, 3.6, 4.4]], np.float32)
    moved = geometry.warp_boxes(boxes, away, (20, 30))
    assert (moved[0, 2:] - moved[0, :2]).min() <= 0
    assert np.array_equal(moved[1], [25, 2, 30, 9])
    assert np.allclose(moved[2], [18.2, 4.1, 18.6, 4.4], atol=1e-4)


def test_outside_is_filled_or_mirrored_and_sizes_must_match():
    rows, columns = np.mgrid[0:3, 0:4].astype(np.float32)
    left = np.stack([columns - 2, rows], -1)
    labels = np.tile(np.arange(4, dtype=np.uint8), (3, 1))
    assert geometry.warp_map(labels, left, fill=255)[0].tolist() == [255, 255, 0, 1]
    assert geometry.warp_map(labels, left)[0].tolist() == [2, 1, 0, 1]
    with pytest.raises(ValueError, match=r"\(5, 5\).*\(3, 4, 2\)"):
        geometry.warp_map(np.zeros((5, 5)), left)
    with pytest.raises(ValueError, match=r"\(9, 9, 2\)"):
        geometry.warp_boxes(np.zeros((1, 4)), left, (9, 9))


def test_every_effect_that_moves_pixels_moves_them_as_its_map_says():
    """On a smooth photo, sampling it by the map gives what the effect gives."""
    rows, columns = np.mgrid[0:64, 0:80]
    image = np.stack([columns * 3, rows * 3, rows + columns], -1).astype(np.uint8)
    movers = [cls for cls in REGISTRY.values() if cls.moves_pixels is True]
    assert movers, "no registered effect moves pixels"
    for cls in movers:
        for severity in (1, 5) if cls.presets else (None,):
            effect = cls(severity=severity)
            field = effect.sampling_map((64, 80), effect._generator(3))
            expected = cv2.remap(image, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            found = effect(image, seed=3).astype(int)
            assert np.abs(found - expected)[12:-12, 12:-12].mean() < 3, cls.__name__
