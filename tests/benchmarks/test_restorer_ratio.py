"""The benchmark runs, adds up, and says what it measured. No test asserts a time."""

import json

import pytest
import torch

pytest.importorskip("mmdet", reason="the detector comes from mmdet: pip install -e '.[mm]'")


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("restorer_ratio")


def test_tables_and_json_say_the_same_and_ratios_add_up(benchmark, tmp_path, capsys):
    out = tmp_path / "ratio.json"
    benchmark.main(["--sizes", "48x64", "--threads", "1", "--rounds", "3", "--no-memory", "--json", str(out)])
    content = json.loads(out.read_text())
    (result,) = content["sizes"]
    assert (result["height"], result["width"]) == (48, 64)
    assert set(result["ms"]) == {"detector", "detector_fused", *benchmark.STAGES, "restorer"}
    assert all(value > 0 for value in result["ms"].values())
    assert result["ratio"] == pytest.approx(result["ms"]["restorer"] / result["ms"]["detector"])
    assert result["ratio_quartiles"] == sorted(result["ratio_quartiles"])
    printed = capsys.readouterr().out
    assert f"**{result['ratio']:.2f}**" in printed and "rounds 3" in printed and "threads 1" in printed


def test_stages_together_are_the_forward(benchmark):
    """The last stage, fed by the others, gives what the model gives in one call."""
    from unirestore import UniRestore

    model, size = UniRestore.build("tiny").eval(), (50, 70)
    calls = benchmark.restorer_calls(model, size, "det")
    assert tuple(calls) == benchmark.STAGES
    with torch.inference_mode():
        whole = model(benchmark.picture(size), task="det")
        assert whole.shape == (1, 3, *size)
        torch.testing.assert_close(calls["decode"](), whole)
        assert calls["denoise"]().shape == calls["encode"]().latent.shape
        assert calls["candidates"]().shape == (1, len(model.config.candidates), 3, *size)


def test_untrained_preset_without_candidates_has_a_free_first_stage(benchmark):
    from unirestore import UniRestore

    model = UniRestore.build("tiny", candidates=(), candidate_weights=None).eval()
    assert benchmark.restorer_calls(model, (16, 16), "ir")["candidates"]() is None


@pytest.mark.slow
def test_memory_of_a_part_is_that_of_its_own_process(benchmark):
    args = benchmark.parse(["--sizes", "64x64", "--threads", "1"])
    ballast = bytearray(300 * 2**20)  # of the parent: must not be counted for the child
    ballast[::4096] = b"x" * len(ballast[::4096])
    memory = benchmark.measure_memory("encode", (64, 64), args)
    assert 0 < memory["loaded_mib"] <= memory["peak_mib"] < benchmark.high_water()


def test_bad_arguments_are_refused_with_what_to_do(benchmark, capsys):
    for arguments, message in ((["--sizes", "640"], "HEIGHTxWIDTH"), (["--rounds", "0"], "at least 1")):
        with pytest.raises(SystemExit):
            benchmark.parse(arguments)
        assert message in capsys.readouterr().err


def test_a_gate_is_measured_beside_the_restoration(benchmark, tmp_path, capsys):
    from unirestore import UniRestore

    UniRestore.build("tiny-fast", gate_channels=4).save_pretrained(tmp_path / "gated")
    (result,) = benchmark.main(
        ["--restorer", str(tmp_path / "gated"), "--sizes", "48x64", "--rounds", "1", "--no-memory"]
    )
    stages = sum(result["ms"][stage] for stage in benchmark.STAGES)
    assert result["ms"]["restorer"] == pytest.approx(stages) and result["ms"]["gate"] > 0
    share = 100 * result["ms"]["gate"] / stages
    assert f"The gate costs {share:.1f} % of a restoration." in capsys.readouterr().out
