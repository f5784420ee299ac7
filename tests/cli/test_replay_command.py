"""`unirestore degrade` where a replay lacks something, or a photo's name cannot be written."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from unirestore.cli import main
from unirestore.degradations.replay import read_manifest


@pytest.fixture
def photos(tmp_path):
    """Three small photos: a.png, b.png, c.png."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in "abc":
        pixels = cv2.resize(rng.integers(0, 256, (4, 5, 3), np.uint8), (31, 24))
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def degrade(*arguments):
    return main(["degrade", *map(str, arguments), "--quiet", "--workers", "1"])


def rewrite(manifest, change):
    lines = read_manifest(manifest)
    change(lines)
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_another_depth_is_told_as_such(photos, tmp_path, capsys):
    depth = tmp_path / "depth"
    depth.mkdir()
    for name in "ab":
        np.save(depth / f"{name}.npy", np.full((24, 31), 40.0, np.float32))
    degrade(photos, tmp_path / "one", "--recipe", "Haze:3", "--depth", depth)
    manifest = tmp_path / "one" / "manifest.jsonl"
    with_depth, _, without = read_manifest(manifest)
    assert len(with_depth["input_depth"]) == 64 and "input_depth" not in without
    np.save(depth / "a.npy", np.full((24, 31), 50.0, np.float32))
    assert degrade(photos, tmp_path / "two", "--replay", manifest, "--depth", depth) == 1
    told = capsys.readouterr()
    assert "a.png: a.npy is another depth than the manifest's" in told.err and "2 of 3" in told.out


def test_another_photo_may_be_another_decoder(photos, tmp_path, capsys):
    degrade(photos, tmp_path / "one", "--recipe", "Haze:3")
    manifest = tmp_path / "one" / "manifest.jsonl"
    assert f"Pillow {Image.__version__}" in read_manifest(manifest)[0]["made_with"]
    rewrite(manifest, lambda lines: lines[0].update(made_with="Pillow 1.0"))
    Image.fromarray(np.zeros((24, 31, 3), np.uint8)).save(photos / "a.png")
    assert degrade(photos, tmp_path / "two", "--replay", manifest) == 1
    told = capsys.readouterr().err
    assert "another photo than the manifest's, or it was decoded by another Pillow" in told
    assert "Pillow 1.0" in told and f"Pillow {Image.__version__}" in told


def test_a_lost_mirrored_picture_costs_one_picture(photos, tmp_path, capsys):
    mirrored = tmp_path / "mirrored.png"
    Image.fromarray(np.full((24, 31, 3), 90, np.uint8)).save(mirrored)
    recipe = tmp_path / "recipe.json"
    params = {"source": "picture", "picture": str(mirrored)}
    recipe.write_text(json.dumps({"effect": "Reflection", "severity": 2, "params": params}))
    assert degrade(photos, tmp_path / "one", "--recipe", recipe) == 0
    manifest = tmp_path / "one" / "manifest.jsonl"
    rewrite(manifest, lambda lines: lines[1]["params"].update(picture=str(tmp_path / "lost.png")))
    assert degrade(photos, tmp_path / "two", "--replay", manifest) == 1
    told = capsys.readouterr()
    assert "b.png: Reflection: " in told.err and "lost.png" in told.err and "2 of 3" in told.out


def test_another_suffix_is_told_with_its_line(photos, tmp_path, capsys):
    degrade(photos, tmp_path / "one", "--recipe", "Haze:3")
    manifest = tmp_path / "one" / "manifest.jsonl"
    rewrite(manifest, lambda lines: lines[1].update(out="b.gif"))
    assert degrade(photos, tmp_path / "two", "--replay", manifest) == 2
    assert "line 2: out must be the name of a .jpg, .png or .webp, got 'b.gif'" in capsys.readouterr().err


def test_a_name_that_is_not_utf8_is_named(photos, tmp_path, capsys):
    try:
        os.rename(photos / "b.png", os.fsencode(photos) + b"/\xfcber.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert degrade(photos, tmp_path / "one", "--recipe", "Haze:3") == 2
    assert r"\xfcber: the name of a file is not UTF-8" in capsys.readouterr().err
