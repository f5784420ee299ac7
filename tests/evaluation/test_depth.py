"""Figures of depth by hand and beside mmseg's, the weights of a bootstrap, and the whole measurement."""

import json

import numpy as np
import pytest

from unirestore.data.sample import Sample
from unirestore.evaluation import measure_gain
from unirestore.evaluation.depth import DepthScore, band_names, bands_of, depth_figures
from unirestore.evaluation.depth_pictures import band_colours, depth_colours
from unirestore.evaluation.gain import Condition
from unirestore.evaluation.report import to_markdown, write_report
from unirestore.evaluation.report_layout import legend
from unirestore.evaluation.tasks import DepthTask

FAR = 1000.0


def street(seed=0, size=(24, 32)):
    """True metres with a sky and a hole, and an answer that is wrong by factors up to 2."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(3, 79, size).astype(np.float32)
    truth[:6], truth[10, :5] = FAR, 0
    return truth * rng.uniform(0.5, 2, size).astype(np.float32), truth


def test_figures_by_hand():
    truth = np.array([[5, 15, 30, 60, FAR, 0, 80]], np.float32)
    answer = np.array([[6, 30, 30, 30, 1, 1, 1]], np.float32)
    delta1, aligned, relative, rmse, *bands = depth_figures(answer, truth, 80)
    assert delta1 == 50 and bands == [100, 0, 100, 0]
    assert aligned == 25  # times 22.5 / 30: 4.5, 22.5, 22.5, 22.5
    assert relative == pytest.approx(100 * (0.2 + 1 + 0 + 0.5) / 4)
    assert rmse == pytest.approx(np.sqrt((1 + 225 + 0 + 900) / 4))
    assert depth_figures(np.array([[400.0]]), np.array([[79.0]]), 80)[0] == 100  # clipped to the farthest
    assert np.isnan(depth_figures(answer, np.full_like(truth, FAR), 80)).all()
    assert bands_of(truth, 80).tolist() == [[0, 1, 2, 3, 4, 4, 4]]
    assert band_names(80) == ("0-10 m", "10-20 m", "20-40 m", "40-80 m") and band_names(10)[0] == "0-1.25 m"


def test_figures_equal_those_of_mmseg():
    """Reference: mmseg's `DepthMetric` over a set of three photos."""
    pytest.importorskip("mmseg")
    import unirestore.mm  # noqa: F401, isort: skip

    import torch
    from mmseg.evaluation import DepthMetric

    def theirs(pairs):
        metric = DepthMetric(min_depth_eval=1e-3, max_depth_eval=80.0)
        for answer, truth in pairs:
            planes = {"pred_depth_map": answer.clip(1e-3, 80), "gt_depth_map": truth}
            metric.process({}, [{name: {"data": torch.from_numpy(plane)} for name, plane in planes.items()}])
        return metric.compute_metrics(metric.results)

    def scaled(answer, truth):
        known = (truth > 0) & (truth < 80)
        answer = answer.clip(1e-3, 80)
        return answer * (np.median(truth[known]) / np.median(answer[known])), truth

    pairs = [street(seed) for seed in range(3)]
    expected, aligned = theirs(pairs), theirs([scaled(*pair) for pair in pairs])
    values = np.stack([depth_figures(*pair, 80) for pair in pairs])
    figures = DepthScore(names=band_names(80), values=values).figures()
    found = {name: float(value[0]) for name, value in figures.items()}
    assert found["delta1"] == pytest.approx(100 * expected["d1"], abs=1e-3)
    assert found["aligned"] == pytest.approx(100 * aligned["d1"], abs=1e-3)
    assert found["AbsRel"] == pytest.approx(100 * expected["abs_rel"], abs=1e-3)
    assert found["RMSE"] == pytest.approx(expected["rmse"], abs=1e-4)


def test_a_weight_of_n_equals_n_copies():
    values = np.stack([depth_figures(*street(seed), 80) for seed in range(4)])
    values[0, 4] = np.nan  # a photo without near pixels
    score = DepthScore(names=band_names(80), values=values)
    drawn = score.figures(np.array([[2.0, 0, 1, 1], [1, 1, 1, 1]]))
    copies = DepthScore(names=score.names, values=values[[0, 0, 2, 3]]).figures()
    for name in copies:
        assert drawn[name][0] == pytest.approx(copies[name][0])
        assert drawn[name][1] == pytest.approx(score.figures()[name][0])
    assert drawn["delta1/0-10 m"][0] == pytest.approx(values[2:, 4].mean())
    assert np.array_equal(score.per_photo(), values[:, 0])
    with pytest.raises(ValueError, match="weights must be"):
        score.figures(np.ones((1, 3)))


