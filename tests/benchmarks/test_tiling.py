"""The benchmark of tiling runs and its table says what its JSON says. No test asserts a time."""

import json

import pytest

from unirestore import tile_grid, tiling


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("tiling")


def test_quality_table(benchmark, tmp_path, capsys):
    out = tmp_path / "tiling.json"
    figures = benchmark.main(
        ["--tiles", "128", "--size", "130x200", "--threads", "1", "--json", str(out), "--task", "det"]
    )
    assert json.loads(out.read_text())["quality"] == figures["quality"]
    shared, alone = figures["quality"]
    assert (shared["statistics"], alone["statistics"]) == tiling.STATISTICS
    assert shared["psnr"] > 30 and shared["cost"] > 0
    assert f"| 128 | global | {shared['psnr']:.1f} |" in capsys.readouterr().out


def test_settings_are_compared(benchmark, capsys):
    options = ["--settings", "--tiles", "128", "--size", "66x180", "--threads", "1"]
    rows = {row["statistics"]: row["psnr"] for row in benchmark.main(options)["quality"]}
    assert len(rows) == 8 and rows["as they are"] >= rows["crops 1"] > 20
    assert tiling.Grid is tile_grid.Grid and "| tile | settings |" in capsys.readouterr().out


def test_memory_table(benchmark, capsys):
    figures = benchmark.main(["--tiles", "128", "--memory", "400x600", "--threads", "1"])
    (row,) = figures["memory"]
    assert 0 < row["loaded_mib"] < row["peak_mib"] and row["account_mib"] > 0
    assert f"| 128 | accelerated | {row['loaded_mib']:.0f} |" in capsys.readouterr().out


def test_random_weights_are_the_same_again(benchmark):
    first, again = (benchmark.load("preset:tiny-fast").state_dict() for _ in range(2))
    assert all((first[name] == again[name]).all() for name in first)
