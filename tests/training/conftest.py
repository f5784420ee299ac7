"""A training run of seconds: the stages' own runtime config, six small scenes, a very small restorer."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmdet")

import unirestore.mm
import unirestore.training  # noqa: F401
from unirestore.data import SCENE_CLASSES
from unirestore.models import UniRestore

REPOSITORY = Path(__file__).resolve().parents[2]
CROP = 64
_run = itertools.count()

MICRO = dict(
    preset="tiny",
    block_out_channels=(8, 8, 8, 8),
    cfrm_depths=(0, 0, 1),
    candidates=("clahe",),
    candidate_weights=(0.5, 0.5),
    fusion_channels=8,
    fusion_low_channels=8,
    fusion_blocks=1,
    detail_channels=4,
    detail_blocks=1,
    prior_config=dict(
        channels=(8, 8),
        layers=1,
        groups=4,
        text_channels=None,
        controller=dict(
            channels=(8, 8),
            attention=(False, False),
            mid_attention=False,
            heads=4,
            layers=1,
            groups=4,
            out_channels=8,
        ),
    ),
)
"""The tiny preset with widths of eight: every part is there, a step takes a tenth of a second."""

DETECTOR = """
_base_ = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
model = dict(
    backbone=dict(widen_factor=0.125),
    neck=dict(in_channels=[32, 64, 128], out_channels=16),
    bbox_head=dict(num_classes=6, in_channels=16, feat_channels=16),
    data_preprocessor=dict(batch_augments=None),
)
"""


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> dict:
    """Six procedural scenes of 96 px as a set of the catalog; they are rendered when first asked for."""
    return dict(
        images="train/images",
        annotations="train/annotations.json",
        depth="train/depth",
        make=dict(count=6, seed=0, size=96),
        data_root=str(tmp_path_factory.mktemp("scenes")),
        classes=SCENE_CLASSES,
    )


@pytest.fixture(scope="session")
def narrow_yolox(tmp_path_factory) -> str:
    """Path of a config: YOLOX-nano at half its width, for the six classes of the scenes."""
    path = tmp_path_factory.mktemp("detector") / "narrow_yolox.py"
    path.write_text(DETECTOR)
    return str(path)


@pytest.fixture(scope="session")
def detector(narrow_yolox) -> dict:
    """Arguments of a `FrozenDetector` with random weights."""
    return dict(
        type="FrozenDetector", config=narrow_yolox, checkpoint=None, classes=SCENE_CLASSES, input_size=96
    )


@pytest.fixture(scope="session")
def detector_with_weights(detector, tmp_path_factory) -> dict:
    """The same with weights from a file, so that every build of it is equal."""
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(Config.fromfile(detector["config"]).model)
    model.init_weights()
    path = tmp_path_factory.mktemp("detector-weights") / "detector.pth"
    torch.save(model.state_dict(), path)
    return dict(detector, checkpoint=str(path))


@pytest.fixture(scope="session")
def micro() -> dict:
    """What `build_restorer` makes a very small restorer of."""
    return dict(MICRO)


@pytest.fixture(scope="session")
def stirred_folder(tmp_path_factory) -> str:
    """A saved very small restorer none of whose branches is silent, as after an earlier stage."""
    torch.manual_seed(0)
    model = UniRestore.build(**MICRO)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape)
    folder = tmp_path_factory.mktemp("weights") / "restorer"
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def stage_config(scenes):
    """The config of a short run: `configs/_base_/runtime.py`, small crops, no worker processes."""
    from mmengine.config import Config

    def build(model: dict, work_dir: Path, steps: int = 3, save_every: int = 100, **changes) -> Config:
        config = Config.fromfile(REPOSITORY / "configs" / "_base_" / "runtime.py")
        config.merge_from_dict(
            {
                "train_dataloader.num_workers": 0,
                "train_dataloader.persistent_workers": False,
                "train_dataloader.batch_size": 2,
                "train_dataloader.dataset.size": CROP,
                "train_dataloader.dataset.length": 1000,
                "train_cfg.max_iters": steps,
                "param_scheduler.0.total_steps": 20,
                "default_hooks.checkpoint.interval": save_every,
                "default_hooks.logger.interval": 1,
                "log_level": "WARNING",
            }
        )
        config.train_dataloader.dataset.sources = [dict(set=scenes)]
        config.model = model
        config.work_dir = str(work_dir)
        config.experiment_name = f"run{next(_run)}"
        config.merge_from_dict(changes)
        return config

    return build


@pytest.fixture(scope="session")
def run_stage(stage_config):
    """Trains a stage by mmengine's Runner; keywords as for `stage_config`. Returns the runner, trained."""
    from mmengine.runner import Runner

    def run(model: dict, work_dir: Path, **keys):
        runner = Runner.from_cfg(stage_config(model, work_dir, **keys))
        runner.train()
        return runner

    return run


@pytest.fixture
def values():
    """A copy of all parameters of a restorer or stage."""

    def copy(module: torch.nn.Module) -> dict[str, torch.Tensor]:
        module = getattr(module, "restorer", module)
        return {name: value.detach().clone() for name, value in module.named_parameters()}

    return copy


@pytest.fixture(scope="session")
def make_stage():
    """Builds a stage from its config; `restorer` may be given apart."""
    from mmengine.registry import MODELS

    def make(model: dict, restorer: dict | None = None):
        return MODELS.build(dict(model) if restorer is None else dict(model, restorer=dict(restorer)))

    return make


@pytest.fixture(scope="session")
def make_batch(scenes):
    """Builds a batch as the dataloader gives it to a stage."""
    from unirestore.data import collate
    from unirestore.training import build_pairs

    def make(count: int) -> dict:
        pairs = build_pairs(sources=[dict(set=scenes)], size=CROP, length=100, identity_probability=0.0)
        return collate([pairs[n] for n in range(count)])

    return make


@pytest.fixture(scope="session")
def killed():
    """Runs `work(*args, tell)` in a forked process and sends it SIGKILL `after` seconds after it first told
    something -> all that it told."""
    import multiprocessing

    def run(work, *args, after: float) -> list:
        receive, tell = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=work, args=(*args, tell), daemon=True)
        process.start()
        tell.close()
        try:
            assert receive.poll(120), "the process told nothing within 120 s"
            told = [receive.recv()]
            time.sleep(after)
        finally:
            process.kill()
            process.join(60)
        while receive.poll():
            try:
                told.append(receive.recv())
            except EOFError:
                break
        return told

    return run
