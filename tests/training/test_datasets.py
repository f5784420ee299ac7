"""Training pairs from what a config can hold."""

from __future__ import annotations

import json

import pytest
import torch

from unirestore.training import build_pairs


def test_a_config_names_sets_weather_and_crops(scenes):
    """The registry builds the same pairs as the function, item for item."""
    from mmengine.registry import DATASETS

    settings = dict(
        sources=[dict(set=scenes, limit=4)], weather="haze", size=32, seed=5, identity_probability=0.0
    )
    pairs, again = build_pairs(**settings), DATASETS.build(dict(type="Pairs", **settings))
    assert len(pairs) == 4
    for n in range(4):
        item = pairs[n]
        assert item["degraded"].shape == (3, 32, 32) and item["degraded"].dtype == torch.uint8
        assert "Haze" in json.dumps(item["weather"]) and item["labelled"]
        assert torch.equal(item["degraded"], again[n]["degraded"])
        assert not torch.equal(item["degraded"], item["clean"])


def test_weather_may_bring_arguments(scenes):
    settings = dict(sources=[dict(set=scenes)], size=32, identity_probability=0.0, length=20)
    pairs = build_pairs(weather=dict(name="rain"), **settings)
    assert all("Rain" in json.dumps(pairs[n]["weather"]) for n in range(5))
    with pytest.raises((KeyError, ValueError), match="sleet"):
        build_pairs(weather="sleet", **settings)


def test_boxes_take_the_place_of_annotations(scenes, tmp_path):
    """Labels index the categories of the given file, whatever the classes of the set are."""
    boxes = tmp_path / "boxes.json"
    image = dict(id=1, file_name="000000.png", width=96, height=96)
    box = dict(id=1, image_id=1, category_id=7, bbox=[10, 20, 40, 30], area=1200, iscrowd=0)
    categories = [dict(id=3, name="bench"), dict(id=7, name="train")]
    boxes.write_text(json.dumps(dict(images=[image], annotations=[box], categories=categories)))
    pairs = build_pairs(
        sources=[dict(set=scenes, boxes=str(boxes))],
        size=96,
        resize=(1.0, 1.0),
        flip_probability=0.0,
        identity_probability=1.0,
    )
    item = pairs[0]
    assert len(pairs) == 1 and item["labels"].tolist() == [1]
    assert item["boxes"].tolist() == [[10, 20, 50, 50]]


def test_an_unknown_set_lists_those_that_are_there():
    with pytest.raises(KeyError, match=r"dawn_smog.*scenes_train"):
        build_pairs(sources=["dawn_smog"])


def test_items_in_a_batch_are_stacked_by_the_collate_function_of_the_configs(make_batch):
    from mmengine.registry import FUNCTIONS

    from unirestore.data import collate

    assert FUNCTIONS.get("collate_pairs") is collate
    batch = make_batch(3)
    assert batch["clean"].shape == (3, 3, 64, 64) and batch["index"].tolist() == [0, 1, 2]
