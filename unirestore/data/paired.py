"""Pairs of a degraded and a clean crop, made on the fly: what every restoration stage trains on.

Stateless: item `n` depends on `(seed, n)` alone, not on the worker, the order or what came before, so
    training resumes bit-exactly
and any item can be made again. A crop is always full (the picture is enlarged where it is too small): there
is no padding for the restorer to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from unirestore.classical import CANDIDATES
from unirestore.data.label_maps import in_classes
from unirestore.data.sample import Sample, Source

PAIR = "Pair"
"""Type in the manifest of an item whose degraded twin came as a photo: nobody knows what its weather is."""
MIN_BOX_SIDE = 4.0
MIN_BOX_SHARE = 0.3


class DegradationSource(Protocol):
    """Draws degradations: `unirestore.degradations.WeatherMixture`, or anything like it."""

    def draw(self, seed: int) -> Any:
        """Give a callable with `to_manifest(seed) -> dict`.

        It is called as `(image, *, seed, depth=None, label_map=None, class_names=None) -> image`.
        """


class PairedDataset(Dataset):
    """Random crops of clean pictures, each with its degraded twin.

    Args:
        sources: one source of `Sample`s or a list of them.
        size: side of the square crop in pixels.
        degradation: draws the weather; None gives clean-to-clean pairs only. A sample with a degraded twin of its own
            keeps that and gets no other weather.
        seed: of everything.
        length: number of items; None takes the number of pictures in the sources.
        resize: range of the factor that pictures are scaled by, drawn log-uniformly; raised where a crop
            would not be full.
        long_side: scale the picture to this long side first; None leaves its own size.
        identity_probability: share of clean-to-clean pairs, which teach the network to leave good pictures
            alone.
        box_probability: share of crops that are placed so that they hold a box, where the picture has boxes.
        flip_probability: share of mirrored crops.
        weights: how often each source is drawn, relative to each other; None draws every picture equally
            often.
        candidates: names in `unirestore.classical.CANDIDATES`, the restorer's own in their order: items then hold these
            restorations of the degraded crop, so that the workers compute them and not the training loop.
        label_map_classes: items then hold `label_map`, `(S, S)` uint8 indices into these names, 255 for everything
            else; None leaves label maps out.
        depth: items then hold `depth`, `(S, S)` float32 metres, the sky far. A crop that is enlarged keeps its metres:
            nothing has moved, the picture is one through a longer lens. Since no network can tell that lens from a
            nearer place, one that is to say metres wants `resize` near (1, 1).

    Raises:
        ValueError: an argument is out of its range; later, with `label_map_classes` or `depth`: a picture has none.
    """

    def __init__(
        self,
        sources: Source | Sequence[Source],
        size: int = 256,
        degradation: DegradationSource | None = None,
        seed: int = 0,
        length: int | None = None,
        resize: tuple[float, float] = (0.5, 1.5),
        *,
        long_side: int | None = None,
        identity_probability: float = 0.1,
        box_probability: float = 0.7,
        flip_probability: float = 0.5,
        weights: Sequence[float] | None = None,
        candidates: Sequence[str] = (),
        label_map_classes: Sequence[str] | None = None,
        depth: bool = False,
    ) -> None:
        self.sources = list(sources) if isinstance(sources, (list, tuple)) else [sources]
        if not self.sources or any(len(source) == 0 for source in self.sources):
            raise ValueError(f"each source must hold pictures, got lengths {[len(s) for s in self.sources]}")
        shares = [len(source) for source in self.sources] if weights is None else list(weights)
        if len(shares) != len(self.sources) or min(shares) < 0 or sum(shares) <= 0:
            raise ValueError(
                f"weights must be {len(self.sources)} numbers >= 0 with a positive sum, got {weights}"
            )
        if size < 8:
            raise ValueError(f"size must be at least 8 pixels, got {size}")
        if length is not None and length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        if not 0 < resize[0] <= resize[1]:
            raise ValueError(f"resize must be (low, high) with 0 < low <= high, got {resize}")
        named = dict(
            identity_probability=identity_probability,
            box_probability=box_probability,
            flip_probability=flip_probability,
        )
        for name, value in named.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {value}")
        if unknown := [name for name in candidates if name not in CANDIDATES]:
            raise ValueError(f"unknown candidates {unknown}; known: {', '.join(CANDIDATES)}")
        self.candidates = tuple(candidates)
        self.label_map_classes = None if label_map_classes is None else tuple(label_map_classes)
        self.depth = bool(depth)
        self.size, self.degradation, self.seed = int(size), degradation, int(seed)
        self.length = int(length) if length is not None else sum(len(source) for source in self.sources)
        self.resize, self.long_side = (float(resize[0]), float(resize[1])), long_side
        self.identity_probability, self.box_probability = float(identity_probability), float(box_probability)
        self.flip_probability = float(flip_probability)
        self._shares = np.cumsum(np.asarray(shares, np.float64) / sum(shares))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, n: int) -> dict[str, Any]:
        """Item `n`: `degraded`, `clean` uint8 `(3, S, S)` RGB, `boxes`, `labels`, `weather`, `labelled`,
        `category`, `name`, `index`; with `candidates` also those, uint8 `(K, 3, S, S)`."""
        if not 0 <= n < self.length:
            raise IndexError(f"item {n} of {self.length}")
        rng = np.random.default_rng([self.seed, n])
        source = self.sources[
            min(int(np.searchsorted(self._shares, rng.random(), side="right")), len(self.sources) - 1)
        ]
        sample = source[int(rng.integers(len(source)))]
        crop = self._crop(sample, rng)
        degraded, weather = self._degrade(crop, rng)
        item = dict(
            degraded=_to_tensor(degraded),
            clean=_to_tensor(crop.image),
            boxes=torch.from_numpy(crop.boxes),
            labels=torch.from_numpy(crop.labels),
            weather=weather,
            labelled=bool(sample.labelled),
            category=sample.category,
            name=sample.name,
            index=n,
        )
        if self.label_map_classes is not None:
            item["label_map"] = torch.from_numpy(self._label_map(crop))
        if self.depth:
            item["depth"] = torch.from_numpy(_depth(crop))
        if self.candidates:
            item["candidates"] = torch.stack(
                [_to_tensor(CANDIDATES[name](degraded)) for name in self.candidates]
            )
        return item

    def _label_map(self, crop: Sample) -> np.ndarray:
        if crop.label_map is None:
            raise ValueError(
                f"{crop.name} has no label map, which label_map_classes asks for; name label_maps in its set"
            )
        return in_classes(crop.label_map, crop.label_map_names, self.label_map_classes)

    def _crop(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = sample.image.shape[:2]
        low, high = self.resize
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        if self.long_side is not None:
            scale *= self.long_side / max(height, width)
        side = int(
            np.clip(round(self.size / scale), 1, min(height, width))
        )  # of the crop, in pixels of the picture
        x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        aim, pick, place = rng.random(), rng.random(), rng.random(2)
        if len(sample.boxes) and aim < self.box_probability:
            box = sample.boxes[int(pick * len(sample.boxes))]
            x, y = (_around(box[k], box[k + 2], side, (width, height)[k], place[k]) for k in (0, 1))
        flip = bool(rng.random() < self.flip_probability)
        return crop_sample(sample, (x, y, side), self.size, flip=flip)

    def _degrade(self, crop: Sample, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
        identity = rng.random() < self.identity_probability
        draw_seed, depth_seed, seed = (int(s) for s in rng.integers(2**31 - 1, size=3))
        if crop.degraded is not None and not identity:
            return crop.degraded, {"type": PAIR, "params": {}, "seed": seed}
        if self.degradation is None or identity:
            return crop.image, {"type": "Identity", "params": {}, "seed": seed}
        effect = self.degradation.draw(draw_seed)
        depth = crop.depth
        if depth is None and crop.label_map is not None:
            depth = _depth_from_label_map(crop, depth_seed)
        degraded = effect(
            crop.image,
            seed=seed,
            depth=depth,
            label_map=crop.label_map,
            class_names=crop.label_map_names or None,
        )
        if degraded.shape != crop.image.shape or degraded.dtype != np.uint8:
            raise ValueError(
                f"{effect!r} gave {degraded.dtype} {degraded.shape} for uint8 {crop.image.shape}"
            )
        return degraded, effect.to_manifest(seed)


def crop_sample(sample: Sample, window: tuple[int, int, int], size: int, *, flip: bool = False) -> Sample:
    """Cut the square `window` (x, y, side) out of a sample, scale it to `size` pixels and mirror it if asked.

    Boxes are clipped to the crop; one that keeps less than 30 % of its area or less than 4 pixels of a side
    is dropped. Depth and label map go along, by nearest neighbour.
    """
    x, y, side = window
    shrink = side > size
    image, degraded = (
        None
        if picture is None
        else _resize(
            picture[y : y + side, x : x + side], size, cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
        )
        for picture in (sample.image, sample.degraded)
    )
    depth, label_map = (
        None if plane is None else _resize(plane[y : y + side, x : x + side], size, cv2.INTER_NEAREST)
        for plane in (sample.depth, sample.label_map)
    )
    boxes = (sample.boxes.astype(np.float32) - np.array([x, y, x, y], np.float32)) * np.float32(size / side)
    if flip:
        image = image[:, ::-1]
        degraded = None if degraded is None else degraded[:, ::-1]
        depth = None if depth is None else depth[:, ::-1]
        label_map = None if label_map is None else label_map[:, ::-1]
        boxes = boxes[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32) + np.array(
            [size, 0, size, 0], np.float32
        )
    kept = boxes.clip(0, size)
    sides, whole = kept[:, 2:] - kept[:, :2], boxes[:, 2:] - boxes[:, :2]
    keep = (sides.min(1) >= MIN_BOX_SIDE) & (sides.prod(1) >= MIN_BOX_SHARE * whole.prod(1))
    return Sample(
        image=np.ascontiguousarray(image),
        boxes=kept[keep],
        labels=sample.labels[keep].astype(np.int64),
        depth=None if depth is None else np.ascontiguousarray(depth),
        label_map=None if label_map is None else np.ascontiguousarray(label_map),
        name=sample.name,
        label_map_names=sample.label_map_names,
        labelled=sample.labelled,
        image_id=sample.image_id,
        category=sample.category,
        degraded=None if degraded is None else np.ascontiguousarray(degraded),
    )


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stack items: `degraded`, `clean` and, where there is one, `real` uint8 `(B, 3, S, S)`, `candidates`, where there
    are any, uint8 `(B, K, 3, S, S)`, `label_map` and `depth`, where there are some, uint8 and float32 `(B, S, S)`,
    `labelled` bool `(B,)`, `index` and `category` int64 `(B,)`; the rest become lists of length B.
    """
    batch: dict[str, Any] = {key: [item[key] for item in items] for key in items[0]}
    for key in {"degraded", "clean", "real", "candidates", "label_map", "depth"} & batch.keys():
        batch[key] = torch.stack(batch[key])
    for key in {"index", "category"} & batch.keys():
        batch[key] = torch.tensor(batch[key])
    batch["labelled"] = torch.tensor(batch["labelled"], dtype=torch.bool)
    return batch


def _around(low: float, high: float, side: int, limit: int, place: float) -> int:
    """Where a crop of `side` starts so that it holds the span `low..high` (or its centre, if it is too
    long)."""
    if high - low > side:
        low = high = (low + high) / 2
    first, last = max(high - side, 0), min(low, limit - side)
    return int(np.clip(round(first + place * (last - first)), 0, limit - side))


def _resize(plane: np.ndarray, size: int, interpolation: int) -> np.ndarray:
    return (
        plane
        if plane.shape[:2] == (size, size)
        else cv2.resize(plane, (size, size), interpolation=interpolation)
    )


def _depth(crop: Sample) -> np.ndarray:
    if crop.depth is None:
        raise ValueError(f"{crop.name} has no depth, which depth=True asks for; name depth in its set")
    return crop.depth.astype(np.float32)


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))  # (3, S, S)


def _depth_from_label_map(crop: Sample, seed: int) -> np.ndarray:
    from unirestore.degradations.depth import from_label_map

    return from_label_map(crop.label_map, crop.label_map_names, seed)
