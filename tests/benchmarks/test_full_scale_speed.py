"""The benchmark runs, adds up, and says what it measured. No test asserts a time."""

import json

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("full_scale_speed")


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


def test_scaling_fits_lines_and_writes_them(load_benchmark, tmp_path, capsys):
    scaling = load_benchmark("scaling")
    fit = scaling.line([1, 2, 4], [5.0, 7.0, 12.0])  # by hand: 33/14, 18/7; furthest 5/14
    assert fit["slope"] == pytest.approx(33 / 14) and fit["offset"] == pytest.approx(2.5)
    assert fit["furthest"] == pytest.approx(
        max(abs(5 - 2.5 - 33 / 14), abs(7 - 2.5 - 33 / 7), abs(9.5 - 66 / 7)) / 12
    )
    assert scaling.sides(0.006) == (63, 94)
    out, plot = tmp_path / "scaling.json", tmp_path / "scaling.png"
    arguments = ["--restorer", "preset:tiny-fast", "--megapixels", "0.004", "0.03", "--batches", "1", "2"]
    arguments += ["--tile", "256", "--rounds", "1", "--threads", "1"]
    scaling.main([*arguments, "--json", str(out), "--plot", str(plot)])
    series = json.loads(out.read_text())["series"]
    assert [point["x"] for point in series["megapixels"]] == [0.004, 0.03]
    assert all(point["seconds"] > 0 for points in series.values() for point in points)
    assert "a line through them" in capsys.readouterr().out and plot.stat().st_size > 1000
