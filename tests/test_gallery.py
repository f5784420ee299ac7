"""The gallery page shows every effect as the code has it now."""

import importlib.util

import cv2
import numpy as np
import pytest

from unirestore.degradations import REGISTRY


@pytest.fixture(scope="module")
def tool(repository):
    spec = importlib.util.spec_from_file_location("make_gallery", repository / "tools/make_gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_every_effect_with_its_presets(tool, repository):
    """Fails when an effect or its presets changed: run `python tools/make_gallery.py`."""
    page = (repository / "docs/degradations_gallery.md").read_text()
    for cls in tool.effects():
        section = page.split(f"\n### {cls.__name__}\n")
        assert len(section) == 2, f"{cls.__name__} is not on the page"
        assert "\n".join(tool.presets_table(cls)) in section[1].split("\n### ")[0], cls.__name__
        assert (repository / "docs" / tool.PICTURES / f"{cls.__name__}.jpg").stat().st_size < 200_000
    folder = repository / "docs" / tool.PICTURES
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8_000_000
    roads = {"road_fog", "road_rain", "road_snow", "road_sand"}
    assert {*tool.RECIPES, *tool.SAMPLERS, *roads} == set(tool.recipes())
    for name in tool.recipes():
        picture = f"recipe_{name}.jpg"
        assert (folder / picture).is_file() and f"({tool.PICTURES}/{picture})" in page, picture


def test_every_effect_has_a_sentence_a_formula_and_a_source(tool):
    lacking = {
        cls.__name__: [key for key in ("what", "formula", "source") if not tool.described(cls).get(key)]
        for cls in tool.effects()
    }
    assert {name: keys for name, keys in lacking.items() if keys} == {}


def test_pictures_are_made_of_the_scene_and_its_severities(tool, tmp_path):
    made = tool.main(["--out", str(tmp_path), "--size", "64", "--only", "JpegCompression,web,road_fog"])
    assert [path.name for path in made] == ["JpegCompression.jpg", "recipe_road_fog.jpg", "recipe_web.jpg"]
    assert not (tmp_path / "degradations_gallery.md").exists()
    scene = tool.render_photo(tool.SCENE_SEED, 64, 48)
    sheet = tool.of_effect(REGISTRY["JpegCompression"], scene)
    top = tool.CAPTION
    assert np.array_equal(sheet[top : top + 48, :64], scene.image)
    drawn = tool.of_recipe("road_fog", scene)
    assert drawn.shape == sheet.shape and np.array_equal(drawn[top : top + 48, :64], scene.image)
    assert len({drawn[-48:, left : left + 64].tobytes() for left in (0, 68, 136)}) == 3
    worst = REGISTRY["JpegCompression"](severity=5)(scene.image, seed=tool.SEED)
    assert np.array_equal(sheet[-48:, -64:], worst)
    with pytest.raises(SystemExit):
        tool.main(["--out", str(tmp_path), "--only", "Hail"])


def test_large_pictures_are_pressed_harder(tool):
    noise = np.random.default_rng(0).integers(0, 256, (300, 700, 3)).astype(np.uint8)
    flat = np.full_like(noise, 90)
    assert len(tool.as_jpeg(noise, 95)) < 0.6 * len(
        cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    )
    assert tool.as_jpeg(flat, 80) == cv2.imencode(".jpg", flat, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
