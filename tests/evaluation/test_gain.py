"""The measurement, with a detector that sees saturated rectangles: every figure is known beforehand."""

import importlib.util
import json
import re
import xml.dom.minidom
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
import torch

from unirestore.evaluation import Condition, build_arms, measure_gain, restorer_arm, write_report
from unirestore.evaluation.arms import FoldedArm
from unirestore.evaluation.bootstrap import Interval
from unirestore.evaluation.chart import axis_range, bars, ticks
from unirestore.evaluation.gain import degrade, photo_seed, resize_long_side
from unirestore.evaluation.report import to_json, to_markdown
from unirestore.evaluation.tasks import DetectionTask

CLASSES = ("car", "bus")
COLOURS = np.array([[230, 40, 40], [40, 40, 230]])


@dataclass
class Record:
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    name: str
    depth: np.ndarray | None = None
    label_map: np.ndarray | None = None
    crowd_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    crowd_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, int))


class Blocks(list):
    """Grey photos of 96x64 with red 'cars' and blue 'buses'."""

    classes = CLASSES

    def __init__(self, count=8):
        rng = np.random.default_rng(0)
        for index in range(count):
            image = np.full((64, 96, 3), 110, np.uint8)
            boxes, labels = [], rng.integers(0, 2, 3)
            for slot, label in enumerate(labels):
                x, y = 4 + 32 * slot, int(rng.integers(4, 30))
                boxes.append([x, y, x + 20, y + 24])
                image[y : y + 24, x : x + 20] = COLOURS[label]
            self.append(Record(image, np.array(boxes, float), labels, f"block-{index}.png"))


def predict(images):
    """A 'detector': connected regions whose red and blue differ by more than 60; score by that difference."""
    results = []
    for image in images:
        difference = image[..., 0].astype(int) - image[..., 2]
        boxes, scores, labels = [], [], []
        for label, mask in enumerate((difference > 60, difference < -60)):
            count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
            for x, y, w, h, _ in stats[1:count]:
                boxes.append([x, y, x + w, y + h])
                scores.append(np.abs(difference[y : y + h, x : x + w]).mean() / 255)
                labels.append(label)
        results.append((np.array(boxes, float).reshape(-1, 4), np.array(scores), np.array(labels, dtype=int)))
    return results


def fog(image, *, seed, depth=None, label_map=None):
    """Hides two photos of three: contrast down to a fifth, or to a half where the seed says so."""
    keep = 0.5 if seed % 3 == 0 else 0.2
    return np.rint(image * keep + 200 * (1 - keep)).astype(np.uint8)


def stretch(image):
    """Undoes the heavier fog, badly rounded."""
    return np.clip((image.astype(float) - 160) * 5, 0, 255).astype(np.uint8)


ARMS = {"none": lambda image: image, "stretch": stretch}


def measured(**options):
    settings = {"resize_to": None, "resamples": 60, "progress": False} | options
    conditions = settings.pop("conditions", {"fog": fog, "clean": None})
    arms = settings.pop("arms", ARMS)
    return measure_gain(
        settings.pop("predict", predict), settings.pop("eval_set", Blocks()), arms, conditions, **settings
    )


@pytest.fixture(scope="module")
def report():
    return measured()


def test_figures_are_those_known_beforehand(report):
    arms = report.conditions["fog"].arms
    hidden = [photo_seed(0, i) % 3 != 0 for i in range(8)]
    assert list(arms) == ["clean", "none", "stretch"] and 0 < sum(hidden) < 8
    figures = {arm: row.comparison.figures["agnostic"].value for arm, row in arms.items()}
    assert figures["clean"] == pytest.approx(100)
    seen = 1 - sum(hidden) / 8  # all that is seen is right: precision 1 up to this recall
    assert figures["none"] == pytest.approx(100 * (np.floor(100 * seen + 1e-9) + 1) / 101, abs=1e-6)
    assert figures["stretch"] > figures["none"]
    delta = arms["stretch"].comparison.deltas["agnostic"]
    assert delta.value == pytest.approx(figures["stretch"] - figures["none"]) and delta.low <= delta.value
    gap = arms["stretch"].comparison.gap_closed["agnostic"].value
    assert gap == pytest.approx(delta.value / (100 - figures["none"]))


