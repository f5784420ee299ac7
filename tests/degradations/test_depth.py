"""Depth from nothing, from labels, from files."""

import cv2
import numpy as np
import pytest

from unirestore.degradations import depth


def test_ground_plane_falls_towards_the_camera_and_is_seeded():
    one = depth.ground_plane((120, 160), 4)
    assert one.shape == (120, 160) and one.dtype == np.float32
    assert one.min() >= 0.5 and one.max() <= depth.FAR
    assert np.array_equal(one, depth.ground_plane((120, 160), 4))
    assert not np.array_equal(one, depth.ground_plane((120, 160), 5))
    mean = np.mean([depth.ground_plane((120, 160), s) for s in range(8)], axis=0)
    assert np.median(mean[-5:]) < 6 < np.median(mean[75]) < np.median(mean[:5])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 400)])
def test_ground_plane_of_odd_shapes(shape):
    out = depth.ground_plane(shape, 0)
    assert out.shape == shape and np.isfinite(out).all() and out.min() > 0


def test_ground_plane_refuses_empty_shapes():
    with pytest.raises(ValueError, match=r"\(0, 4\)"):
        depth.ground_plane((0, 4), 0)


def test_flat_road_formula():
    rows = depth._ground_rows(100, 50.0)
    # camera 1.5 m high, focal 1.2 H: a row 30.5 px below the horizon shows 1.5 * 120 / 30.5 m
    assert rows[80] == pytest.approx(1.5 * 120 / 30.5, rel=1e-5)
    assert np.all(rows[:50] == depth.FAR)


NAMES = ("sky", "building", "road", "car")


def street():
    labels = np.zeros((100, 120), np.uint8)
    labels[20:50, :30] = 1
    labels[48:] = 2
    labels[45:60, 60:80] = 3  # far car
    labels[60:90, 85:115] = 3  # near car
    return labels


def test_label_map_depth_puts_sky_far_and_objects_upright():
    labels = street()
    out = depth.from_label_map(labels, NAMES, 0)
    assert out.dtype == np.float32 and out.shape == labels.shape
    assert out[:15].min() > 0.6 * depth.FAR
    far, near = out[45:60, 60:80], out[60:90, 85:115]
    assert np.median(near) < 0.5 * np.median(far)
    assert near.std() / near.mean() < 0.15, "an upright thing has one distance"
    foot = out[91, 85:115].mean()
    assert near.mean() == pytest.approx(foot, rel=0.25), "the distance of the ground at its foot"
    assert out[99, :50].mean() < out[60, :50].mean() < out[52, :50].mean()


def test_label_map_depth_takes_anything_integer():
    for labels in (np.zeros((1, 1), np.int64), np.full((7, 1), 2, np.uint8), np.full((1, 5), 255, np.uint8)):
        out = depth.from_label_map(labels, NAMES, 1)
        assert out.shape == labels.shape and np.isfinite(out).all() and out.min() > 0


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        (np.zeros((3, 3, 3), int), NAMES, r"\(H, W\) integers, got \(3, 3, 3\)"),
        (np.zeros((3, 3)), NAMES, "float64"),
        (np.zeros((3, 3), int), (), "class_names is empty"),
        (np.zeros((3, 3), int), None, "class_names is empty"),
    ],
)
def test_label_map_depth_refuses(labels, names, words):
    with pytest.raises(ValueError, match=words):
        depth.from_label_map(labels, names)


def test_follow_edges_moves_a_guessed_edge_to_the_picture():
    image = np.full((80, 80, 3), 0.2, np.float32)
    image[:, 40:] = 0.8
    guess = np.full((80, 80), 20.0, np.float32)
    guess[:, 44:] = 100.0
    out = depth.follow_edges(guess, image)
    assert out.shape == guess.shape and out.dtype == np.float32
    assert out[40, 42] > 1.3 * out[40, 36], "the step is now at column 40"
    flat = depth.follow_edges(np.full((5, 3), 30.0, np.float32), np.zeros((5, 3, 3), np.float32))
    assert flat == pytest.approx(30.0, rel=1e-3)


def test_guess_keeps_things_close_unless_they_look_like_sky():
    rng = np.random.default_rng(0)
    image = rng.uniform(0.1, 0.9, (90, 90, 3)).astype(np.float32)
    image[:40, :45] = (0.7, 0.8, 0.9)
    for seed in range(5):
        out = depth.guess(image, seed)
        assert (
            out.shape == (90, 90) and out.dtype == np.float32 and 0.5 <= out.min() <= out.max() <= depth.FAR
        )
        assert np.array_equal(out, depth.guess(image, seed))
        assert np.median(out[:10, 60:]) < 350, "texture in the upper half is no sky"
    sky = depth.sky_likeness(image)
    assert sky[5:30, 5:35].min() > 0.9 and sky[:30, 55:].mean() < 0.2 and sky[70:].max() == 0


def test_read_png_in_centimetres_and_npy_in_metres(tmp_path):
    stored = np.array([[0, 150], [65535, 1]], np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    assert depth.read(tmp_path / "a.png") == pytest.approx(np.array([[depth.FAR, 1.5], [depth.FAR, 0.01]]))
    np.save(tmp_path / "b.npy", np.array([[1.0, np.inf]]))
    out = depth.read(str(tmp_path / "b.npy"))
    assert out.dtype == np.float32 and out[0, 0] == 1 and np.isinf(out[0, 1])


def test_read_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no depth file at .*gone\.png"):
        depth.read(tmp_path / "gone.png")
    cv2.imwrite(str(tmp_path / "eight.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"16-bit single-channel PNG .* found .* uint8"):
        depth.read(tmp_path / "eight.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="not a readable PNG"):
        depth.read(tmp_path / "broken.png")
    np.save(tmp_path / "three.npy", np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match=r"\(2, 2, 2\)"):
        depth.read(tmp_path / "three.npy")
    np.save(tmp_path / "negative.npy", np.full((2, 2), -3.0))
    with pytest.raises(ValueError, match=">= 0 metres"):
        depth.read(tmp_path / "negative.npy")
    (tmp_path / "a.tif").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"got '\.tif'"):
        depth.read(tmp_path / "a.tif")
