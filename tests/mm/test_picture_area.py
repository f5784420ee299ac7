import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mmdet")

from unirestore.mm.picture_area import picture_area


def canvas_with(rows: slice, columns: slice, size: int = 32) -> torch.Tensor:
    image = torch.full((3, size, size), 114, dtype=torch.uint8)
    area = image[:, rows, columns]
    image[:, rows, columns] = torch.arange(area[0].numel()).remainder(255).reshape(area.shape[1:]).byte()
    return image


META = {"ori_shape": (40, 64), "scale_factor": (0.5, 0.5), "img_shape": (32, 32)}


def test_padding_after_resize_is_left_out_although_img_shape_counts_it():
    image = canvas_with(slice(0, 20), slice(0, 32))
    assert picture_area(image, META) == (slice(0, 20), slice(0, 32))


def test_nothing_known_means_the_whole_input():
    image = canvas_with(slice(0, 20), slice(0, 32))
    assert picture_area(image, None) == (slice(0, 32), slice(0, 32))
    assert picture_area(image, {"img_shape": (20, 32)}) == (slice(0, 32), slice(0, 32))


def test_a_mosaic_is_not_cut_by_the_stale_size_of_one_of_its_photos():
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    assert picture_area(image, META) == (slice(0, 32), slice(0, 32))


def test_a_crop_smaller_than_the_resized_photo_is_whole():
    image = torch.randint(0, 256, (3, 12, 12), dtype=torch.uint8)
    assert picture_area(image, META) == (slice(0, 12), slice(0, 12))


@pytest.mark.parametrize(
    ("direction", "rows", "columns"),
    [
        ("horizontal", slice(0, 20), slice(2, 32)),
        ("vertical", slice(12, 32), slice(0, 30)),
        ("diagonal", slice(12, 32), slice(2, 32)),
    ],
)
def test_a_flip_after_padding_moves_the_picture(direction, rows, columns):
    meta = {"ori_shape": (40, 60), "scale_factor": (0.5, 0.5), "flip": True, "flip_direction": direction}
    assert picture_area(canvas_with(rows, columns), meta) == (rows, columns)


def test_a_flip_before_padding_does_not():
    meta = dict(META, flip=True, flip_direction="vertical")
    assert picture_area(canvas_with(slice(0, 20), slice(0, 32)), meta)[0] == slice(0, 20)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(8, 96))
def test_agrees_with_the_size_that_mmcv_resizes_to(height, width, side):
    """mmcv: new = int(old * scale + 0.5), scale_factor = new / old; the product must give `new` back."""
    scale = side / max(height, width)
    new_h, new_w = int(height * scale + 0.5), int(width * scale + 0.5)
    if min(new_h, new_w) < 1:
        return
    image = canvas_with(slice(0, new_h), slice(0, new_w), side + 3)
    meta = {"ori_shape": (height, width), "scale_factor": (new_w / width, new_h / height)}
    assert picture_area(image, meta) == (slice(0, new_h), slice(0, new_w))
