"""Average precision against pycocotools, on random sets with crowds, odd areas, ties and missing classes."""

import contextlib
import io

import numpy as np
import pytest

from unirestore.evaluation.bootstrap import Interval, compare, resample_counts
from unirestore.evaluation.detection import IOU_THRESHOLDS, Truth, box_iou, match
from unirestore.evaluation.metrics import DetectionScore

CLASSES = 4


def random_set(seed, images=25, ties=False, crowds=True):
    """Boxes of whole numbers, exact as xywh and xyxy; detections jittered around the truth."""
    rng = np.random.default_rng(seed)
    truths, predictions = [], []
    for _ in range(images):
        count = rng.integers(0, 9)
        low = rng.integers(0, 150, (count, 2))
        boxes = np.concatenate([low, low + rng.integers(2, 120, (count, 2))], axis=1).astype(float)
        labels = rng.integers(0, CLASSES - 1, count)  # the last class has no boxes, only detections
        crowd = rng.random(count) < (0.15 if crowds else 0)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * rng.uniform(0.5, 1, count)
        truths.append(Truth(boxes=boxes, labels=labels, crowd=crowd, area=area))
        noise = rng.integers(-6, 7, (3 * count, 4)) * (rng.random((3 * count, 1)) < 0.8)
        found = np.repeat(boxes, 3, axis=0) + noise
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        found_labels = np.where(
            rng.random(3 * count) < 0.8, np.repeat(labels, 3), rng.integers(0, CLASSES, 3 * count)
        )
        extra = rng.integers(0, 6)
        low = rng.integers(0, 150, (extra, 2))
        found = np.concatenate([found, np.concatenate([low, low + rng.integers(2, 120, (extra, 2))], axis=1)])
        found_labels = np.concatenate([found_labels, rng.integers(0, CLASSES, extra)])
        scores = rng.random(len(found))
        predictions.append((found, np.round(scores, 1) if ties else scores, found_labels))
    return predictions, truths


