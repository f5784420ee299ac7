"""Teachers answer frozen and at the photo's size; configs say for which weather and under which licence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unirestore.classical import CANDIDATES
from unirestore.degradations import Haze, Rain, WeatherMixture
from unirestore.degradations.compose import Compose, Identity
from unirestore.models.loading import build_restorer
from unirestore.training import TEACHERS, Teacher, load_teachers
from unirestore.training.routing import manifest_types, route, weather_types
from unirestore.training.teachers import (
    CallableTeacher,
    ClassicalTeacher,
    RestorerTeacher,
)

DCP = dict(type="ClassicalTeacher", name="dcp")


def config(**changes) -> dict:
    return dict(family=["haze"], teacher=DCP, licence="Apache-2.0") | changes


@pytest.fixture
def photos() -> torch.Tensor:
    return torch.rand(2, 3, 40, 56)


def test_the_restorers_answer_is_its_own_picture_and_pyramid(stirred_folder, photos):
    teacher = RestorerTeacher(stirred_folder)
    answer = teacher(photos, "det")
    restorer = build_restorer(stirred_folder)
    with torch.no_grad():
        assert torch.equal(answer.image, restorer(photos, "det"))
    assert not torch.equal(answer.image, teacher(photos, "ir").image)
    assert not any(value.requires_grad for value in (answer.image, *answer.features, *teacher.parameters()))
    assert not teacher.train(True).training and not teacher.restorer.training


def test_the_pyramid_of_the_picture_is_that_of_the_features(micro):
    """One pass gives what `output="features"` gives; 40 x 56 is no multiple, so the padding shows."""
    restorer = build_restorer(dict(micro, working_scale=1))
    photos = torch.rand(1, 3, 40, 56)
    with torch.no_grad():
        seen = restorer.encode(photos)
        latent = restorer.denoise(seen.latent)
        picture, pyramid = restorer.decode(latent, seen.skips, "det", photos, output="both")
        assert torch.equal(picture, restorer(photos, "det"))
        for found, wanted in zip(pyramid, restorer(photos, "det", output="features"), strict=True):
            assert torch.equal(found, wanted)
    assert not any(block._forward_pre_hooks for block in restorer.vae.decoder.up_blocks)


def test_the_pyramid_is_that_of_the_shrunken_picture(micro):
    restorer = build_restorer(dict(micro, working_scale=2))
    photos = torch.rand(1, 3, 40, 56)
    with torch.no_grad():
        seen = restorer.encode(photos)
        _, pyramid = restorer.decode(seen.latent, seen.skips, "ir", photos, output="both")
    assert [tuple(level.shape[-2:]) for level in pyramid] == [
        (3, 4),
        (5, 7),
        (10, 14),
    ]  # 20 x 28 over 8, 4, 2


def test_a_teacher_may_keep_to_one_task(stirred_folder, micro, photos):
    always = RestorerTeacher(stirred_folder, task="ir")
    assert torch.equal(always(photos, "det").image, always(photos, "ir").image)
    without = RestorerTeacher(build_restorer(dict(micro, tasks=("ir",))))
    assert torch.equal(without(photos, "det").image, without(photos, "ir").image)
    with pytest.raises(ValueError, match="no task 'seg'; it has ir, det"):
        RestorerTeacher(stirred_folder, task="seg")


def test_the_classical_teacher_is_the_classical_restorer(photos):
    answer = ClassicalTeacher("dcp")(photos, "det")
    pixels = np.ascontiguousarray((photos[1] * 255).round().byte().permute(1, 2, 0).numpy())
    assert torch.equal(
        (answer.image[1] * 255).round().byte().permute(1, 2, 0), torch.tensor(CANDIDATES["dcp"](pixels))
    )
    assert answer.features == []
    with pytest.raises(ValueError, match="no classical restorer 'retinex'; there are dcp, clahe"):
        ClassicalTeacher("retinex")


def darker(images: torch.Tensor) -> torch.Tensor:
    return images / 2


class Brighter:
    """A network of a user: a picture and one level of features."""

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return self.gain * images, [images[:, :1, ::8, ::8]]


def test_any_callable_teaches(photos):
    assert torch.equal(CallableTeacher(darker)(photos, "det").image, photos / 2)
    imported = CallableTeacher("torch.nn:Sigmoid", options={})
    assert torch.equal(imported(photos, "ir").image, photos.sigmoid())
    answer = CallableTeacher(Brighter, options=dict(gain=1.5))(photos, "ir")
    assert torch.equal(answer.image, 1.5 * photos)
    assert [tuple(level.shape) for level in answer.features] == [(2, 1, 5, 7)]
    network = torch.nn.Conv2d(3, 3, 1)
    assert not CallableTeacher(network)(photos, "ir").image.requires_grad
    assert not network.weight.requires_grad


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("darker", ValueError, "package.module:name"),
        ("torch:no_such_thing", ValueError, "torch has no no_such_thing"),
        (3, TypeError, "got a int"),
        (lambda images: images[..., ::2], None, "keeps size"),
    ],
)
def test_what_cannot_teach_is_refused(function, error, message, photos):
    with pytest.raises(error or ValueError, match=message):
        CallableTeacher(function)(photos, "ir")


@pytest.mark.parametrize("seed", range(5))
def test_the_manifest_of_each_mixture_finds_its_teacher(seed):
    """What `PairedDataset` hands over: real draws, with lamps, tones and cameras around the weather."""
    families = [weather_types(family) for family in (["road_fog"], ["road_rain"], ["SensorNoise"])]
    names = ["road_rain", "road_fog", "haze", "rain"]
    lines = [WeatherMixture(name).draw(seed).to_manifest(seed) for name in names]
    assert route(lines, families[:2]) == [1, 0, 0, 1]
    snow, sand = (WeatherMixture(name).draw(seed).to_manifest(seed) for name in ("road_snow", "road_sand"))
    assert route([snow, sand, Identity().to_manifest(0)], families[:2]) == [None, None, None]
    assert route([snow, Identity().to_manifest(0)], families) == [2, None]


def test_the_first_effect_that_a_family_holds_decides():
    rain, haze = Rain(severity=2), Haze(severity=2)
    both = Compose(effects=(Identity(), Compose(effects=(rain,)), haze)).to_manifest(3)
    assert manifest_types(both) == ["Compose", "Identity", "Compose", "Rain", "Haze"]
    assert route([both], [frozenset({"Haze"}), frozenset({"Rain"})]) == [1]
    assert route([both], [frozenset({"Haze"})]) == [0]


def test_a_family_is_types_and_mixtures():
    assert weather_types(["road", "LensDrops"]) == {"Haze", "Rain", "LensDrops"}
    assert weather_types(["road_snow"]) == {"Snow"} and weather_types(["road_sand"]) == {"Dust"}
    for wrong, message in (
        (["drizzle"], "'drizzle'.*road_fog"),
        ([], "must be a list"),
        ("haze", "must be a list"),
    ):
        with pytest.raises(ValueError, match=message):
            weather_types(wrong)


def test_a_folder_of_configs_is_read_in_order_of_names(tmp_path):
    for name, family in (("b", "rain"), ("a", "haze")):
        (tmp_path / f"{name}.py").write_text(f"family = ['{family}']\nteacher = {DCP}\nlicence = 'ours'\n")
    found = load_teachers(tmp_path)
    assert [(entry.name, entry.types, entry.licence) for entry in found] == [
        ("a", {"Haze"}, "ours"),
        ("b", {"Rain"}, "ours"),
    ]
    assert [entry.name for entry in load_teachers(str(tmp_path / "b.py"))] == ["b"]
    assert [entry.name for entry in load_teachers([tmp_path / "b.py", tmp_path / "a.py"])] == ["b", "a"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (dict(licence=""), ValueError, "teacher mine: it lacks licence; say under which licence"),
        (dict(family=["mist"]), ValueError, "teacher mine: unknown family 'mist'"),
        (dict(teacher=None), ValueError, "it lacks teacher"),
        (dict(weights="here"), ValueError, "unknown keys weights; it takes family, teacher, licence"),
        (dict(teacher=dict(type="RestorerTeacher", restorer="no/such/place")), FileNotFoundError, "mine: .*no/such"),
        (dict(teacher=3), TypeError, "teacher mine: .*callable"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_used_is_named(changes, error, message):
    with pytest.raises(error, match=message):
        load_teachers([config(name="mine") | changes])


def test_two_teachers_for_one_weather_are_refused():
    with pytest.raises(ValueError, match="a and b both answer for Haze; take it out"):
        load_teachers([config(name="a", family=["road"]), config(name="b", family=["Haze"])])


def test_missing_folders_and_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no teacher configs"):
        load_teachers(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        load_teachers([tmp_path / "gone.py"])


def test_a_teacher_class_of_a_user_is_registered(photos):
    @TEACHERS.register_module(force=True)
    class InvertingTeacher(Teacher):
        def answer(self, images: torch.Tensor, task: str) -> torch.Tensor:
            return 1 - images

    (entry,) = load_teachers([config(teacher=dict(type="InvertingTeacher"))])
    assert torch.equal(entry.teacher(photos, "ir").image, 1 - photos)


def test_the_configs_that_come_along_have_licences_and_answer_for_the_road(repository):
    """Weights are not there in a checkout, so the restorers are replaced by the one that needs none."""
    from mmengine.config import Config

    files = sorted((repository / "configs" / "teachers").glob("*.py"))
    settings = {file.stem: Config.fromfile(str(file)).to_dict() for file in files}
    assert {"dcp", "road_fog", "road_rain"} <= settings.keys()
    assert all(entry["licence"].strip() for entry in settings.values())
    assert [entry.name for entry in load_teachers(repository / "configs" / "teachers" / "dcp.py")] == ["dcp"]
    asked = Config.fromfile(str(repository / "configs" / "uniremoval_distill.py")).model.teachers
    found = load_teachers([settings[name.split("/")[-1][:-3]] | dict(teacher=DCP) for name in asked])
    lines = [WeatherMixture("road").draw(n).to_manifest(n) for n in range(12)]
    assert set(route(lines, [entry.types for entry in found])) == {0, 1}