def test_a_condition_without_effect_has_no_ceiling(report):
    clean = report.conditions["clean"]
    assert list(clean.arms) == ["none", "stretch"] and clean.effect is None
    row = clean.arms["none"]
    assert row.comparison.figures["mAP"].value == pytest.approx(100) and row.comparison.gap_closed == {}
    assert row.psnr is None


def test_quality_and_times_are_measured(report):
    arms = report.conditions["fog"].arms
    assert arms["clean"].psnr is None
    assert 0 < arms["none"].psnr < arms["stretch"].psnr and arms["none"].ssim < 1
    assert arms["none"].network_ms > 0 and arms["stretch"].restorer_ms > 0
    assert report.conditions["fog"].amounts["car"] + report.conditions["fog"].amounts["bus"] == 24


def test_boxes_come_back_to_the_pixels_of_the_photo():
    double = measured(resize_to=192, conditions={"clean": None}, arms={"none": ARMS["none"]})
    assert double.conditions["clean"].arms["none"].comparison.figures["AP50"].value == pytest.approx(100)


def test_crowds_are_ignored():
    photos = Blocks(3)
    for record in photos:  # the last box of each becomes a crowd
        record.crowd_boxes, record.crowd_labels = record.boxes[2:], record.labels[2:]
        record.boxes, record.labels = record.boxes[:2], record.labels[:2]
    truth = DetectionTask(CLASSES).truth(photos[0])
    assert truth.crowd.tolist() == [False, False, True]
    result = measured(eval_set=photos, conditions={"clean": None}, arms={"none": ARMS["none"]})
    assert result.conditions["clean"].arms["none"].comparison.figures["agnostic"].value == pytest.approx(100)
    assert sum(result.conditions["clean"].amounts.values()) == 6


def test_equal_seeds_give_equal_reports_and_others_do_not(report):
    def figures(r):
        return to_json(r)["conditions"]["fog"]["arms"]["none"]["figures"]

    assert figures(report) == figures(measured())
    assert figures(report) != figures(measured(seed=5))


def test_cache_saves_the_detector_and_knows_what_it_holds(tmp_path):
    calls = []

    def counting(images):
        calls.append(len(images))
        return predict(images)

    first = measured(predict=counting, cache=tmp_path, cache_key="a")
    assert len(calls) == 8 * 5  # none and stretch twice, the clean arm once
    again = measured(predict=counting, cache=tmp_path, cache_key="a")
    assert len(calls) == 40
    assert to_json(first) == to_json(again)
    measured(predict=counting, cache=tmp_path, cache_key="b", conditions={"clean": None})
    assert len(calls) == 56
    (tmp_path / "fog__none.json").write_text('{"key": ')  # cut short
    measured(predict=counting, cache=tmp_path, cache_key="a", conditions={"fog": fog})
    assert len(calls) == 64


def test_clean_photos_are_detected_once_for_all_conditions():
    calls = []

    def counting(images):
        calls.append(1)
        return predict(images)

    measured(predict=counting, conditions={"fog": fog, "more fog": fog}, pictures=False)
    assert len(calls) == 8 * (3 + 2)


def test_conditions_with_their_own_photos_and_drawn_effects():
    class Mixture:
        def draw(self, seed):
            return lambda image, *, seed, depth, label_map: np.minimum(image, seed % 200).astype(np.uint8)

    record = Blocks(1)[0]
    assert degrade(record, Mixture(), 70).max() == 70
    own = Condition(photos=Blocks(2))
    result = measured(eval_set=None, conditions={"own": own}, limit=1, classes=CLASSES)
    assert result.conditions["own"].photos == 1


