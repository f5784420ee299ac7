"""The benchmark of features mode runs and says what it measured. No test asserts a time."""

import json

import pytest

pytest.importorskip("mmdet", reason="the detector comes from mmdet: pip install -e '.[mm]'")


def test_table_and_json_say_the_same(load_benchmark, tmp_path, capsys):
    benchmark, out = load_benchmark("features_mode"), tmp_path / "features.json"
    benchmark.main(["--sizes", "64x96", "--threads", "1", "--rounds", "3", "--json", str(out)])
    (result,) = json.loads(out.read_text())["sizes"]
    assert (result["height"], result["width"]) == (64, 96) and set(result["ms"]) == set(benchmark.MODES)
    assert all(value > 0 for value in result["ms"].values())
    assert result["quartiles"][0] <= result["features_to_pictures"] <= result["quartiles"][1]
    assert f"| 64 x 96 | {result['ms']['detector']:.1f} |" in capsys.readouterr().out


def test_all_modes_give_the_same_maps(load_benchmark):
    benchmark = load_benchmark("features_mode")
    shapes = set()
    for file in benchmark.MODES.values():
        maps = benchmark.call_of(benchmark.CONFIGS / file, (64, 96))()
        shapes.add(tuple(tuple(x.shape) for level in maps for x in level))
    assert len(shapes) == 1 and (1, 6, 8, 12) in shapes.pop()
