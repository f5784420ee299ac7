"""Mean IoU: against mmseg's own metric, resampled, and measured with a segmentor whose answers are known beforehand."""

import json
import re

import cv2
import numpy as np
import pytest

from unirestore.data import Sample
from unirestore.evaluation import SegmentationScore, SegmentationTask, confusion, measure_gain, write_report
from unirestore.evaluation.bootstrap import resample_counts
from unirestore.evaluation.segmentation_pictures import class_colours, mask_panel

NAMES = ("sky", "road", "car", "void")
CLASSES = ("road", "car", "sky")
GREYS = np.array([220, 90, 30, 150], np.uint8)  # of each name


def random_maps(count=6, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, classes, (count, 12, 16)).astype(np.uint8)
    answers = np.where(rng.random(truths.shape) < 0.6, truths, rng.integers(0, classes, truths.shape))
    truths[rng.random(truths.shape) < 0.1] = 255
    return answers, truths


def score_of(answers, truths, names):
    matrices = np.stack([confusion(a, t, len(names)) for a, t in zip(answers, truths, strict=True)])
    return SegmentationScore(names=names, matrices=matrices)


def test_figures_are_those_of_mmseg():
    torch = pytest.importorskip("torch")
    metric = pytest.importorskip("mmseg.evaluation").IoUMetric
    answers, truths = random_maps()
    truths[truths == 2] = 255  # a class that only the answers hold
    areas = [
        metric.intersect_and_union(torch.from_numpy(a), torch.from_numpy(t), 5, 255)
        for a, t in zip(answers, truths, strict=True)
    ]
    expected = metric.total_area_to_metrics(*(sum(area) for area in zip(*areas, strict=True)))
    figures = score_of(answers, truths, tuple("abcde")).figures()
    assert figures["aAcc"][0] == pytest.approx(100 * expected["aAcc"], rel=1e-5)
    assert figures["mIoU"][0] == pytest.approx(100 * np.nanmean(expected["IoU"]), rel=1e-5)
    assert figures["mAcc"][0] == pytest.approx(100 * np.nanmean(expected["Acc"]), rel=1e-5)
    for name, iou in zip("abcde", expected["IoU"], strict=True):
        assert figures[f"IoU/{name}"][0] == pytest.approx(100 * iou, rel=1e-5, nan_ok=True)
    assert figures["IoU/c"][0] == 0 and np.isnan(figures["IoU/e"][0])


def test_a_weight_is_so_many_copies_of_the_photo():
    answers, truths = random_maps(4)
    score = score_of(answers, truths, tuple("abcd"))
    counts = resample_counts(4, resamples=5, seed=1)
    drawn = score.figures(counts)
    for row, times in enumerate(counts.astype(int)):
        picked = np.repeat(np.arange(4), times)
        copied = score_of(answers[picked], truths[picked], tuple("abcd")).figures()
        for name, value in copied.items():
            assert drawn[name][row] == pytest.approx(value[0]), name
    own = [
        score_of(answers[i : i + 1], truths[i : i + 1], tuple("abcd")).figures()["mIoU"][0] for i in range(4)
    ]
    assert score.per_photo() == pytest.approx(own) and score.images == 4


def test_wrong_maps_are_refused_with_the_numbers():
    square = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"answer is \(4, 4\), truth is \(4, 5\)"):
        confusion(square, np.zeros((4, 5), np.uint8), 2)
    with pytest.raises(ValueError, match=r"the answer holds classes 2\.\.2; there are 2"):
        confusion(square + 2, square, 2)
    with pytest.raises(ValueError, match=r"the truth holds classes 3\.\.3"):
        confusion(square, square + 3, 2)
    with pytest.raises(ValueError, match=r"\(B, 1\)"):
        score_of([square], [square], ("a",)).figures(np.ones((2, 3)))


# --- the measurement ---


