"""Loading a script of `benchmarks/` as a module, and leaving threads as they were."""

import importlib.util
from pathlib import Path

import cv2
import pytest
import torch


@pytest.fixture(scope="module")
def load_benchmark():
    """A function of a script's name that gives its module."""
    threads = torch.get_num_threads(), cv2.getNumThreads()

    def load(name):
        path = Path(__file__).resolve().parents[2] / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
    torch.set_flush_denormal(False)
