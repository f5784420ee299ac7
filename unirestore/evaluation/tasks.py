"""What the arms are measured by: boxes, label maps, depth, categories. An object each, and one measurement for all.

`measure_gain` shows each arm's pictures to a network; what the network answers is kept, scored and drawn by the task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from unirestore.data.label_maps import in_classes
from unirestore.evaluation.bootstrap import Score
from unirestore.evaluation.classification import ClassificationScore, check_probabilities
from unirestore.evaluation.depth import BANDS, DepthScore, band_names, bands_of, depth_figures
from unirestore.evaluation.depth_pictures import depth_panel
from unirestore.evaluation.detection import Prediction, Truth
from unirestore.evaluation.metrics import DetectionScore
from unirestore.evaluation.pictures import SHOWN_SCORE, Panel, box_panels, panel_size, to_jpeg
from unirestore.evaluation.segmentation import SegmentationScore, confusion
from unirestore.evaluation.segmentation_pictures import mask_panel


class MeasuredTask(Protocol):
    """A task; `kept` is what remains of a network's answer to one photo, `truth` what is remembered of the photo."""

    name: str
    classes: tuple[str, ...]
    metric: str

    def truth(self, record: Any) -> Any:
        """What scoring has to know of a photo."""

    def keep(self, answer: Any, record: Any, shape: tuple[int, int]) -> Any:
        """What remains of the answer to a picture of `shape` (H, W), in pixels of the photo."""

    def score(self, kept: Sequence[Any], truths: Sequence[Any]) -> Score:
        """The score of a set."""

    def amounts(self, truths: Sequence[Any]) -> dict[str, int]:
        """How much of each class the set holds."""

    def own_scores(self, kept: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """`(I,)` the score of each photo alone, by which pictures are chosen; nan where it has none."""

    def importance(self, truths: Sequence[Any]) -> np.ndarray:
        """`(I,)` how much a photo's gain tells."""

    def panels(
        self,
        record: Any,
        clean: np.ndarray,
        images: Mapping[str, np.ndarray],
        kept: Mapping[str, Any],
        again: Callable[[np.ndarray], Any],
    ) -> list[Panel]:
        """The truth on `clean`, then each arm's picture with what was found; `again` asks the network once more."""

    def to_json(self, kept: Any) -> dict[str, Any]:
        """For the cache."""

    def from_json(self, stored: Mapping[str, Any]) -> Any:
        """Back from the cache."""


class _Task:
    """What tasks share unless they say otherwise; `score` is theirs."""

    score: Callable[..., Any]

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)

    def own_scores(self, kept: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """What the score says of each photo alone."""
        return self.score(kept, truths).per_photo()

    def importance(self, truths: Sequence[Any]) -> np.ndarray:
        """All photos alike."""
        return np.ones(len(truths))


class DetectionTask(_Task):
    """Boxes; the network answers with boxes `(N, 4)` xyxy in its pixels, scores and labels."""

    name = "detection"
    metric = "COCO box AP at IoU 0.50:0.95, 100 detections per class, in percent"

    def truth(self, record: Any) -> Truth:
        """The boxes of one photo, its crowds flagged."""
        boxes = np.asarray(record.boxes, np.float64).reshape(-1, 4)
        labels = np.asarray(record.labels).reshape(-1)
        crowd_boxes = np.asarray(getattr(record, "crowd_boxes", np.zeros((0, 4))), np.float64).reshape(-1, 4)
        crowd_labels = np.asarray(getattr(record, "crowd_labels", np.zeros(0))).reshape(-1)
        return Truth(
            boxes=np.concatenate([boxes, crowd_boxes]),
            labels=np.concatenate([labels, crowd_labels]).astype(np.int64),
            crowd=np.arange(len(boxes) + len(crowd_boxes)) >= len(boxes),
        )

    def keep(self, answer: Prediction, record: Any, shape: tuple[int, int]) -> Prediction:
        """Boxes in pixels of the photo."""
        boxes, scores, labels = answer
        scale = max(record.image.shape[:2]) / max(shape)
        return np.asarray(boxes, np.float64).reshape(-1, 4) * scale, np.asarray(scores), np.asarray(labels)

    def score(self, kept: Sequence[Prediction], truths: Sequence[Truth]) -> DetectionScore:
        """Average precision."""
        return DetectionScore.from_predictions(kept, truths, self.classes)

    def amounts(self, truths: Sequence[Truth]) -> dict[str, int]:
        """Boxes of each class, without crowds."""
        labels = np.concatenate([truth.labels[~truth.crowd] for truth in truths])
        return {name: int((labels == index).sum()) for index, name in enumerate(self.classes)}

    def own_scores(self, kept: Sequence[Prediction], truths: Sequence[Truth]) -> np.ndarray:
        """AP of the detections that a picture shows."""
        shown = [tuple(part[p[1] >= SHOWN_SCORE] for part in p) for p in kept]
        return self.score(shown, truths).per_photo()

    def importance(self, truths: Sequence[Truth]) -> np.ndarray:
        """More boxes tell more."""
        return np.array([int((~truth.crowd).sum()) for truth in truths])

    def panels(
        self,
        record: Any,
        clean: np.ndarray,
        images: Mapping[str, np.ndarray],
        kept: Mapping[str, Prediction],
        again: Callable[[np.ndarray], Prediction],
    ) -> list[Panel]:
        """Boxes over photos."""
        return box_panels(clean, images, kept, self.truth(record), self.classes, record.image.shape[:2])

    def to_json(self, kept: Prediction) -> dict[str, Any]:
        """Three lists."""
        names = (("boxes", np.float64), ("scores", np.float64), ("labels", np.int64))
        return {name: np.asarray(part, kind).tolist() for (name, kind), part in zip(names, kept, strict=True)}

    def from_json(self, stored: Mapping[str, Any]) -> Prediction:
        """Three arrays."""
        return (
            np.array(stored["boxes"], np.float64).reshape(-1, 4),
            np.array(stored["scores"], np.float64),
            np.array(stored["labels"], np.int64),
        )


class SegmentationTask(_Task):
    """Label maps; the network answers with `(H, W)` indices into `classes` at the size of its picture.

    Classes of a photo's label map are carried over by name; those that are not in `classes` do not count. Of an answer
    its confusion matrix is kept. An answer of another size than the photo's is enlarged by nearest neighbour.
    """

    name = "segmentation"
    metric = "mean IoU over classes of the pixels of all photos (mmseg's IoUMetric), 255 left out, in percent"

    def label_map(self, record: Any) -> np.ndarray:
        """`(H, W)` of the photo, in `classes`. Raises ValueError where the photo has none."""
        if getattr(record, "label_map", None) is None:
            raise ValueError(f"{record.name} has no label map to measure by; name label_maps in its set")
        return in_classes(record.label_map, record.label_map_names, self.classes)

    def truth(self, record: Any) -> np.ndarray:
        """`(C,)` pixels of each class."""
        return np.bincount(self.label_map(record).ravel(), minlength=256)[: len(self.classes)]

    def keep(self, answer: np.ndarray, record: Any, shape: tuple[int, int]) -> np.ndarray:
        """`(C, C)` confusion matrix in pixels of the photo."""
        return confusion(
            self._enlarged(answer, record.image.shape[:2]), self.label_map(record), len(self.classes)
        )

    def score(self, kept: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> SegmentationScore:
        """Mean IoU."""
        return SegmentationScore(names=self.classes, matrices=np.stack(kept))

    def amounts(self, truths: Sequence[np.ndarray]) -> dict[str, int]:
        """Pixels of each class."""
        return {name: int(n) for name, n in zip(self.classes, np.sum(truths, axis=0), strict=True)}

    def panels(
        self,
        record: Any,
        clean: np.ndarray,
        images: Mapping[str, np.ndarray],
        kept: Mapping[str, np.ndarray],
        again: Callable[[np.ndarray], np.ndarray],
    ) -> list[Panel]:
        """Masks over photos."""
        size = record.image.shape[:2]
        truth = self.label_map(record)
        own = {arm: float(self.own_scores([kept[arm]], [None])[0]) for arm in images}
        return [
            mask_panel("true classes", clean, truth, self.classes, ""),
            *(
                mask_panel(
                    arm,
                    image,
                    np.where(truth == 255, 255, self._enlarged(again(image), size)),
                    self.classes,
                    f"mIoU {own[arm]:.1f}",
                )
                for arm, image in images.items()
            ),
        ]

    def to_json(self, kept: np.ndarray) -> dict[str, Any]:
        """A list of rows."""
        return {"confusion": np.asarray(kept).tolist()}

    def from_json(self, stored: Mapping[str, Any]) -> np.ndarray:
        """`(C, C)` int64."""
        count = len(self.classes)
        return np.array(stored["confusion"], np.int64).reshape(count, count)

    def _enlarged(self, answer: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        answer = np.asarray(answer)
        if answer.shape == tuple(size):
            return answer
        return cv2.resize(answer.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)


class DepthTask(_Task):
    """Distances; the network answers with `(H, W)` metres at the size of its picture.

    `classes` are bands of distance. Of an answer its figures are kept. An answer of another size than the photo's is
    enlarged bilinearly; its metres stay.

    Args:
        max_depth: pixels that are truly this far and farther, the sky, do not count; metres.
    """

    name = "depth"
    metric = (
        "mean over photos of delta1: the share of pixels within a factor of 1.25 of their true distance, in percent; "
        "pixels without a known distance are left out"
    )

    def __init__(self, max_depth: float = 80.0) -> None:
        super().__init__(band_names(max_depth))
        self.max_depth = float(max_depth)

    def depth(self, record: Any) -> np.ndarray:
        """`(H, W)` metres of the photo. Raises ValueError where the photo has none."""
        if getattr(record, "depth", None) is None:
            raise ValueError(f"{record.name} has no depth to measure by; name depth in its set")
        return record.depth

    def truth(self, record: Any) -> np.ndarray:
        """`(4,)` pixels of each band."""
        bands = bands_of(self.depth(record), self.max_depth)
        return np.bincount(bands.ravel(), minlength=len(BANDS) + 1)[: len(BANDS)]

    def keep(self, answer: np.ndarray, record: Any, shape: tuple[int, int]) -> np.ndarray:
        """`(8,)` the figures of the photo, in its pixels."""
        return depth_figures(
            self._enlarged(answer, record.image.shape[:2]), self.depth(record), self.max_depth
        )

    def score(self, kept: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> DepthScore:
        """The mean of the photos' figures."""
        return DepthScore(names=self.classes, values=np.stack(kept))

    def amounts(self, truths: Sequence[np.ndarray]) -> dict[str, int]:
        """Pixels of each band."""
        return {name: int(n) for name, n in zip(self.classes, np.sum(truths, axis=0), strict=True)}

    def panels(
        self,
        record: Any,
        clean: np.ndarray,
        images: Mapping[str, np.ndarray],
        kept: Mapping[str, np.ndarray],
        again: Callable[[np.ndarray], np.ndarray],
    ) -> list[Panel]:
        """Distances below photos."""
        truth, size = self.depth(record), record.image.shape[:2]
        counts = bands_of(truth, self.max_depth) < len(BANDS)
        return [
            depth_panel("true distances", clean, truth / self.max_depth, counts, ""),
            *(
                depth_panel(
                    arm,
                    image,
                    self._enlarged(again(image), size) / self.max_depth,
                    counts,
                    f"delta1 {kept[arm][0]:.1f}",
                )
                for arm, image in images.items()
            ),
        ]

    def to_json(self, kept: np.ndarray) -> dict[str, Any]:
        """A list."""
        return {"figures": np.asarray(kept).tolist()}

    def from_json(self, stored: Mapping[str, Any]) -> np.ndarray:
        """`(8,)` float64."""
        return np.array(stored["figures"], np.float64)

    def _enlarged(self, answer: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        answer = np.asarray(answer, np.float32)
        if answer.shape == tuple(size):
            return answer
        return cv2.resize(answer, size[::-1], interpolation=cv2.INTER_LINEAR)


class ClassificationTask(_Task):
    """Categories; the network answers with probabilities `(C,)` of `classes`."""

    name = "classification"
    metric = "share of pictures whose likeliest class is the true one, in percent"

    def truth(self, record: Any) -> int:
        """The category. Raises ValueError where the picture has none."""
        category = int(getattr(record, "category", -1))
        if not 0 <= category < len(self.classes):
            raise ValueError(
                f"{record.name} has no category to measure by; take a set with format='categories' or objects=dict(...)"
            )
        return category

    def keep(self, answer: np.ndarray, record: Any, shape: tuple[int, int]) -> np.ndarray:
        """The probabilities."""
        return check_probabilities(answer, self.classes)

    def score(self, kept: Sequence[np.ndarray], truths: Sequence[int]) -> ClassificationScore:
        """Top-1."""
        return ClassificationScore(names=self.classes, probabilities=np.stack(kept), truth=np.array(truths))

    def amounts(self, truths: Sequence[int]) -> dict[str, int]:
        """Pictures of each class."""
        counts = np.bincount(np.array(truths), minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def panels(
        self,
        record: Any,
        clean: np.ndarray,
        images: Mapping[str, np.ndarray],
        kept: Mapping[str, np.ndarray],
        again: Callable[[np.ndarray], np.ndarray],
    ) -> list[Panel]:
        """Pictures with the answer below."""
        answers = {arm: int(np.argmax(kept[arm])) for arm in images}
        return [
            Panel(title="true class", jpeg=_shown(clean), caption=self.classes[self.truth(record)]),
            *(
                Panel(
                    title=arm,
                    jpeg=_shown(image),
                    caption=f"{self.classes[answers[arm]]} {kept[arm][answers[arm]]:.2f}",
                )
                for arm, image in images.items()
            ),
        ]

    def to_json(self, kept: np.ndarray) -> dict[str, Any]:
        """A list."""
        return {"probabilities": np.asarray(kept).tolist()}

    def from_json(self, stored: Mapping[str, Any]) -> np.ndarray:
        """`(C,)` float64."""
        return np.array(stored["probabilities"], np.float64)


def _shown(image: np.ndarray) -> bytes:
    return to_jpeg(cv2.resize(image, panel_size(image), interpolation=cv2.INTER_CUBIC))
