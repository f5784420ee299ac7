"""The benchmark of the GPU says why it does nothing where there is none. No test asserts a time."""

import json

import pytest
import torch


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("gpu_speed")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(benchmark, capsys):
    assert benchmark.main([]) == {}
    assert "finds no CUDA GPU" in capsys.readouterr().out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_every_arm_is_measured(benchmark, tmp_path):
    out = tmp_path / "gpu.json"
    arms = ["float32", "bfloat16"]
    figures = benchmark.main(
        ["--preset", "tiny", "--size", "64x64", "--rounds", "2", "--json", str(out), "--arms", *arms]
    )
    assert set(figures) == set(arms) == set(json.loads(out.read_text())["arms"])


@pytest.mark.parametrize("bad", [["--size", "64"], ["--size", "0x8"], ["--rounds", "0"], ["--arms", "int8"]])
def test_bad_arguments_are_told(benchmark, bad, capsys):
    with pytest.raises(SystemExit):
        benchmark.parse(bad)
    assert bad[0] in capsys.readouterr().err
