"""Every config that ships is read: what it names must exist, so that a slip is found before an hour of training."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

from mmengine.config import Config
from mmengine.registry import DATASETS, HOOKS, MODELS

import unirestore.mm
import unirestore.training  # noqa: F401
from unirestore.data import eval_sets
from unirestore.degradations import MIXTURES
from unirestore.mm.measure import KEYS, TASKS
from unirestore.models.presets import WEIGHTS

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGS = sorted((REPOSITORY / "configs").glob("*.py"))


def strings(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string inside, with the dotted key that leads to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from strings(inner, f"{key}.{name}")
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from strings(inner, key)
    elif isinstance(value, str):
        yield key, value


@pytest.fixture(scope="module", params=CONFIGS, ids=[path.stem for path in CONFIGS])
def config(request, monkeypatch_module):
    monkeypatch_module.chdir(REPOSITORY)
    return request.param.stem, Config.fromfile(request.param)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_files_and_weights_that_a_config_names_are_there(config):
    _, content = config
    for key, text in strings(content._cfg_dict.to_dict()):
        if text.startswith(("configs/", "unirestore/")):
            assert (REPOSITORY / text).is_file(), f"{key} is {text}"
        elif key.endswith(".restorer.weights") and "/" not in text:
            assert text in WEIGHTS, f"{key} is {text}"


def test_stages_hooks_sets_and_weather_are_known(config):
    _, content = config
    if content.get("default_scope") == "mmengine":  # a training config of ours
        assert content.model.type in MODELS and content.train_dataloader.dataset.type in DATASETS
        assert all(hook["type"] in HOOKS for hook in content.custom_hooks)
    sets = eval_sets()
    for key, text in strings(content._cfg_dict.to_dict()):
        last = key.rpartition(".")[2]
        if last in ("set", "sources"):
            assert text in sets, f"{key} is {text}"
        elif last == "weather" or key.endswith(".weather.name"):
            assert text in MIXTURES, f"{key} is {text}"


def test_a_measurement_has_one_network_and_reads_what_its_own_run_writes(config):
    name, content = config
    measure = content.get("measure")
    if measure is None:
        return
    assert set(measure) <= set(KEYS) and measure.conditions and measure.title
    assert len([kind for kind in TASKS if measure.get(kind)]) == 1
    for key, text in strings(measure.to_dict()):
        if text.startswith("work_dirs/") and key.endswith(".checkpoint"):
            assert text.startswith(f"work_dirs/{name}/"), f"{key} is {text}"
