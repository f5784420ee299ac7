"""The benchmark runs, adds up, and says what it measured. No test asserts a time."""

import importlib.util
import json
from pathlib import Path

import cv2
import pytest
import torch
from PIL import Image


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "full_scale_speed.py"
    spec = importlib.util.spec_from_file_location("full_scale_speed", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    threads = torch.get_num_threads(), cv2.getNumThreads()
    yield module
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
    torch.set_flush_denormal(False)


def test_table_json_and_plot(benchmark, tmp_path, capsys):
    out, plot = tmp_path / "speed.json", tmp_path / "speed.png"
    benchmark.main(
        [
            *("--preset", "tiny", "--sizes", "64x96", "--threads", "1", "--rounds", "2", "--no-memory"),
            *("--json", str(out), "--plot", str(plot)),
        ]
    )
    content = json.loads(out.read_text())
    (result,) = content["sizes"]
    stages = result["stages"]
    assert set(stages) == {*benchmark.STAGES, "whole"}
    assert stages["whole"]["gflop"] == pytest.approx(sum(stages[name]["gflop"] for name in benchmark.STAGES))
    for row in stages.values():
        low, high = row["ratio_range"]
        assert 0 < low <= row["ratio"] <= high
        assert row["share_of_matrix_product"]["plain"] == pytest.approx(
            row["gflop"] / row["seconds"]["plain"] / result["matrix_product_gflops"]
        )
    assert all(stages[name]["relative_difference"] < 1e-4 for name in benchmark.STAGES)
    printed = capsys.readouterr().out
    assert f"{stages['decode']['ratio']:.2f}" in printed and "rounds 2" in printed
    with Image.open(plot) as picture:
        assert len(set(picture.convert("RGB").getdata())) > 4  # the stages' colours are there


def test_memory_is_of_a_fresh_process(benchmark):
    args = benchmark.parse(["--preset", "tiny", "--threads", "1"])
    held = benchmark.measure_memory("accelerated", (64, 64), args)
    assert held["peak_mib"] >= held["loaded_mib"] > 50


@pytest.mark.parametrize(
    "bad", [["--sizes", "64"], ["--sizes", "0x8"], ["--rounds", "0"], ["--threads", "0"]]
)
def test_bad_arguments_are_told(benchmark, bad, capsys):
    with pytest.raises(SystemExit):
        benchmark.parse(bad)
    assert bad[0].lstrip("-") in capsys.readouterr().err
