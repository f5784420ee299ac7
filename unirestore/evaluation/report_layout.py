"""What differs between the reports of a detector, a segmentor, a depth estimator and a classifier.

That is figures, words and the legend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unirestore.evaluation.depth_pictures import UNKNOWN, band_colours
from unirestore.evaluation.pictures import HIT, MISSED, SHOWN_SCORE, TRUE, WRONG
from unirestore.evaluation.segmentation_pictures import class_colours


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the figures of a task are shown.

    Args:
        network: what looks at the pictures, also the key of its name in the protocol.
        amounts: what is counted of each class.
        key: the figure that tables and charts lead with.
        steady_class: the class whose own figure leads in its place, where every condition holds some of it.
        by_class: how figures of one class begin.
        figures: what a table shows beside the key figure.
        deltas: of which figures a table shows the difference to `none`, beside the key figure's.
        titles: figure -> heading.
        second: the figure of the second chart.
        picture_arm: the arm that pictures and page are about, where it was measured.
        own: the score of one photo.
        notes: figure -> what it means.
    """

    network: str
    amounts: str
    key: str
    steady_class: str | None = None
    by_class: str
    figures: tuple[str, ...]
    deltas: tuple[str, ...]
    titles: Mapping[str, str]
    second: str
    picture_arm: str
    own: str
    notes: Mapping[str, str]

    def title(self, figure: str) -> str:
        """How a figure is headed: `AP/car` -> `car AP`."""
        kind, _, of_class = figure.partition("/")
        return f"{of_class} {kind}" if of_class else self.titles.get(figure, figure)


LAYOUTS: dict[str, Layout] = {
    "detection": Layout(
        network="detector",
        amounts="boxes",
        key="mAP",
        steady_class="car",  # there are many on street photos
        by_class="AP/",
        figures=("mAP", "AP50", "AP75", "iwAP", "agnostic"),
        deltas=("iwAP", "mAP"),
        titles={"iwAP": "iw-AP", "agnostic": "agnostic AP"},
        second="iwAP",
        picture_arm="det",
        own="AP",
        notes={
            "iw-AP": "AP of the classes weighted by their number of boxes",
            "agnostic AP": "all boxes as one class",
        },
    ),
    "segmentation": Layout(
        network="segmentor",
        amounts="pixels",
        key="mIoU",
        by_class="IoU/",
        figures=("mIoU", "mAcc", "aAcc"),
        deltas=("mAcc", "aAcc"),
        titles={},
        second="aAcc",
        picture_arm="seg",
        own="mIoU",
        notes={"mAcc": "mean recall of the classes", "aAcc": "share of pixels that are right"},
    ),
    "depth": Layout(
        network="depth estimator",
        amounts="pixels",
        key="delta1",
        by_class="delta1/",
        figures=("delta1", "aligned", "AbsRel", "RMSE"),
        deltas=("aligned", "AbsRel", "RMSE"),
        titles={
            "aligned": "aligned delta1",
            "AbsRel": "AbsRel % (less is better)",
            "RMSE": "RMSE m (less is better)",
        },
        second="aligned",  # a chart says what was gained, so it shows a figure of which more is better
        picture_arm="depth",
        own="delta1",
        notes={
            "delta1": "share of pixels within a factor of 1.25 of their true distance",
            "aligned delta1": "the same after one factor for each photo that makes its median right",
            "AbsRel": "mean error as a share of the true distance",
            "RMSE": "root of the mean squared error in metres",
        },
    ),
    "classification": Layout(
        network="classifier",
        amounts="pictures",
        key="top1",
        by_class="top1/",
        figures=("top1", "mean-class"),
        deltas=("mean-class",),
        titles={"top1": "top-1", "mean-class": "mean per class"},
        second="mean-class",
        picture_arm="cls",
        own="probability of the true class",
        notes={"mean per class": "mean over classes of the share of right answers"},
    ),
}
"""Name of a `MeasuredTask` -> its layout."""


def legend(task: str, classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Colour, CSS class and meaning of what is drawn in the pictures, then a note in a row without colour."""
    if task == "segmentation":
        return [(colour, "solid", name) for name, colour in class_colours(classes).items()]
    if task == "depth":
        bands = [(colour, "solid", name) for colour, name in zip(band_colours(), classes, strict=True)]
        return [*bands, (UNKNOWN, "solid", "sky and what is farther, not counted")]
    if task == "classification":
        return [("", "", "likeliest class and its probability")]
    return [
        (TRUE, "", "true box"),
        (HIT, "", "found"),
        (WRONG, "", "wrong or a second time"),
        (MISSED, "dash", "missed"),
        ("", "", f"detections of score {SHOWN_SCORE} and more, IoU 0.5"),
    ]
