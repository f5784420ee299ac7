"""The command `tools/weather_distance.py`, end to end on small photos made here."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def tool():
    path = Path(__file__).resolve().parents[2] / "tools" / "weather_distance.py"
    spec = importlib.util.spec_from_file_location("tools_weather_distance", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folders(tmp_path):
    """Eight photos of a dull veil as the real ones, five clean ones of which four have a label map."""
    rng = np.random.default_rng(0)

    def photo(path, veil):
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.uniform(0, 255, (6, 8, 3))
        image = cv2.resize(coarse, (96, 72), interpolation=cv2.INTER_CUBIC) + rng.normal(0, 6, (72, 96, 3))
        image = (1 - veil) * image + veil * rng.uniform(140, 200)
        cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))

    for n in range(8):
        photo(tmp_path / "real/fog" / f"{n}.jpg", 0.7)
    for n in range(5):
        photo(tmp_path / "camvid/train" / f"{n}.png", 0.0)
        if n:
            labels = np.full((72, 96), 3, np.uint8)
            labels[:30] = 0
            (tmp_path / "camvid/trainannot").mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / "camvid/trainannot" / f"{n}.png"), labels)
    return tmp_path


@pytest.fixture
def few(tool, monkeypatch):
    """One mixture is enough here."""
    monkeypatch.setattr(tool, "PAIRS", {**tool.PAIRS, "fog": ("haze",)})


def arguments(folders, *more):
    return ["--real", str(folders / "real"), "--camvid", str(folders / "camvid"), "--kinds", "fog", *more]


def darker(image, severity, corruption_name):
    """Stands for the package: draws from numpy's global state as it does."""
    assert image.dtype == np.uint8 and corruption_name == "fog"
    return np.uint8(np.clip(image * (1 - 0.15 * severity) + np.random.normal(0, 2, image.shape), 0, 255))


@pytest.mark.usefixtures("few")
def test_tables_and_json_come_out_and_follow_the_seed(tool, folders, monkeypatch, capsys):
    monkeypatch.setattr(tool, "package", lambda: darker)
    texts = {}
    for run, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        np.random.seed(len(texts))  # whatever state came before
        tool.main(arguments(folders, "--seed", seed, "--out", str(folders / run)))
        texts[run] = (
            (folders / run / "distance.json").read_text(),
            (folders / run / "distance.md").read_text(),
        )
    assert texts["a"] == texts["b"] and texts["a"][0] != texts["c"][0]
    assert texts["c"][1] in capsys.readouterr().out
    report = json.loads(texts["a"][0])
    assert (report["seed"], report["clean_photos"], report["with_label_map"]) == (1, 5, 4)
    names = [row["set"] for row in report["rows"]]
    assert names == ["real, half against half", "clean photos", "imagecorruptions fog", "haze"]
    rows = {row["set"]: row for row in report["rows"]}
    assert rows["haze"]["photos"] == 5 and rows["haze"]["each"].keys() == set(tool.st.NAMES)
    for row in report["rows"]:
        assert 0 <= row["low"] <= row["estimate"] <= row["high"]
    assert rows["haze"]["wasserstein"] < rows["clean photos"]["wasserstein"], "the real ones are veiled"
    (difference,) = report["differences"]
    assert (difference["ours"], difference["theirs"]) == ("haze", "imagecorruptions fog")
    wanted = rows["haze"]["estimate"] - rows["imagecorruptions fog"]["estimate"]
    assert difference["estimate"] == pytest.approx(wanted, abs=0.1), "same photos, other halves"
    assert f"| fog | haze | imagecorruptions fog | {difference['estimate']:+.3f} [" in texts["a"][1]


@pytest.mark.usefixtures("few")
def test_a_package_that_is_not_installed_is_named_in_its_row(tool, folders, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)  # import raises ImportError
    tool.main(arguments(folders, "--out", str(folders / "out")))
    printed = capsys.readouterr().out
    assert "| fog | imagecorruptions fog | – | not measured: imagecorruptions is not installed" in printed
    report = json.loads((folders / "out/distance.json").read_text())
    assert report["differences"] == [] and "paired" not in printed
    assert [row["set"] for row in report["rows"] if "missing" in row] == ["imagecorruptions fog"]


def test_bad_folders_end_in_one_line(tool, folders):
    (folders / "real/rain").mkdir()
    (folders / "real/snow").mkdir()
    (folders / "real/snow/1.jpg").write_text("no photo")
    for change, words in (
        (["--real", str(folders / "nowhere")], "no photos"),
        (["--kinds", "rain"], f"no photos .* in {folders / 'real/rain'}"),
        (["--camvid", str(folders / "nowhere")], "no photos"),
    ):
        with pytest.raises(SystemExit, match=words) as stop:
            tool.main(arguments(folders, *change))
        assert str(stop.value).startswith("weather_distance: ") and "\n" not in str(stop.value)
    with pytest.raises(SystemExit, match="pass --camvid, --coco or both"):
        tool.main(["--real", str(folders / "real"), "--kinds", "fog"])
    with pytest.raises(ValueError, match=r"1\.jpg is not a readable photo"):
        tool.read(folders / "real/snow/1.jpg")


def test_spread_takes_photos_evenly(tool):
    assert tool.spread(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert tool.spread(list(range(3)), 5) == [0, 1, 2]
