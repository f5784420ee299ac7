"""The rendered photo: depth, labels and light agree with the scene it claims to show."""

import numpy as np
import pytest

from unirestore.data.photo import PHOTO_LABELS, render_photo
from unirestore.data.photo.noise import PERIOD, noise, octaves
from unirestore.data.photo.raster import (
    EYE,
    HORIZON,
    Cards,
    Mesh,
    ShadowMap,
    View,
    draw_triangles,
    surface_points,
)
from unirestore.data.photo.solids import box, cylinder, moved
from unirestore.degradations.depth import CAMERA_HEIGHT, FAR, FOCAL

NO_CARDS = Cards(*(np.zeros((0, 3)) for _ in range(5)), np.zeros(0))


@pytest.fixture(scope="module")
def photo():
    return render_photo(7, 96, 72, finer=1)


def test_depth_of_the_road_is_that_of_a_flat_road(photo):
    """Exact geometry: the road's depth in each row is the one the effects assume by default."""
    rows, columns = np.nonzero(photo.label_map == PHOTO_LABELS.index("road"))
    expected = CAMERA_HEIGHT * FOCAL * 72 / (rows + 0.5 - HORIZON * 72)
    assert len(rows) > 1000
    assert photo.depth[rows, columns] == pytest.approx(expected, rel=1e-4)


def test_sky_is_far_and_bright_and_the_scene_is_complete(photo):
    sky = photo.label_map == PHOTO_LABELS.index("sky")
    assert np.all(photo.depth[sky] == FAR) and photo.depth[~sky].max() < FAR and photo.depth.min() > 1
    assert sky[:30].mean() > 0.2 and not sky[36:].any()
    assert set(np.unique(photo.label_map)) == set(range(len(PHOTO_LABELS)))
    assert photo.image[sky].mean() > photo.image[~sky].mean() + 20
    assert photo.image.dtype == np.uint8 and photo.image.shape == (72, 96, 3)


def test_cars_stand_nearer_than_what_is_behind_them(photo):
    rows, columns = np.nonzero(photo.label_map == PHOTO_LABELS.index("car"))
    assert 11.5 < photo.depth[rows, columns].min() < 14.5, "the front of the near car"
    assert photo.depth[rows, columns].max() > 34, "and the far one"


def test_a_seed_is_a_photo(photo):
    again = render_photo(7, 96, 72, finer=1)
    assert np.array_equal(again.image, photo.image) and np.array_equal(again.depth, photo.depth)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="20 x 60"):
        render_photo(7, 20, 60)


def test_the_nearer_triangle_is_drawn_and_perspective_is_right():
    view = View(80, 60)
    wall = np.array([[[-9.0, -9, 10], [-9, 9, 10], [9, 9, 10]], [[-1.0, 0.5, 5], [0, 2.5, 5], [1, 0.5, 5]]])
    number, near = draw_triangles(view.project(wall), (60, 80))
    row, column = round(HORIZON * 60), 40  # straight ahead, at the height of the eye
    assert EYE == 1.5 and number[row, column] == 1 and 1 / near[row, column] == pytest.approx(5)
    assert number[5, 5] == 0 and 1 / near[5, 5] == pytest.approx(10)
    slanted = np.array([[[-30.0, 0, 4], [0, 0, 40], [30, 0, 4]]])  # a piece of the ground
    _, near = draw_triangles(view.project(slanted), (60, 80))
    assert 1 / near[50, 40] == pytest.approx(CAMERA_HEIGHT * FOCAL * 60 / (50.5 - HORIZON * 60), rel=1e-5)


def test_a_box_casts_its_shadow_away_from_the_light():
    tower = box((-1, 0, 9), (1, 4, 11), "trim")
    strewn = surface_points(tower, NO_CARDS, 0.1, np.random.default_rng(0))
    assert strewn[:, 1].min() >= 0 and strewn[:, 1].max() == pytest.approx(4)
    light = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    ground = np.array([[-3.0, 0, 10], [-6.0, 0, 10], [3.0, 0, 10], [-3.0, 0, 14]])
    bounds = np.array([[-8.0, 0, 5], [8, 0, 5], [8, 0, 16], [-8, 0, 16], [0, 5, 10]])
    shadow = ShadowMap(strewn, light, bounds, 128)
    assert shadow.lit(ground.astype(np.float32), 0.05).tolist() == [False, True, True, True]


def test_meshes_turn_and_cylinders_are_round():
    post = cylinder((0, 0, 0), (0, 2, 0), 0.5, 0.5, "wood", 16)
    assert np.linalg.norm(post.corners[..., [0, 2]], axis=-1) == pytest.approx(0.5)
    assert np.linalg.norm(post.normals, axis=-1) == pytest.approx(1)
    turned = moved(Mesh.joined([post, box((0, 0, -3), (1, 1, -2), "trim")]), (5, 0, 5), np.pi / 2)
    assert turned.corners[-1].mean(0)[0] > 6.5, "what faced the camera faces right"


def test_noise_is_smooth_repeats_and_leaves_out_what_a_pixel_cannot_show():
    x = np.linspace(0, 40, 4001)
    values = noise(x, 0.3 * x, 3)
    near, far = (np.corrcoef(values[:-step], values[step:])[0, 1] for step in (10, 500))  # 0.1 and 5 cells
    assert near > 0.95 and abs(far) < 0.4 and 0.6 < values.std() < 1.4
    assert noise(x + PERIOD, 0.3 * x, 3) == pytest.approx(values, abs=2e-2)
    assert octaves(x, x, (0.5,), 1, footprint=2.0) == pytest.approx(0)
    assert octaves(x, x, (0.5,), 1, footprint=0.01).std() > 0.5