def test_the_whole_measurement(tmp_path):
    """The network reads metres off the grey; what makes photos brighter makes it say farther."""
    photos = []
    for seed in range(4):
        truth = np.repeat(np.geomspace(60 + seed, 4, 24, dtype=np.float32)[:, None], 32, 1)
        truth[:2] = FAR
        grey = np.where(truth == FAR, 255, 3 * truth).clip(0, 255).astype(np.uint8)
        photos.append(Sample(image=np.repeat(grey[..., None], 3, 2), depth=truth, name=f"{seed}.png"))

    def predict(images):
        assert {image.shape for image in images} == {(12, 16, 3)}
        return [np.maximum(image[..., 0], 1) / np.float32(3) for image in images]

    arms = {"none": lambda image: image, "depth": lambda image: image // 2}
    brighter = lambda image, **known: np.clip(image * 2.0, 0, 255).astype(np.uint8)  # noqa: E731
    report = measure_gain(
        predict, None, arms, {"bright": Condition(photos=photos, effect=brighter)}, resize_to=16, resamples=20,
        task=DepthTask(80), progress=False, cache=tmp_path / "cache",
    )  # fmt: skip
    rows = report.conditions["bright"].arms
    figures = {arm: {k: v.value for k, v in row.comparison.figures.items()} for arm, row in rows.items()}
    assert figures["clean"]["delta1"] > figures["none"]["delta1"] + 10
    assert figures["clean"]["AbsRel"] < figures["none"]["AbsRel"]
    assert (
        rows["depth"].comparison.deltas["AbsRel"].value < 0 < rows["depth"].comparison.deltas["delta1"].value
    )
    counted = sum(int(((p.depth > 0) & (p.depth < 80)).sum()) for p in photos)
    assert sum(report.conditions["bright"].amounts.values()) == counted
    picture = report.conditions["bright"].pictures[0]
    assert [panel.title for panel in picture.panels] == ["true distances", "none", "depth"]

    paths = write_report(report, tmp_path)
    page, stored = paths["html"].read_text(), json.loads(paths["json"].read_text())
    assert "AbsRel % (less is better)" in page and "RMSE m (less is better)" in to_markdown(report)
    assert "AbsRel % (less is better) gained" not in page  # charts show figures of which more is better
    assert all(f"{name}</span>" in page for name in band_names(80))
    assert "depth_estimator_ms" in stored["conditions"]["bright"]["arms"]["none"]
    again = measure_gain(
        lambda images: pytest.fail("cached"), None, arms, {"bright": Condition(photos=photos, effect=brighter)},
        resize_to=16, resamples=20, task=DepthTask(80), progress=False, pictures=False, cache=tmp_path / "cache",
    )  # fmt: skip
    cached = again.conditions["bright"].arms["depth"].comparison
    assert (
        cached.figures == rows["depth"].comparison.figures
        and cached.deltas == rows["depth"].comparison.deltas
    )


def test_figures_kept_for_another_range_are_not_taken(tmp_path):
    """At 12 m and 60 m: what is kept for 80 m counts both, for 40 m the near half alone."""
    truth = np.repeat(np.array([[12, 60]], np.float32), 8, 0)
    photos = [Sample(image=np.zeros((8, 2, 3), np.uint8), depth=truth, name="a.png")]
    for farthest, delta1 in ((80, 50), (40, 100)):
        report = measure_gain(
            lambda images: [np.full_like(truth, 12)], None, {"none": lambda image: image},
            {"clean": Condition(photos=photos)}, resize_to=8, resamples=2, task=DepthTask(farthest),
            progress=False, cache=tmp_path,
        )  # fmt: skip
        assert report.conditions["clean"].arms["none"].comparison.figures["delta1"].value == delta1


def test_colours_go_from_near_to_far_and_stand_in_the_legend():
    near, far = depth_colours(np.array([[0.02, 1.0]]))[0].astype(int)
    assert near[0] > near[2] + 50 and far[2] > far[0] + 50  # red, blue
    shown = legend("depth", band_names(80))
    assert [text for _, _, text in shown[:-1]] == list(band_names(80)) and "not counted" in shown[-1][2]
    assert len({colour for colour, _, _ in shown}) == 5 and [c for c, _, _ in shown[:-1]] == band_colours()


def test_what_cannot_be_is_told():
    answer, truth = street()
    with pytest.raises(ValueError, match="no depth to measure by"):
        DepthTask().truth(Sample(image=np.zeros((1, 1, 3), np.uint8), name="x"))
    with pytest.raises(ValueError, match=r"answer is \(24, 31\), truth is \(24, 32\)"):
        depth_figures(answer[:, :-1], truth, 80)
    answer[3, 4] = np.nan
    with pytest.raises(ValueError, match="1 of 768 distances are not finite"):
        depth_figures(answer, truth, 80)
