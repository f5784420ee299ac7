"""Reading photos, label maps and depth: every kind of file a user may have."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from unirestore.data.images import depth_names, read_depth, read_image, read_label_map, write_depth

RED_TOP = np.zeros((4, 6, 3), np.uint8)
RED_TOP[0] = (200, 10, 20)


def test_rgb_stays(tmp_path):
    Image.fromarray(RED_TOP).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RED_TOP)


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RED_TOP).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(RED_TOP, turn))


def test_grey_becomes_three_channels(tmp_path):
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.stack([grey] * 3, -1))


def test_alpha_is_dropped_not_blended(tmp_path):
    rgba = np.dstack([RED_TOP, np.zeros((4, 6), np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RED_TOP)
    two = np.dstack([np.full((4, 6), 77, np.uint8), np.zeros((4, 6), np.uint8)])
    Image.fromarray(two).save(tmp_path / "b.png")
    assert (read_image(tmp_path / "b.png") == 77).all()


def test_palette(tmp_path):
    Image.fromarray(RED_TOP).quantize(4).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RED_TOP)


def test_sixteen_bit_is_scaled(tmp_path):
    steps = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(steps).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], [0, 1, 128, 255])
    cv2.imwrite(str(tmp_path / "b.png"), np.dstack([steps] * 3))
    np.testing.assert_array_equal(read_image(tmp_path / "b.png")[0, :, 0], [0, 1, 128, 255])


def test_floating_point_is_refused(tmp_path):
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif.*8 or 16 bit"):
        read_image(tmp_path / "a.tif")


def test_broken_files_are_named(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not an image")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    for name in ("empty.jpg", "text.jpg", "cut.jpg"):
        with pytest.raises(ValueError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        read_image(tmp_path / "gone.jpg")


def test_label_map_keeps_indices(tmp_path):
    indices = np.array([[0, 3], [11, 200]], np.uint8)
    palette = Image.fromarray(indices, "L").convert("P")
    palette.putdata(indices.ravel().tolist())
    palette.putpalette([7] * 768)
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "p.png"), indices)
    Image.fromarray(RED_TOP).save(tmp_path / "rgb.png")
    with pytest.raises(ValueError, match="one channel"):
        read_label_map(tmp_path / "rgb.png")


def test_depth_round_trip(tmp_path):
    depth = np.array([[3.0, 12.345], [300.0, 1000.0]], np.float32)
    write_depth(tmp_path / "d.png", depth)
    np.testing.assert_allclose(read_depth(tmp_path / "d.png"), depth, atol=0.0051)
    assert cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)[0, 1] in (1234, 1235)  # centimetres
    np.save(tmp_path / "d.npy", depth)
    np.testing.assert_array_equal(read_depth(tmp_path / "d.npy"), depth)


def test_depth_refuses_other_files(tmp_path):
    Image.fromarray(RED_TOP).save(tmp_path / "rgb.png")
    with pytest.raises(ValueError, match="16-bit"):
        read_depth(tmp_path / "rgb.png")
    np.save(tmp_path / "d.npy", np.zeros((2, 2, 1)))
    with pytest.raises(ValueError, match=r"\(2, 2, 1\)"):
        read_depth(tmp_path / "d.npy")
    (tmp_path / "bad.npy").write_bytes(b"no")
    with pytest.raises(ValueError, match="bad"):
        read_depth(tmp_path / "bad.npy")
    with pytest.raises(FileNotFoundError):
        read_depth(tmp_path / "gone.npy")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_of_16_bits_is_rounded(tmp_path, name, channels):
    levels = np.array([0, 127, 128, 129, 257, 32896, 65535 - 129, 65535], np.uint16)
    stored = np.stack([levels, levels[::-1], np.roll(levels, 3), np.full(8, 65535, np.uint16)], -1)[None]
    bgr = stored[..., [2, 1, 0, 3][:channels] if channels == 4 else [2, 1, 0]]
    cv2.imwrite(str(tmp_path / name), np.ascontiguousarray(bgr))
    expected = np.rint(stored[..., :3] / 257).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / name), expected)


def test_depth_names_tell_photos_of_one_stem_apart():
    assert depth_names(["x/a.jpg", "x/A.png", "b.c.jpg"]) == {
        "x/a.jpg": "x/a.jpg",
        "x/A.png": "x/A.png",
        "b.c.jpg": "b.c",
    }
