"""Scenes: the same seed gives the same scene, and boxes, depth and label map are those of the geometry."""

from __future__ import annotations

import numpy as np
import pytest

from unirestore.data import SCENE_CLASSES, SCENE_LABELS, Scenes, render_scene
from unirestore.data.scenes import render
from unirestore.data.scenes.backdrop import Street, paint_ground
from unirestore.data.scenes.camera import Camera, clip_near
from unirestore.data.scenes.canvas import Canvas, Sketch
from unirestore.data.scenes.light import draw_light
from unirestore.data.scenes.people import draw_person
from unirestore.data.scenes.vehicle_models import MODELS, ground_shape
from unirestore.data.scenes.vehicles import draw_vehicle

LABEL = {name: i for i, name in enumerate(SCENE_LABELS)}
LABEL_OF_CLASS = {"person": "pedestrian", "bicycle": "bicyclist"}
CAMERA = Camera(256, 256.0, 128.0, 110.0, 1.5)
SEDAN = MODELS["car"][0]


@pytest.fixture(scope="module")
def scenes():
    return [render_scene(seed) for seed in range(48)]


@pytest.fixture
def light():
    return draw_light(np.random.default_rng(0))


def test_a_scene_depends_on_its_seed_alone(scenes):
    for seed in (47, 3):  # in another order, after others
        again = render_scene(seed)
        for name in ("image", "boxes", "labels", "label_map", "depth"):
            np.testing.assert_array_equal(getattr(again, name), getattr(scenes[seed], name))
    assert len({scene.image.tobytes() for scene in scenes}) == len(scenes)


@pytest.mark.parametrize("size", [32, 97, 320])
def test_shapes_types_and_ranges(size):
    scene = render_scene(5, size)
    assert (scene.image.shape, scene.image.dtype) == ((size, size, 3), np.uint8)
    assert (scene.depth.shape, scene.depth.dtype) == ((size, size), np.float32)
    assert (scene.label_map.shape, scene.label_map.dtype) == ((size, size), np.uint8)
    assert scene.boxes.shape == (len(scene.labels), 4) and scene.boxes.dtype == np.float32


def test_values_are_sound(scenes):
    for scene in scenes:
        sky = scene.label_map == LABEL["sky"]
        assert (scene.depth[sky] == 1000).all()
        assert scene.depth[~sky].min() >= 3 and scene.depth[~sky].max() <= 300
        assert scene.label_map.max() < len(SCENE_LABELS)
        boxes = scene.boxes
        assert (boxes >= 0).all() and (boxes <= 256).all()
        assert len(boxes) == 0 or (boxes[:, 2:] - boxes[:, :2]).min() >= render.MIN_SIDE
        assert 15 < scene.image.mean() < 235 and scene.image.std() > 12


def test_the_label_map_agrees_with_the_boxes(scenes):
    inside = outside = 0
    for scene in scenes:
        marked = np.zeros((256, 256, len(SCENE_LABELS)), bool)
        for box, label in zip(scene.boxes, scene.labels, strict=True):
            name = SCENE_CLASSES[label]
            x1, y1, x2, y2 = np.floor(box[:2]).tolist() + np.ceil(box[2:]).tolist()
            window = (slice(int(y1), int(y2)), slice(int(x1), int(x2)))
            number = LABEL[LABEL_OF_CLASS.get(name, name)]
            riders = (LABEL["bicyclist"], LABEL["motorcycle"]) if name == "person" else ()
            assert np.isin(scene.label_map[window], (number, *riders)).any(), name
            marked[window][..., number] = True
        for name in ("car", "bus", "truck", "motorcycle"):
            here = scene.label_map == LABEL[name]
            if name == "motorcycle":  # its rider carries its label in the map, and a person's box
                continue
            inside += (here & marked[..., LABEL[name]]).sum()
            outside += (here & ~marked[..., LABEL[name]]).sum()
    assert outside < 0.02 * inside  # only what is hidden or cut off for the most part has no box


def test_there_is_variety(scenes):
    labels = np.concatenate([scene.labels for scene in scenes])
    boxes = np.concatenate([scene.boxes for scene in scenes])
    counts = np.bincount(labels, minlength=len(SCENE_CLASSES))
    assert counts.min() >= 8, dict(zip(SCENE_CLASSES, counts, strict=True))
    assert 4 <= len(labels) / len(scenes) <= 14
    height = boxes[:, 3] - boxes[:, 1]
    assert (height > 64).mean() > 0.04 and (height < 20).mean() > 0.15


def test_a_car_is_as_large_as_its_geometry_says(light):
    canvas = Canvas(CAMERA)
    first = len(canvas.planes)
    box = draw_vehicle(canvas, light, np.random.default_rng(0), SEDAN, 0.0, 15.0, 0.0, LABEL["car"])
    _, exact = canvas.count(box, first, len(canvas.planes))
    rear, roof = 15.0 - 2.28, 15.0 - 0.95
    assert exact[0] == pytest.approx(128 - 256 * 0.89 / rear, abs=1)
    assert exact[2] == pytest.approx(128 + 256 * 0.89 / rear, abs=1)
    assert exact[1] == pytest.approx(110 + 256 * (1.5 - 1.43) / roof, abs=1)
    assert exact[3] == pytest.approx(110 + 256 * 1.5 / (15.0 - 1.36 - 0.33 * 0.7), abs=1)  # the rear tyres
    depth, labels = canvas.depth_and_labels()
    car = depth[labels == LABEL["car"]]
    assert rear - 0.1 <= np.quantile(car, 0.01) and car.max() <= 15.0 + 2.3