def test_pairs_of_ones_own_are_their_own_condition(report):
    """Degraded twins that lie beside the clean photos give the figures of the same weather put on here."""

    class Pairs(Blocks):
        degraded = "folder"

    pairs = Pairs()
    for index, record in enumerate(pairs):
        record.degraded = fog(record.image, seed=photo_seed(0, index))
    found = measured(
        conditions={"pairs": Condition(photos=pairs), "on top": Condition(photos=pairs, effect=fog)}
    )
    wanted = report.conditions["fog"].arms
    for name in ("pairs", "on top"):
        arms = found.conditions[name].arms
        assert list(arms) == ["clean", "none", "stretch"]
        for arm, row in arms.items():
            assert row.comparison.figures["agnostic"] == wanted[arm].comparison.figures["agnostic"]
            assert row.psnr == wanted[arm].psnr
    assert found.conditions["pairs"].effect == {"type": "photos of the set, beside their clean twins"}


def test_pictures_are_the_photos_with_most_and_least_gain(report):
    best, median, worst = report.conditions["fog"].pictures
    assert [p.rank for p in (best, median, worst)] == ["best", "median", "worst"]
    assert best.gain >= median.gain >= worst.gain and best.gain == pytest.approx(100)
    titles = [panel.title for panel in best.panels]
    assert titles == ["true boxes", "none", "stretch"]
    assert [panel.caption for panel in best.panels] == [
        "3", "0 found, 3 missed, 0 wrong", "3 found, 0 missed, 0 wrong"
    ]  # fmt: skip
    decoded = cv2.imdecode(np.frombuffer(best.panels[0].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (320, 480, 3)


def test_report_files(report, tmp_path):
    paths = write_report(report, tmp_path / "run", title="Gain & loss")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["report.html", "report.json", "report.md"]
    stored = json.loads(paths["json"].read_text())
    row = stored["conditions"]["fog"]["arms"]["stretch"]
    assert set(row["deltas"]["AP/car"]) == {"value", "low", "high"} and row["psnr"] > 0
    assert stored["protocol"]["seed"] == 0 and stored["versions"]["numpy"] == np.__version__
    text = paths["md"].read_text()
    delta = report.conditions["fog"].arms["stretch"].comparison.deltas["AP/car"]
    assert f"({delta.value:+.1f} [{delta.low:+.1f}, {delta.high:+.1f}])" in text
    assert "| `none` |" in text and "8 photos; boxes: " in text
    page = paths["html"].read_text()
    assert "Gain &amp; loss" in page and page.count("data:image/jpeg;base64,") == 18
    assert not re.search(r'(src|href)=["\']?https?:', page) and "<script" not in page
    for chart in re.findall(r"<svg.*?</svg>", page):
        xml.dom.minidom.parseString(chart)
    assert page.count("<svg") == 4


def test_figures_that_do_not_exist_are_null_in_json_and_a_dash_in_tables(tmp_path):
    photos = Blocks(2)
    for record in photos:
        record.boxes, record.labels = np.zeros((0, 4)), np.zeros(0, int)
    result = measured(eval_set=photos)
    stored = json.loads(write_report(result, tmp_path)["json"].read_text())
    assert stored["conditions"]["fog"]["arms"]["none"]["figures"]["mAP"]["value"] is None
    assert result.conditions["fog"].pictures == []
    assert "| `none` | – |" in to_markdown(result, title="none")


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="needs the arm 'none'"):
        measured(arms={"stretch": stretch})
    with pytest.raises(ValueError, match="class names"):
        measured(eval_set=list(Blocks(1)))
    with pytest.raises(ValueError, match="no photo"):
        measured(limit=0)
    with pytest.raises(ValueError, match="has no photos"):
        measured(eval_set=None)
    with pytest.raises(ValueError, match="at least one condition"):
        measured(conditions={})
    with pytest.raises(ValueError, match=r"'half' turned uint8 \(64, 96, 3\) into uint8 \(32, 96, 3\)"):
        measured(arms=ARMS | {"half": lambda image: image[::2]})


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((682, 960), (454, 640)), ((960, 613), (640, 408)), ((3, 2000), (1, 640)), ((50, 50), (640, 640))],
)
def test_resize_rounds_down_as_yolox_does(shape, expected):
    assert resize_long_side(np.zeros((*shape, 3), np.uint8), 640).shape == (*expected, 3)