class Streets(list):
    """Photos of 64 x 48 whose grey level says the class of each pixel; the last label is void."""

    def __init__(self, count=6, label_maps=True):
        rng = np.random.default_rng(0)
        for index in range(count):
            label_map = rng.integers(0, 4, (6, 8)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
            known = dict(label_map=label_map, label_map_names=NAMES) if label_maps else {}
            self.append(Sample(image=np.stack([GREYS[label_map]] * 3, -1), name=f"{index}.png", **known))


def predict(images):
    """A 'segmentor': the class whose grey level is nearest."""
    own = [int(GREYS[NAMES.index(name)]) for name in CLASSES]
    return [np.abs(x[..., :1].astype(int) - np.array(own)).argmin(-1).astype(np.uint8) for x in images]


def dim(image, *, seed, depth=None, label_map=None, class_names=None):
    """Halves the light, so that sky becomes road and road becomes car."""
    return image // 2


def double(image):
    return np.clip(image.astype(int) * 2, 0, 255).astype(np.uint8)


ARMS = {"none": lambda image: image, "double": double}


def measured(photos=None, **options):
    settings = dict(resize_to=None, resamples=40, progress=False, task=SegmentationTask(CLASSES)) | options
    conditions = settings.pop("conditions", {"dusk": dim, "clean": None})
    photos = Streets() if photos is None else photos
    return measure_gain(settings.pop("predict", predict), photos, ARMS, conditions, **settings)


@pytest.fixture(scope="module")
def report():
    return measured()


def test_figures_are_those_known_beforehand(report):
    dusk = report.conditions["dusk"]
    rows = {arm: row.comparison for arm, row in dusk.arms.items()}
    assert rows["clean"].figures["mIoU"].value == 100 and rows["double"].figures["mIoU"].value == 100
    assert rows["none"].figures["IoU/sky"].value == 0 and rows["none"].figures["mIoU"].value < 40
    assert rows["double"].gap_closed["mIoU"].value == pytest.approx(1)
    delta = rows["double"].deltas["mIoU"]
    assert delta.value == pytest.approx(100 - rows["none"].figures["mIoU"].value) and delta.excludes_zero
    assert report.task == "segmentation" and report.classes == CLASSES
    pixels = sum((record.label_map < 3).sum() for record in Streets())
    assert sum(dusk.amounts.values()) == pixels  # void does not count


def test_a_smaller_answer_is_brought_to_the_photo():
    half = measured(resize_to=32, conditions={"clean": None})
    assert half.conditions["clean"].arms["none"].comparison.figures["mIoU"].value > 60


def test_pictures_show_masks(report):
    best, _, worst = report.conditions["dusk"].pictures
    assert best.arm == "double" and best.gain >= worst.gain > 0
    assert [panel.title for panel in best.panels] == ["true classes", "none", "double"]
    assert best.panels[2].caption == "mIoU 100.0"
    shown = [cv2.imdecode(np.frombuffer(p.jpeg, np.uint8), cv2.IMREAD_COLOR) for p in best.panels]
    assert {image.shape for image in shown} == {(360, 480, 3)}
    assert np.abs(shown[1].astype(int) - shown[2]).mean() > 10


def test_pixels_without_class_keep_the_picture():
    image = np.full((20, 48, 3), 77, np.uint8)
    panel = mask_panel("x", image, np.full((20, 48), 255, np.uint8), CLASSES, "")
    assert (
        np.abs(cv2.imdecode(np.frombuffer(panel.jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int) - 77).max() < 4
    )
    colours = class_colours((*CLASSES, "unheard of", "another"))
    assert len(set(colours.values())) == 5 and all(re.fullmatch("#[0-9a-f]{6}", c) for c in colours.values())


def test_report_files_speak_of_the_segmentor(report, tmp_path):
    paths = write_report(report, tmp_path)
    stored = json.loads(paths["json"].read_text())
    assert stored["task"] == "segmentation"
    dusk = stored["conditions"]["dusk"]
    assert set(dusk["pixels"]) == set(CLASSES) and dusk["arms"]["none"]["segmentor_ms"] > 0
    text, page = paths["md"].read_text(), paths["html"].read_text()
    assert "# What restoration gives the segmentor" in text and "mIoU, difference to `none`" in text
    assert "| arm | mIoU | mAcc | aAcc | Δ mIoU [95 %] | Δ mAcc [95 %] | Δ aAcc [95 %] | gap closed |" in text
    assert "pixels: " in text and "iw-AP" not in text
    assert "the segmentor gained most" in page and "<i class='solid'" in page and "own mIoU" in page
    assert "detector" not in page and page.count("<svg") == 4


def test_the_cache_keeps_confusion_matrices(tmp_path):
    calls = []

    def counting(images):
        calls.append(1)
        return predict(images)

    first = measured(predict=counting, cache=tmp_path, pictures=False)
    assert len(calls) == 6 * 5
    again = measured(predict=counting, cache=tmp_path, pictures=False)
    assert len(calls) == 30
    for name, condition in first.conditions.items():
        for arm, row in condition.arms.items():
            assert row.comparison == again.conditions[name].arms[arm].comparison


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match=r"0\.png has no label map"):
        measured(Streets(1, label_maps=False))
    with pytest.raises(ValueError, match="the task measures road, car, sky, but classes are boat"):
        measured(classes=("boat",))
