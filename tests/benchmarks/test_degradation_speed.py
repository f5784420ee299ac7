"""The table and the JSON of the speed benchmark come out and agree. No test asserts a time."""

import json

import pytest

from unirestore.degradations import REGISTRY


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("degradation_speed")


def test_table_and_json_say_the_same(benchmark, tmp_path, capsys):
    out = tmp_path / "speed.json"
    wanted = ["haze", "Rain, 120 drops", "Snow, known depth", "gaussian_blur"]
    records = benchmark.main(["--size", "32", "--rounds", "1", "--only", *wanted, "--json", str(out)])
    content = json.loads(out.read_text())
    assert content["rows"] == records and content["size"] == 32 and "numpy" in content["versions"]
    assert {row["effect"] for row in records} == {
        "Haze",
        "Rain, 120 drops",
        "Snow, known depth",
        "GaussianBlurC",
    }
    printed = capsys.readouterr().out
    for row in records:
        assert row["photos_per_second"]["ours"] > 0 and benchmark.line(row) in printed
        assert set(row["photos_per_second"]) <= set(benchmark.COLUMNS)
        assert set(row["failed"]) <= set(benchmark.PACKAGES)


def test_every_row_is_an_effect_and_every_note_belongs_to_a_row(benchmark):
    rows = {row[0]: row[1:] for row in benchmark.ROWS}
    kinds = {benchmark.CASES.get(name, (name,))[0] for name in rows}
    assert kinds <= set(REGISTRY) and set(benchmark.CASES) <= set(rows) and len(rows) == len(benchmark.ROWS)
    for name, package in benchmark.SIMPLER:
        assert rows[name][benchmark.PACKAGES.index(package)] is not None


def test_who_fails_is_reported_and_who_is_slow_is_asked_once(benchmark):
    asked = []
    calls = {"ours": lambda: asked.append("ours"), "broken": lambda: 1 / 0}
    best, failed = benchmark.race(calls, rounds=3)
    assert set(best) == {"ours"} and failed == {"broken": "ZeroDivisionError: division by zero"}
    assert len(asked) == 4, "a first call and three rounds"
    asked.clear()
    benchmark.race({"ours": calls["ours"]}, rounds=3, patience=-1.0)
    assert len(asked) == 1


def test_unknown_rows_and_sizes_are_refused(benchmark, capsys):
    for arguments, words in (
        (["--only", "hail"], "no such rows: ['hail']"),
        (["--size", "8"], "got 8 and 7"),
    ):
        with pytest.raises(SystemExit):
            benchmark.main(arguments)
        assert words in capsys.readouterr().err