# --- arms ---


class Model(torch.nn.Module):
    def __init__(self, shift=0.0, crop=0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(shift))
        self.crop = crop

    def forward(self, images, task="ir"):
        assert images.shape[1] == 3 and float(images.max()) <= 1
        restored = images + self.weight * (2 if task == "det" else 1)
        return restored[..., self.crop :]


def test_restorer_arm_rounds_to_8_bits():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(restorer_arm(Model(), "ir")(image), image)
    expected = np.clip(image.astype(int) + 20, 0, 255)
    np.testing.assert_array_equal(restorer_arm(Model(10 / 255), "det")(image), expected)


def test_restorer_arm_refuses_broken_answers():
    image = np.zeros((5, 7, 3), np.uint8)
    with pytest.raises(ValueError, match="not finite"):
        restorer_arm(Model(float("nan")), "ir")(image)
    with pytest.raises(ValueError, match=r"\(1, 3, 5, 7\) into \(1, 3, 5, 6\)"):
        restorer_arm(Model(crop=1), "ir")(image)


def test_arms_by_name():
    assert list(build_arms(["clean", "dcp", "det"], Model())) == ["none", "dcp", "det"]
    with pytest.raises(ValueError, match="needs a restorer"):
        build_arms(["det"])


# --- chart ---


def test_chart_axis():
    low, high = axis_range([Interval(2.0, -1.0, 5.0), Interval(float("nan"), float("nan"), float("nan"))])
    assert low < -1 and high > 5
    assert ticks(low, high) == [0, 2, 4]
    assert axis_range([]) == (0.0, 1.04)


def test_chart_places_bars_to_scale():
    svg = bars({"a": Interval(2.0, 1.0, 3.0), "b<": Interval(-4.0, -5.0, -3.0)}, low=-6, high=6, label="x")
    widths = [float(w) for w in re.findall(r'<rect[^>]*width="([\d.]+)"', svg)]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.01)
    assert "b&lt;" in svg


@pytest.mark.parametrize("name", ["a", "start, det", "student + CGCL"])
def test_chart_leaves_room_for_names_and_ranges(name):
    svg = bars({name: Interval(-23.3, -27.3, -19.3)}, low=-30, high=0, label="x")
    (end,) = map(float, re.findall(r'<text class="name" x="([\d.]+)"', svg))
    (start,) = map(float, re.findall(r'<text class="value" x="([\d.]+)"', svg))
    width = float(re.search(r'viewBox="0 0 (\d+)', svg).group(1))
    assert end >= 7 * len(name) and width - start >= 7 * len("-23.3 -27.3 to -19.3")  # 12.5 px letters


# --- real photos ---


