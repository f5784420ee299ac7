"""The index over the reports of several runs."""

import json
import os
import re

import pytest

from unirestore.evaluation import write_index


def stored_report(folder, *, title="Fog & rain", arm="det", delta=4.25):
    folder.mkdir(parents=True)
    interval = {"value": delta, "low": delta - 1, "high": delta + 1}
    none = {"figures": {"mAP": {"value": 10.5}}, "deltas": {"mAP": {"value": 0}}}
    own = {
        "figures": {"mAP": {"value": 10.5 + delta}},
        "deltas": {"mAP": interval},
        "gap_closed": {"mAP": {"value": 0.4, "low": 0.3, "high": None}},
    }
    report = {
        "title": title,
        "key": {"figure": "mAP", "title": "mAP"},
        "arm": arm,
        "protocol": {"detector": "yolox_nano"},
        "conditions": {"fog": {"photos": 7, "arms": {"none": none, "det": own}}},
    }
    (folder / "report.json").write_text(json.dumps(report))
    return folder / "report.json"


def text_of(path):
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", path.read_text().partition("<body>")[2]))


def test_each_run_has_its_figures_and_a_link_the_newest_first(tmp_path):
    old = stored_report(tmp_path / "a run" / "deep")
    new = stored_report(tmp_path / "b", title="Newer", delta=-2.0)
    os.utime(old, (1e9, 1e9))
    os.utime(new, (2e9, 2e9))
    path = write_index(tmp_path)
    assert path == tmp_path / "index.html" and sorted(os.listdir(tmp_path)) == ["a run", "b", "index.html"]
    page = path.read_text()
    assert page.index("Newer") < page.index("Fog &amp; rain")
    assert "href='a%20run/deep/report.html'" in page and "href='b/report.html'" in page
    text = text_of(path)
    assert "2 measurements" in text and "yolox_nano" in text
    assert "fog 7 10.5 14.8 +4.2 [+3.2, +5.2] 40 % [30, –]" in text
    assert "10.5 8.5 -2.0 [-3.0, -1.0]" in text


def test_a_run_without_the_arm_shows_what_is_there(tmp_path):
    stored_report(tmp_path / "a", arm="seg")
    assert "mAP photos none seg gain gap closed fog 7 10.5 – – –" in text_of(write_index(tmp_path))


def test_a_run_of_the_photos_as_they_are_has_one_figure(tmp_path):
    stored_report(tmp_path / "a", arm="none")
    assert text_of(write_index(tmp_path)).endswith("mAP photos none fog 7 10.5 ")


@pytest.mark.parametrize("content", ["{", "[]", '{"conditions": {"fog": {}}}', "\x00"])
def test_a_file_that_is_no_report_is_named_and_the_rest_stays(tmp_path, content):
    stored_report(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "report.json").write_text(content)
    text = text_of(write_index(tmp_path))
    assert "+4.2" in text and "bad" in text and "cannot be read as a report" in text


def test_what_a_report_says_is_text(tmp_path):
    path = stored_report(tmp_path / "<b>", title="<b>", arm="<b>")
    report = json.loads(path.read_text())
    report["protocol"]["detector"] = report["key"]["title"] = report["conditions"]["fog"]["photos"] = "<b>"
    report["conditions"] = {"<b>": report["conditions"]["fog"]}
    path.write_text(json.dumps(report))
    body = write_index(tmp_path).read_text().partition("<body>")[2]
    assert "<b>" not in body and body.count("&lt;b&gt;") == 7
    path.write_text(json.dumps({**report, "title": 5, "arm": None}))
    assert "5" in text_of(write_index(tmp_path))


def test_nothing_to_list(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no report\.json below"):
        write_index(tmp_path / "nowhere")
