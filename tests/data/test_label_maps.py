"""Label maps from the ids of a set to the classes of a segmentor, alone and in pairs."""

import numpy as np
import pytest
import torch

from unirestore.data import PairedDataset, Sample, collate
from unirestore.data.label_maps import IGNORED, in_classes

NAMES = ("sky", "road", "car", "void")


class Street(list):
    """Two pictures whose pixels say their own label: grey 40 is road, 200 is car, 120 is void."""

    classes = ()

    def __init__(self, label_maps=True):
        rng = np.random.default_rng(0)
        for index in range(2):
            label_map = rng.integers(1, 4, (6, 8)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
            grey = np.array([0, 40, 200, 120], np.uint8)[label_map]
            known = dict(label_map=label_map, label_map_names=NAMES) if label_maps else {}
            self.append(Sample(image=np.stack([grey] * 3, -1), name=f"{index}.png", **known))


def test_ids_follow_names_and_the_rest_is_ignored():
    label_map = np.array([[0, 1, 2], [3, 7, 255]], np.uint8)
    found = in_classes(label_map, NAMES, ("car", "bus", "sky"))
    assert found.tolist() == [[2, IGNORED, 0], [IGNORED, IGNORED, IGNORED]] and found.dtype == np.uint8


def test_maps_that_have_nothing_in_common_with_the_classes_are_refused():
    with pytest.raises(ValueError, match=r"sky, road, car, void.*none of boat.*label_map_names"):
        in_classes(np.zeros((2, 2), np.uint8), NAMES, ("boat",))
    with pytest.raises(ValueError, match="256 classes"):
        in_classes(np.zeros((2, 2), np.uint8), NAMES, [f"class {n}" for n in range(256)])


def test_pairs_hold_the_label_map_of_the_crop():
    pairs = PairedDataset([Street()], size=32, length=6, resize=(1.0, 1.0), label_map_classes=("car", "road"))
    items = [pairs[n] for n in range(6)]
    batch = collate(items)
    assert batch["label_map"].shape == (6, 32, 32) and batch["label_map"].dtype == torch.uint8
    meant = torch.full((256,), -1)
    meant[torch.tensor([200, 40, 120])] = torch.tensor([0, 1, IGNORED])
    assert torch.equal(meant[batch["clean"][:, 0].long()], batch["label_map"].long())  # mirrored ones too
    assert "label_map" not in PairedDataset([Street()], size=32)[0]


def test_a_picture_without_label_map_is_refused_where_one_is_asked_for():
    with pytest.raises(ValueError, match=r"\d\.png has no label map.*label_maps"):
        PairedDataset([Street(label_maps=False)], size=32, label_map_classes=("car",))[0]
