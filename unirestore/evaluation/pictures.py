"""Pictures for the report: the same photo under several arms, with what the detector found drawn in."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unirestore.evaluation.detection import Prediction, Truth, box_iou

HIT, WRONG, MISSED, TRUE = "#19c37d", "#ff7a45", "#ffffff", "#4aa8ff"
SHOWN_SCORE = 0.3
PANEL_WIDTH = 480


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture with what was found drawn in: its arm, the JPEG bytes, and what stands below."""

    title: str
    jpeg: bytes
    caption: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One photo under several arms; `gain` is the photo's own score of `arm` minus that of `none`, in points."""

    rank: str
    name: str
    arm: str
    gain: float
    panels: tuple[Panel, ...]


def panel_size(image: np.ndarray) -> tuple[int, int]:
    """Width and height in pixels of the panel that shows `(H, W, 3)`."""
    return PANEL_WIDTH, max(1, round(image.shape[0] * PANEL_WIDTH / image.shape[1]))


def box_panels(
    truth_image: np.ndarray,
    images: Mapping[str, np.ndarray],
    predictions: Mapping[str, Prediction],
    truth: Truth,
    classes: Sequence[str],
    photo_size: tuple[int, int],
) -> list[Panel]:
    """Draw the true boxes on `truth_image`, then each arm's picture with its detections.

    Args:
        images: arm -> `(H, W, 3)` RGB uint8 that the detector saw.
        predictions: arm -> detections in pixels of the photo.
        truth: true boxes in pixels of the photo.
        photo_size: height and width of the photo that the boxes refer to.
    """
    keep = ~truth.crowd
    counted = Truth(boxes=truth.boxes[keep], labels=truth.labels[keep])
    first = _Canvas(truth_image, photo_size)
    for box in counted.boxes:
        first.box(box, TRUE)
    return [
        Panel(title="true boxes", jpeg=first.jpeg(), caption=str(len(counted.boxes))),
        *(_panel(a, images[a], predictions[a], counted, classes, photo_size) for a in images),
    ]


def _panel(
    arm: str,
    image: np.ndarray,
    prediction: Prediction,
    truth: Truth,
    classes: Sequence[str],
    photo_size: tuple[int, int],
) -> Panel:
    boxes, scores, labels = prediction
    keep = np.asarray(scores) >= SHOWN_SCORE
    boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
    hits, missed = _at_half(boxes, scores, labels, truth)
    canvas = _Canvas(image, photo_size)
    for box in truth.boxes[missed]:
        canvas.dashed(box, MISSED)
    for index in np.argsort(scores):
        colour = HIT if hits[index] else WRONG
        canvas.box(boxes[index], colour, f"{classes[labels[index]]} {scores[index]:.2f}")
    return Panel(
        title=arm,
        jpeg=canvas.jpeg(),
        caption=f"{hits.sum()} found, {missed.sum()} missed, {(~hits).sum()} wrong",
    )


def _at_half(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, truth: Truth
) -> tuple[np.ndarray, np.ndarray]:
    """Which detections `(N,)` match a box of their class at IoU 0.5, and which boxes `(G,)` no one does."""
    hits, missed = np.zeros(len(boxes), bool), np.ones(len(truth.boxes), bool)
    overlap = box_iou(boxes, truth.boxes) * (labels[:, None] == truth.labels[None])  # (N, G)
    for index in np.argsort(-scores, kind="stable"):
        open_overlap = overlap[index] * missed
        if len(open_overlap) and open_overlap.max() >= 0.5:
            hits[index] = True
            missed[open_overlap.argmax()] = False
    return hits, missed


class _Canvas:
    """A picture scaled to the panel's width, on which boxes of the photo are drawn."""

    def __init__(self, image: np.ndarray, photo_size: tuple[int, int]) -> None:
        panel = panel_size(image)
        self.image = Image.fromarray(image).resize(panel, Image.Resampling.BICUBIC)
        self.scale = np.array([panel[0] / photo_size[1], panel[1] / photo_size[0]] * 2)
        self.draw = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(size=11)

    def box(self, box: np.ndarray, colour: str, text: str = "") -> None:
        x1, y1, x2, y2 = self._corners(box)
        self.draw.rectangle((x1, y1, x2, y2), outline=colour, width=2)
        if text and x2 - x1 >= 40:  # a word on a tiny box hides more than it tells
            left, top, right, bottom = self.draw.textbbox((0, 0), text, font=self.font)
            wide, high = right - left + 6, bottom - top + 5
            y = y1 - high if y1 >= high else y1
            self.draw.rectangle((x1, y, x1 + wide, y + high), fill=colour)
            self.draw.text((x1 + 3 - left, y + 2 - top), text, fill="#10141a", font=self.font)

    def dashed(self, box: np.ndarray, colour: str) -> None:
        x1, y1, x2, y2 = self._corners(box)
        for start in np.arange(x1, x2, 7):
            for y in (y1, y2):
                self.draw.line((start, y, min(start + 4, x2), y), fill=colour, width=1)
        for start in np.arange(y1, y2, 7):
            for x in (x1, x2):
                self.draw.line((x, start, x, min(start + 4, y2)), fill=colour, width=1)

    def jpeg(self) -> bytes:
        return to_jpeg(np.asarray(self.image))

    def _corners(self, box: np.ndarray) -> tuple[float, float, float, float]:
        x1, y1, x2, y2 = (float(v) for v in np.asarray(box) * self.scale)
        width, height = self.image.size
        x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
        return x1, y1, max(x1, min(x2, width - 1)), max(y1, min(y2, height - 1))


def to_jpeg(image: np.ndarray) -> bytes:
    """`(H, W, 3)` RGB uint8 as the bytes of a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=82)
    return stream.getvalue()


def labelled(pictures: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pictures of one size side by side, each with its title above: `(H, W)` or `(H, W, 3)` uint8 ->
    `(H + bar, W * count + gaps, 3)`."""
    first = next(iter(pictures.values()))
    height, width = first.shape[:2]
    size = min(28, max(9, width // 24))
    bar, gap = 2 * size, max(2, size // 4)
    sheet = Image.new("RGB", (len(pictures) * (width + gap) - gap, height + bar), "#10141a")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=size)
    for index, (title, picture) in enumerate(pictures.items()):
        left = index * (width + gap)
        sheet.paste(Image.fromarray(picture).convert("RGB"), (left, bar))
        while title and draw.textlength(title, font=font) > width - size:
            title = title[:-1]  # a long name loses its end
        draw.text((left + size // 2, size // 2), title, fill="#ffffff", font=font)
    return np.asarray(sheet)
