"""Top-1 by hand, with weights, and the whole measurement with a classifier that sees colour."""

import numpy as np
import pytest

from unirestore.data.sample import Sample
from unirestore.evaluation import measure_gain
from unirestore.evaluation.classification import ClassificationScore
from unirestore.evaluation.gain import Condition
from unirestore.evaluation.report import to_markdown, write_report
from unirestore.evaluation.tasks import ClassificationTask


def test_figures_by_hand():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2]])
    score = ClassificationScore(
        names=("a", "b", "c"), probabilities=probabilities, truth=np.array([0, 1, 1, 0])
    )
    figures = {name: float(value[0]) for name, value in score.figures().items()}
    assert figures["top1"] == 50 and figures["top1/a"] == 50 and figures["top1/b"] == 50  # a tie is no answer
    assert np.isnan(figures["top1/c"]) and figures["mean-class"] == 50 and "top5" not in figures
    doubled = score.figures(np.array([[2.0, 1, 0, 1]]))
    copies = ClassificationScore(
        names=score.names, probabilities=probabilities[[0, 0, 1, 3]], truth=np.array([0, 0, 1, 0])
    ).figures()
    assert all(np.allclose(doubled[name], copies[name], equal_nan=True) for name in copies)
    assert score.per_photo().tolist() == pytest.approx([70, 40, 80, 40])
    six = ClassificationScore(names=tuple("abcdef"), probabilities=np.eye(6)[[1]] + 0.1, truth=np.array([1]))
    assert six.figures()["top5"][0] == 100
    with pytest.raises(ValueError, match="weights must be"):
        score.figures(np.ones((1, 3)))


def test_the_whole_measurement(tmp_path):
    photos = [
        Sample(image=np.full((8, 8, 3), (250 * c, 0, 120), np.uint8), category=c, name=f"{c}{k}")
        for c in (0, 1)
        for k in range(4)
    ]

    def predict(images):  # red is class 1
        red = [image[..., 0].mean() / 255 for image in images]
        return [np.array([1 - r, r]) for r in red]

    arms = {"none": lambda image: image, "cls": lambda image: np.clip(image * 2.0, 0, 255).astype(np.uint8)}
    dim = lambda image, **known: image // 3  # noqa: E731
    report = measure_gain(
        predict, None, arms, {"dim": Condition(photos=photos, effect=dim)}, resize_to=None, resamples=20,
        task=ClassificationTask(("green", "red")), progress=False,
    )  # fmt: skip
    rows = report.conditions["dim"].arms
    assert {arm: rows[arm].comparison.figures["top1"].value for arm in ("clean", "none", "cls")} == {
        "clean": 100, "none": 50, "cls": 100,
    }  # fmt: skip
    assert report.conditions["dim"].amounts == {"green": 4, "red": 4}
    paths = write_report(report, tmp_path)
    assert "top-1" in to_markdown(report) and "red" in paths["html"].read_text()


def test_what_cannot_be_is_told():
    task = ClassificationTask(("a", "b"))
    with pytest.raises(ValueError, match="no category"):
        task.truth(Sample(image=np.zeros((1, 1, 3), np.uint8), name="x"))
    for bad in (np.zeros(3), np.array([np.nan, 1])):
        with pytest.raises(ValueError, match="2 finite"):
            task.keep(bad, None, (1, 1))
