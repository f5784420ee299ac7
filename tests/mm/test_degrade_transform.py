from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import pytest

pytest.importorskip("mmdet")

from mmengine.registry import TRANSFORMS

from unirestore.degradations import REGISTRY, Degradation, Haze, from_manifest
from unirestore.mm import Degrade


def photo(seed=0, shape=(40, 56, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def run(transform, **extra):
    return transform({"img": photo(), "img_path": "folder/street.png", **extra})


def test_found_by_name_from_an_mmdet_config():
    from mmdet.registry import TRANSFORMS as DETECTION_TRANSFORMS

    assert DETECTION_TRANSFORMS.get("Degrade") is Degrade
    step = TRANSFORMS.build({"type": "Degrade", "weather": {"type": "Haze", "severity": 4}})
    assert step.effect == Haze(severity=4) and "Haze" in repr(step)


def test_it_is_the_core_degradation_on_rgb():
    results = run(Degrade(weather=Haze(severity=4), seed=3))
    effect, seed = from_manifest(results["weather"])
    expected = effect(np.ascontiguousarray(photo()[..., ::-1]), seed=seed)[..., ::-1]
    assert results["img"].dtype == np.uint8 and np.array_equal(results["img"], expected)
    assert not np.array_equal(results["img"], photo())


@pytest.mark.parametrize("weather", ["haze", "rain", "mixed"])
def test_the_manifest_of_a_mixture_replays_it(weather):
    results = run(Degrade(weather=weather, seed=5))
    effect, seed = from_manifest(results["weather"])
    assert np.array_equal(
        effect(np.ascontiguousarray(photo()[..., ::-1]), seed=seed)[..., ::-1], results["img"]
    )


def test_the_same_photo_gets_the_same_weather_wherever_it_lies_and_another_photo_another():
    step = Degrade(weather="haze", seed=1)
    first, again = run(step), run(step, img_path="elsewhere/street.png")
    assert np.array_equal(first["img"], again["img"])
    assert run(step, img_path="other.png")["weather"] != first["weather"]
    assert run(Degrade(weather="haze", seed=2))["weather"] != first["weather"]


def test_without_repeat_weather_is_drawn_from_numpys_state():
    step = Degrade(weather="haze", repeat=False)
    np.random.seed(3)
    first, second = run(step)["weather"], run(step)["weather"]
    np.random.seed(3)
    assert first != second and run(step)["weather"] == first


def test_clean_img_is_kept_on_request_only():
    results = run(Degrade(weather="haze", keep_clean=True))
    assert np.array_equal(results["clean_img"], photo())
    assert "clean_img" not in run(Degrade(weather="haze"))


def test_prob_is_the_share_of_degraded_photos():
    step = Degrade(weather=Haze(severity=1), prob=0.3)
    changed = [
        "weather" in step({"img": photo(shape=(4, 4, 3)), "img_path": f"{index}.png"}) for index in range(300)
    ]
    assert 0.2 < np.mean(changed) < 0.4
    assert "weather" not in run(Degrade(weather="haze", prob=0.0))


def test_float_images_stay_float_in_their_range():
    results = Degrade(weather=Haze(severity=3))({"img": photo().astype(np.float32), "img_path": "street.png"})
    assert results["img"].dtype == np.float32 and results["img"].max() > 2
    eight_bit = run(Degrade(weather=Haze(severity=3)))["img"]
    assert np.abs(results["img"] - eight_bit).max() <= 1.0


def test_depth_image_beside_the_photo_is_used(tmp_path):
    depth = np.full((40, 56), 1000, np.uint16)
    depth[:, 28:] = 20000  # the right half is 200 m away
    cv2.imwrite(str(tmp_path / "street.png"), depth)
    step = Degrade(weather=Haze(severity=4), depth_folder=tmp_path)
    expected = Haze(severity=4)(
        np.ascontiguousarray(photo()[..., ::-1]),
        seed=step._seed_of({"img_path": "street.png"}),
        depth=depth.astype(np.float32) / 100,
    )
    assert np.array_equal(run(step)["img"], expected[..., ::-1])
    half = cv2.resize(depth, (28, 20), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / "street.png"), half)  # a depth image of another size is brought to the photo's
    with pytest.warns(UserWarning, match="depth of 20 x 28 is brought to its photo's 40 x 56"):
        hazy = run(step)["img"]
    assert hazy.std(axis=2)[:, :20].mean() > hazy.std(axis=2)[:, 36:].mean()
    cv2.imwrite(str(tmp_path / "street.png"), depth[:, :40])
    with pytest.raises(ValueError, match="other proportions"):
        run(step)
    cv2.imwrite(str(tmp_path / "street.png.png"), depth)  # the whole name comes before the stem
    assert np.array_equal(run(step)["img"], expected[..., ::-1])
    (tmp_path / "street.png.png").unlink()
    cv2.imwrite(str(tmp_path / "street.png"), (depth // 256).astype(np.uint8))
    with pytest.raises(ValueError, match="16-bit"):
        run(step)


@pytest.mark.parametrize("name", ["street.npy", "street.png.npy"])
def test_depth_as_an_npy_is_used(tmp_path, name):
    depth = np.full((40, 56), 10, np.float32)
    depth[:, 28:] = 200
    np.save(tmp_path / name, depth)
    step = Degrade(weather=Haze(severity=4), depth_folder=tmp_path)
    rgb = np.ascontiguousarray(photo()[..., ::-1])
    expected = Haze(severity=4)(rgb, seed=step._seed_of({"img_path": "street.png"}), depth=depth)
    assert np.array_equal(run(step)["img"], expected[..., ::-1])


def test_label_map_gives_the_depth_where_there_is_no_depth_image():
    labels = np.zeros((40, 56), np.uint8)
    labels[20:] = 1
    step = Degrade(weather=Haze(severity=4), label_map_names=("sky", "road"))
    assert not np.array_equal(run(step, gt_seg_map=labels)["img"], run(step)["img"])


def test_wrong_keys_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"1\.5"):
        Degrade(weather="haze", prob=1.5)
    with pytest.raises(ValueError, match="severity=3"):
        Degrade(weather=Haze(), severity=3)
    with pytest.raises(ValueError, match="hail"):
        Degrade(weather="hail")
    with pytest.raises(ValueError, match="needs `type`"):
        Degrade(weather={"severity": 3})
    with pytest.raises(FileNotFoundError, match="depth"):
        Degrade(weather="haze", depth_folder=tmp_path / "absent")


@pytest.fixture
def shift():
    """An effect that moves everything 9 pixels to the right and 4 down."""

    @dataclass(frozen=True, kw_only=True)
    class ShiftForMm(Degradation):
        moves_pixels: ClassVar[bool] = True

        def sampling_map(self, shape, rng):
            rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
            return np.stack([columns - 9, rows - 4], -1)

        def apply(self, image, rng, scene):
            return cv2.remap(image, self.sampling_map(image.shape[:2], rng), None, cv2.INTER_NEAREST)

    yield ShiftForMm()
    del REGISTRY["ShiftForMm"]


def test_annotations_follow_the_pixels(shift):
    import torch
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import BitmapMasks

    image = np.zeros((40, 56, 3), np.uint8)
    image[10:20, 20:30] = 255
    plane = (image[..., 0] > 0).astype(np.uint8)
    for boxes in (
        HorizontalBoxes(torch.tensor([[20.0, 10, 30, 20]])),
        np.array([[20.0, 10, 30, 20]], np.float32),
    ):
        results = {"img": image, "img_path": "a.png", "gt_bboxes": boxes, "gt_seg_map": plane.copy()}
        results["gt_masks"] = BitmapMasks(plane[None], 40, 56)
        results = Degrade(weather=shift)(results)
        rows, columns = np.nonzero(results["img"][..., 0])
        assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == [29, 14, 39, 24]
        assert type(results["gt_bboxes"]) is type(boxes)
        corners = getattr(results["gt_bboxes"], "tensor", results["gt_bboxes"])
        assert corners.tolist() == [[29, 14, 39, 24]]
        moved = results["gt_seg_map"]
        assert np.array_equal(moved == 1, results["img"][..., 0] > 0) and (moved[:4] == 255).all()
        assert np.array_equal(results["gt_masks"].masks[0], results["img"][..., 0] // 255)
    with pytest.raises(NotImplementedError, match="gt_keypoints would not follow"):
        Degrade(weather=shift)({"img": image, "img_path": "a.png", "gt_keypoints": np.zeros((1, 2, 2))})


def test_masks_are_drawn_only_where_pixels_move(shift):
    class Masks:
        def __len__(self):
            return 1

        def to_ndarray(self):
            raise AssertionError("asked for")

    assert "weather" in run(Degrade(weather=Haze(severity=2)), gt_masks=Masks())
    with pytest.raises(AssertionError, match="asked for"):
        run(Degrade(weather=shift), gt_masks=Masks())


def test_recipes_work_by_name_and_as_nodes():
    named = run(Degrade(weather="second_order", seed=2))
    assert named["weather"]["type"] == "Compose" and named["img"].shape == photo().shape
    node = Degrade(weather={"one_of": [{"effect": "Haze"}, {"effect": "JpegCompression"}]}, severity=2)
    assert run(node)["weather"]["params"]["severity"] == 2