def pycoco_precision(predictions, truths, *, use_cats=True, max_detections=100, area=None, counts=None):
    """`COCOeval`'s precision -> AP `(C, T)` with nan for an absent class; photos copied `counts` times."""
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    copies = np.repeat(np.arange(len(truths)), 1 if counts is None else counts)
    images, annotations, results = [], [], []
    for image_id, index in enumerate(copies, start=1):
        images.append({"id": image_id, "width": 400, "height": 400})
        truth = truths[index]
        for box, label, crowd, size in zip(truth.boxes, truth.labels, truth.crowd, truth.area, strict=True):
            xywh = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "category_id": int(label) + 1}
                | {"bbox": [float(v) for v in xywh], "area": float(size), "iscrowd": int(crowd)}
            )
        for box, score, label in zip(*predictions[index], strict=True):
            xywh = [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
            results.append(
                {"image_id": image_id, "category_id": int(label) + 1, "bbox": xywh, "score": float(score)}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth_set = COCO()
        truth_set.dataset = {
            "info": {},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": c + 1, "name": str(c)} for c in range(CLASSES)],
        }
        truth_set.createIndex()
        evaluation = COCOeval(truth_set, truth_set.loadRes(results), "bbox")
        evaluation.params.maxDets = [max_detections]
        evaluation.params.useCats = int(use_cats)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [area or [0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]  # (T, R, C)
    return np.where(precision > -1, precision, np.nan).mean(axis=1).T


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_equals_pycocotools(seed, ties):
    predictions, truths = random_set(seed, ties=ties)
    ours = match(predictions, truths, num_classes=CLASSES).average_precision()[0]
    theirs = pycoco_precision(predictions, truths)
    assert np.isnan(ours[-1]).all() and 0.05 < np.nanmean(ours) < 0.95
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", [{"area": [0, 32**2]}, {"area": [32**2, 96**2]}, {"max_detections": 2}])
def test_equals_pycocotools_with_area_range_and_few_detections(options):
    for seed in range(4):
        predictions, truths = random_set(seed)
        ours = match(predictions, truths, num_classes=CLASSES, **options).average_precision()[0]
        np.testing.assert_allclose(ours, pycoco_precision(predictions, truths, **options), rtol=0, atol=1e-9)


def test_class_agnostic_equals_pycocotools():
    for seed in range(4):
        predictions, truths = random_set(seed, ties=seed % 2 == 1)
        ours = match(predictions, truths, num_classes=CLASSES, class_agnostic=True).average_precision()[0]
        np.testing.assert_allclose(
            ours, pycoco_precision(predictions, truths, use_cats=False), rtol=0, atol=1e-9
        )


def test_weights_equal_copies_of_the_photos():
    predictions, truths = random_set(3, images=15)
    counts = resample_counts(15, resamples=5, seed=1)
    ours = match(predictions, truths, num_classes=CLASSES).average_precision(counts)
    for row, count in zip(ours, counts, strict=True):
        theirs = pycoco_precision(predictions, truths, counts=count.astype(int))
        np.testing.assert_allclose(row, theirs, rtol=0, atol=1e-9)


def test_long_list_is_cut_into_chunks_without_a_trace(monkeypatch):
    predictions, truths = random_set(5)
    counts = resample_counts(25, resamples=30)
    matches = match(predictions, truths, num_classes=CLASSES)
    whole = matches.average_precision(counts)
    monkeypatch.setattr("unirestore.evaluation.detection.CELLS", 500)
    np.testing.assert_array_equal(whole, matches.average_precision(counts))
    rows = np.concatenate([matches.average_precision(row[None]) for row in counts])
    np.testing.assert_array_equal(whole, rows)


def test_known_value_by_hand():
    # two boxes, found at scores 0.9 and 0.3 with a false one at 0.6: precision 1 up to recall 0.5, then 2/3
    boxes = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], float)
    found = np.array([[0, 0, 10, 10], [100, 100, 120, 120], [20, 20, 40, 40]], float)
    matches = match(
        [(found, np.array([0.9, 0.6, 0.3]), np.zeros(3, int))],
        [Truth(boxes=boxes, labels=np.zeros(2, int))],
        num_classes=1,
    )
    expected = (51 * 1 + 50 * 2 / 3) / 101
    np.testing.assert_allclose(matches.average_precision()[0, 0], expected, atol=1e-12)


def test_nothing_found_is_zero_and_nothing_to_find_is_nan():
    empty = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    truths = [Truth(boxes=np.array([[0, 0, 5, 5.0]]), labels=np.array([1]))]
    table = match([empty], truths, num_classes=2).average_precision()[0]
    assert np.isnan(table[0]).all() and (table[1] == 0).all()


def test_box_iou_values():
    boxes = np.array([[0, 0, 2, 2], [0, 0, 0, 0]], float)
    others = np.array([[1, 0, 3, 2], [0, 0, 4, 4]], float)
    np.testing.assert_allclose(box_iou(boxes, others), [[1 / 3, 1 / 4], [0, 0]])
    np.testing.assert_allclose(box_iou(boxes, others, np.array([False, True]))[0], [1 / 3, 1])


def test_figures_follow_from_the_class_table():
    predictions, truths = random_set(2, crowds=False)
    score = DetectionScore.from_predictions(predictions, truths, "abcd")
    table = pycoco_precision(predictions, truths)
    figures = {k: v[0] for k, v in score.figures().items()}
    assert figures["mAP"] == pytest.approx(100 * np.nanmean(table))
    assert figures["AP50"] == pytest.approx(100 * np.nanmean(table[:, 0]))
    assert figures["AP75"] == pytest.approx(100 * np.nanmean(table[:, 5]))
    assert figures["AP/b"] == pytest.approx(100 * table[1].mean())
    assert np.isnan(figures["AP/d"])
    boxes = np.bincount(np.concatenate([t.labels for t in truths]), minlength=4)
    assert figures["iwAP"] == pytest.approx(100 * np.nansum(table.mean(axis=1) * boxes) / boxes.sum())
    agnostic = pycoco_precision(predictions, truths, use_cats=False)
    assert figures["agnostic"] == pytest.approx(100 * agnostic.mean())


def test_per_photo_is_the_figure_of_that_photo_alone():
    predictions, truths = random_set(4, crowds=False)
    values = DetectionScore.from_predictions(predictions, truths, "abcd").per_photo()
    for index in (0, 7, 11):
        alone = DetectionScore.from_predictions([predictions[index]], [truths[index]], "abcd")
        np.testing.assert_allclose(values[index], alone.figures()["iwAP"][0])


def test_bad_input_is_refused_with_its_numbers():
    box, score, label = np.zeros((1, 4)), np.ones(1), np.zeros(1, int)
    truth = Truth(boxes=box, labels=label)
    with pytest.raises(ValueError, match="1 for 2 photos"):
        match([(box, score, label)], [truth, truth], num_classes=1)
    with pytest.raises(ValueError, match="do not fit 1 classes"):
        match([(box, score, label + 3)], [truth], num_classes=1)
    with pytest.raises(ValueError, match="1 boxes, 2 scores"):
        match([(box, np.ones(2), label)], [truth], num_classes=1)
    with pytest.raises(ValueError, match="not finite"):
        match([(box * np.nan, score, label)], [truth], num_classes=1)
    with pytest.raises(ValueError, match="2 labels"):
        Truth(boxes=box, labels=np.zeros(2, int))
    with pytest.raises(ValueError, match=r"\(B, 1\)"):
        match([(box, score, label)], [truth], num_classes=1).average_precision(np.ones((1, 3)))


# --- bootstrap ---


def test_resamples_are_seeded_counts():
    counts = resample_counts(7, resamples=50, seed=3)
    assert counts.shape == (50, 7) and (counts.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(counts, resample_counts(7, resamples=50, seed=3))
    assert (counts != resample_counts(7, resamples=50, seed=4)).any()
    with pytest.raises(ValueError, match="0 and 10"):
        resample_counts(0, resamples=10)


def test_reference_against_itself_has_an_interval_of_zero_width():
    predictions, truths = random_set(6)
    score = DetectionScore.from_predictions(predictions, truths, "abcd")
    result = compare({"none": score, "same": score}, resamples=40)
    assert result["same"].deltas["mAP"] == Interval(0.0, 0.0, 0.0)
    assert not result["same"].deltas["mAP"].excludes_zero


def test_a_worse_arm_is_seen_and_the_gap_is_a_share():
    predictions, truths = random_set(7, images=60)
    worse = [(boxes[::2], scores[::2], labels[::2]) for boxes, scores, labels in predictions]
    perfect = [(t.boxes, np.ones(len(t.labels)), t.labels) for t in truths]
    scores = {
        name: DetectionScore.from_predictions(p, truths, "abcd")
        for name, p in {"none": worse, "arm": predictions, "clean": perfect}.items()
    }
    result = compare(scores, ceiling="clean", resamples=200)
    delta = result["arm"].deltas["iwAP"]
    assert delta.low < delta.value < delta.high and delta.low > 0 and delta.excludes_zero
    assert result["clean"].gap_closed["iwAP"].value == pytest.approx(1)
    assert result["none"].gap_closed["iwAP"].value == pytest.approx(0)
    share = delta.value / (result["clean"].deltas["iwAP"].value)
    assert result["arm"].gap_closed["iwAP"].value == pytest.approx(share)
    own = result["arm"].figures["iwAP"]
    assert own.low < own.value < own.high


def test_pairing_narrows_the_interval():
    predictions, truths = random_set(8, images=60)
    nearly = [(boxes, scores * 0.999, labels) for boxes, scores, labels in predictions]
    nearly[0] = tuple(part[:1] for part in nearly[0])
    scores = {
        name: DetectionScore.from_predictions(p, truths, "abcd")
        for name, p in {"none": predictions, "arm": nearly}.items()
    }
    result = compare(scores, resamples=200)["arm"]
    width = result.deltas["iwAP"].high - result.deltas["iwAP"].low
    assert width < 0.5 * (result.figures["iwAP"].high - result.figures["iwAP"].low)


def test_comparison_needs_the_arms_it_names():
    predictions, truths = random_set(1, images=4)
    score = DetectionScore.from_predictions(predictions, truths, "abcd")
    fewer = DetectionScore.from_predictions(predictions[:2], truths[:2], "abcd")
    with pytest.raises(ValueError, match="'none' is needed"):
        compare({"arm": score})
    with pytest.raises(ValueError, match="same photos"):
        compare({"none": score, "arm": fewer})


def test_thresholds_are_cocos():
    assert len(IOU_THRESHOLDS) == 10 and IOU_THRESHOLDS[0] == 0.5 and IOU_THRESHOLDS[-1] == 0.95