@pytest.mark.slow
@pytest.mark.shared
def test_tool_measures_a_real_detector_on_real_fog(shared, repository, tmp_path):
    pytest.importorskip("mmdet")
    checkpoint = shared / "weights" / "yolox_nano_coco.pth"
    if not checkpoint.is_file():
        pytest.skip(f"no detector weights at {checkpoint}")
    spec = importlib.util.spec_from_file_location(
        "measure_gain_tool", repository / "tools" / "measure_gain.py"
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    common = ["mmdet::yolox/yolox_nano_8xb8-300e_coco.py", "--detector-checkpoint", str(checkpoint)]
    common += ["--images", str(shared / "data" / "dawn"), "--quiet", "--resamples", "50"]
    common += ["--ann", str(shared / "data" / "dawn" / "annotations" / "fog.json")]
    out = ["--out", str(tmp_path / "run"), "--json", str(tmp_path / "gain.json"), "--cache"]
    tool.main([*common, *out, "--arms", "none", "dcp", "--limit", "6", "--conditions", "as-is", "haze:4"])
    stored = json.loads((tmp_path / "gain.json").read_text())
    assert list(stored["conditions"]) == ["fog", "haze:4"]
    assert list(stored["conditions"]["haze:4"]["arms"]) == ["clean", "none", "dcp"]
    row = stored["conditions"]["fog"]["arms"]["none"]
    assert 15 < row["figures"]["AP/car"]["value"] < 80 and row["detector_ms"] > 0
    assert stored["conditions"]["fog"]["photos"] == 6
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
    assert len(list((tmp_path / "run" / "predictions").glob("*.json"))) == 4  # clean is fog's none
    with pytest.raises(SystemExit, match="unknown condition"):
        tool.main([*common, "--conditions", "fogg", "--limit", "1"])


def halves(photos):
    names = [record.name for record in photos]
    return {"A": frozenset(names[::2]), "B": frozenset(names[1::2])}


def test_a_folded_arm_restores_a_photo_by_what_was_fitted_on_the_other_fold():
    photos, seen = Blocks(6), {"A": [], "B": []}
    folds = halves(photos)

    def fitted_on(fold):
        def restore(image):
            seen[fold].append(image.copy())
            return image

        return restore

    arms = {"none": lambda x: x, "folded": FoldedArm(fitted={f: fitted_on(f) for f in "AB"}, folds=folds)}
    measure_gain(
        predict, photos, arms, {"real": None}, resize_to=None, resamples=10, pictures=False, progress=False
    )
    by_name = {record.name: record.image for record in photos}
    for fold, other in ("AB", "BA"):
        wanted = [by_name[name] for name in sorted(folds[other])]
        assert all(np.array_equal(a, b) for a, b in zip(seen[fold], wanted, strict=True))


def test_each_fold_is_reported_by_itself_and_equals_its_own_measurement():
    photos = Blocks(8)
    folds = halves(photos)
    arms = {"none": lambda x: x, "wash": lambda x: (0.7 * x + 60).astype(np.uint8)}
    options = dict(resize_to=None, resamples=20, pictures=False, progress=False, classes=CLASSES)
    whole = measure_gain(predict, None, arms, {"real": Condition(photos=photos, folds=folds)}, **options)
    assert list(whole.conditions) == ["real", "real, A", "real, B"]
    part = [record for record in photos if record.name in folds["B"]]
    alone = measure_gain(predict, None, arms, {"real": Condition(photos=part)}, **options)
    got, wanted = whole.conditions["real, B"], alone.conditions["real"]
    assert got.photos == 4 and got.amounts == wanted.amounts
    assert got.arms["wash"].comparison == wanted.arms["wash"].comparison


def test_folds_that_do_not_part_the_photos_are_refused():
    photos, arms = Blocks(4), {"none": lambda x: x}
    names = [record.name for record in photos]
    cases = {
        "in none": {"A": {names[0]}, "B": set(names[1:3])},
        "without a photo": {"A": set(names), "B": {"elsewhere.png"}},
        "share no photo": {"A": set(names), "B": {names[0]}},
        "has no photo": {"A": set(names), "B": set()},
    }
    for message, folds in cases.items():
        with pytest.raises(ValueError, match=message):
            measure_gain(
                predict, None, arms, {"real": Condition(photos=photos, folds=folds)}, classes=CLASSES
            )
    with pytest.raises(ValueError, match="two folds"):
        FoldedArm(fitted={"A": arms["none"]}, folds={"A": frozenset(names)})