def test_a_person_is_as_tall_as_asked(light):
    canvas = Canvas(CAMERA)
    first = len(canvas.planes)
    box = draw_person(canvas, light, np.random.default_rng(0), 1.0, 10.0, 0.3, 1.8, LABEL["pedestrian"])
    count, exact = canvas.count(box, first, len(canvas.planes))
    assert exact[3] - exact[1] == pytest.approx(256 * 1.8 / 10, rel=0.06)
    mask = np.isin(canvas.surfaces, range(first, len(canvas.planes)))
    ys, xs = np.nonzero(mask)
    assert count == mask.sum()
    assert exact == (xs.min() / 2, ys.min() / 2, (xs.max() + 1) / 2, (ys.max() + 1) / 2)


def test_hidden_things_get_no_box_and_half_hidden_ones_a_smaller_one(light):
    def paint(offset):
        canvas, found = Canvas(CAMERA), []
        for x, z in ((0.0, 22.0), (offset, 12.0)):
            first = len(canvas.planes)
            box = draw_vehicle(canvas, light, np.random.default_rng(0), SEDAN, x, z, 0.0, LABEL["car"])
            found.append(render._entry(canvas, 2, first, len(canvas.planes), box))
        return render._visible(canvas, found)[0]

    assert len(paint(0.0)) == 1
    apart, partly = paint(5.0), paint(0.9)
    assert len(apart) == len(partly) == 2
    assert partly[0, 2] <= apart[0, 2] - 2  # the nearer car covers its right part
    np.testing.assert_array_equal(partly[0, [0, 1]], apart[0, [0, 1]])


def test_the_road_lies_where_the_camera_sees_it(light):
    canvas = Canvas(CAMERA)
    street = Street((-5.0, -1.5, 2.0), (False, True), 0.2, 3.0, "city", None, None)
    paint_ground(canvas, light, np.random.default_rng(0), street, LABEL, [])
    depth, labels = canvas.depth_and_labels()
    for row in (130, 160, 250):
        expected = 256 * 1.5 / (row + 0.25 - 110)
        assert depth[row, 128] == pytest.approx(max(expected, 3.0), rel=1e-4)
        assert labels[row, 128] == LABEL["road"]
    z = 256 * 1.5 / (150.25 - 110)
    kerb = 128 + 256 * (2.0 + 0.2) / z  # the right kerb
    assert labels[150, int(kerb - 2)] == LABEL["road"] and labels[150, int(kerb + 4)] == LABEL["pavement"]
    assert (labels[:100] == LABEL["sky"]).all()


def test_planes_give_depth_by_perspective():
    canvas = Canvas(CAMERA)
    wall = canvas.surface(LABEL["building"], (-1.0, 0.0, 0.0), (4.0, 0.0, 0.0))
    sketch = Sketch()
    sketch.polygon([(4, 0, 5), (4, 8, 5), (4, 8, 60), (4, 0, 60)], (90, 90, 90), wall)
    canvas.paint(sketch)
    depth, labels = canvas.depth_and_labels()
    for column in (160, 200, 250):
        assert labels[112, column] == LABEL["building"]
        assert depth[112, column] == pytest.approx(256 * 4.0 / (column + 0.25 - 128), rel=1e-4)


def test_clip_near():
    square = np.array([[0, 0, -1], [0, 0, 3], [1, 0, 3], [1, 0, -1]], float)
    clipped = clip_near(square, 1.0)
    assert clipped[:, 2].min() == 1.0 and clipped[:, 2].max() == 3.0 and len(clipped) == 4
    assert len(clip_near(square, 5.0)) == 0
    assert clip_near(square, -2.0) is square


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_vehicle_can_be_drawn_from_every_side(name, light):
    for model in MODELS[name]:
        assert ground_shape(model, 1.0, 9.0, 0.4).mean(0) == pytest.approx([1.0, 9.0])
        for yaw in np.arange(8) * np.pi / 4:
            canvas = Canvas(CAMERA)
            box = draw_vehicle(canvas, light, np.random.default_rng(1), model, 1.0, 20.0, yaw, LABEL[name])
            shown = canvas.surfaces > 0
            assert shown.sum() > 0.5 * (box[2] - box[0]) * (box[3] - box[1]) * 4, (model.kind, yaw)
            assert canvas.image[shown].std() > 8  # not one flat colour


def test_scenes_as_a_source():
    source = Scenes(3, seed=10, size=64)
    sample = source[2]
    np.testing.assert_array_equal(sample.image, render_scene(12, 64).image)
    assert (len(source), sample.name, sample.label_map_names) == (3, "scene-000012", SCENE_LABELS)
    with pytest.raises(IndexError):
        source[3]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="at least 32"):
        render_scene(0, 16)
    with pytest.raises(ValueError, match="negative"):
        render_scene(-1)
    with pytest.raises(ValueError, match="at least 1"):
        Scenes(0)
