"""Counting and measuring: operations against a sum done by hand, memory against an allocation of known size."""

import torch
from torch import nn

from unirestore.evaluation.cost import high_water, matrix_product_rate, measure_times, operations


def test_operations_of_a_convolution_and_a_product():
    conv = nn.Conv2d(3, 5, 3, padding=1)
    x, a = torch.rand(2, 3, 7, 11), torch.rand(4, 6)
    assert operations(lambda: conv(x)) == 2 * (2 * 7 * 11) * 5 * (3 * 3 * 3) / 1e9
    assert operations(lambda: a @ a.t()) == 2 * 4 * 4 * 6 / 1e9


def test_high_water_sees_an_allocation_that_is_gone():
    before = high_water(forget=True)
    held = torch.ones(64 * 2**18)  # 64 MiB
    del held
    assert 55 < high_water() - before < 200


def test_each_call_is_timed_in_each_round_after_the_warm_up():
    made = []
    times = measure_times({"a": lambda: made.append("a"), "b": lambda: made.append("b")}, rounds=3, warmup=1)
    assert made == ["a", "b"] * 4
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}
    assert min(times["a"]) >= 0


def test_rate_of_a_matrix_product_is_a_rate():
    assert matrix_product_rate(64, rounds=1) > 0
