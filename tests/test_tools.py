"""The commands: flags and what they refuse, a run from start to report, a kill, two processes."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmdet")

REPOSITORY = Path(__file__).resolve().parents[1]

CONFIG = """
_base_ = {runtime!r}
model = dict(
    type="RestorationStage",
    restorer=dict(
        preset="tiny",
        block_out_channels=(8, 8, 8, 8),
        cfrm_depths=(0, 0, 1),
        candidates=("clahe",),
        candidate_weights=(0.5, 0.5),
    ),
)
train_cfg = dict(max_iters=6)
param_scheduler = [
    dict(type="OneCycleLR", eta_max=1e-3, total_steps=6, pct_start=0.5, div_factor=10, by_epoch=False)
]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
log_level = "WARNING"
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(sources=[dict(set={scenes!r})], size=64, length=1000),
)
"""
DETECTOR = """
_base_ = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
model = dict(
    backbone=dict(widen_factor=0.125),
    neck=dict(in_channels=[32, 64, 128], out_channels=16),
    bbox_head=dict(num_classes=6, in_channels=16, feat_channels=16),
    data_preprocessor=dict(batch_augments=None),
)
"""


def load_tool(name: str):
    spec = importlib.util.spec_from_file_location(f"tools_{name}", REPOSITORY / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def train():
    yield load_tool("train")
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> dict:
    """Six procedural scenes, written."""
    from unirestore.data import SCENE_CLASSES, load_eval_set

    entry = dict(
        images="train/images",
        annotations="train/annotations.json",
        depth="train/depth",
        make=dict(count=6, seed=0, size=96),
        data_root=str(tmp_path_factory.mktemp("scenes")),
        classes=SCENE_CLASSES,
    )
    load_eval_set(entry)
    return entry


@pytest.fixture(scope="module")
def config(tmp_path_factory, scenes) -> str:
    """Path of a config that trains a very small restorer for six steps, saving each."""
    path = tmp_path_factory.mktemp("config") / "small.py"
    path.write_text(CONFIG.format(runtime=str(REPOSITORY / "configs/_base_/runtime.py"), scenes=scenes))
    return str(path)


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> dict:
    """Arguments of a very small random `FrozenDetector`."""
    from unirestore.data import SCENE_CLASSES

    path = tmp_path_factory.mktemp("detector") / "narrow_yolox.py"
    path.write_text(DETECTOR)
    return dict(config=str(path), checkpoint=None, classes=SCENE_CLASSES, input_size=96, score_thr=0.0)


@pytest.fixture(scope="module")
def restorer(tmp_path_factory) -> str:
    """A saved very small restorer."""
    from unirestore.models import UniRestore

    folder = tmp_path_factory.mktemp("weights") / "restorer"
    small = dict(block_out_channels=(8, 8, 8, 8), candidates=("clahe",), candidate_weights=(0.5, 0.5))
    UniRestore.build("tiny", **small).save_pretrained(folder)
    return str(folder)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess:
    """A command of the checkout, from its root."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env=dict(os.environ, OMP_NUM_THREADS="1", **environment),
        capture_output=True,
        text=True,
        timeout=500,
    )


# ------------------------------------------------------------------------------------------ flags of train.py


def test_flags_reach_the_config(train, config, tmp_path):
    args = train.parse_args(
        [
            config,
            "--work-dir",
            str(tmp_path),
            "--amp",
            "--cfg-options",
            "train_cfg.max_iters=3",
            "randomness.seed=7",
        ]
    )
    built = train.build_config(args)
    assert built.work_dir == str(tmp_path)
    assert built.train_cfg.max_iters == 3 and built.randomness.seed == 7
    assert built.optim_wrapper.type == "Bfloat16OptimWrapper"
    assert built.optim_wrapper.clip_grad.max_norm == 1.0  # the rest of the optimizer stays
    assert built.launcher == "none" and not built.get("resume")


def test_the_work_dir_is_named_after_the_config(train, config):
    assert Path(train.build_config(train.parse_args([config])).work_dir) == Path("work_dirs/small")


def test_a_missing_config_is_named_with_those_that_are_there(train, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(FileNotFoundError, match=r"no config at configs/absent\.py; .*configs/debug\.py"):
        train.build_config(train.parse_args(["configs/absent.py"]))


def test_an_unknown_flag_ends_with_the_usage(train, config, capsys):
    with pytest.raises(SystemExit):
        train.parse_args([config, "--epochs", "3"])
    assert "--cfg-options" in capsys.readouterr().err


def test_scaling_the_rate_needs_a_base(train, config):
    with pytest.raises(SystemExit, match="base_batch_size"):
        train.build_config(train.parse_args([config, "--auto-scale-lr"]))
    options = ["--cfg-options", "auto_scale_lr.base_batch_size=16"]
    assert train.build_config(train.parse_args([config, "--auto-scale-lr", *options])).auto_scale_lr.enable


def test_resuming_without_a_checkpoint_is_refused(train, config, tmp_path):
    for argument in ([], [str(tmp_path)], [str(tmp_path / "iter_1.pth")]):
        with pytest.raises(FileNotFoundError, match="nothing to resume from"):
            train.build_config(
                train.parse_args([config, "--work-dir", str(tmp_path / "run"), "--resume", *argument])
            )


def test_a_named_checkpoint_that_runs_code_is_refused_before_anything_is_built(train, config, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'exploded'}",)

    path = tmp_path / "iter_1.pth"
    torch.save({"state_dict": {}, "optimizer": {}, "meta": {"iter": 1}, "message_hub": Bomb()}, path)
    with pytest.raises(ValueError, match=r"iter_1\.pth"):
        train.main([config, "--work-dir", str(tmp_path), "--resume", str(path)])
    with pytest.raises(ValueError, match=r"iter_1\.pth"):
        train.main([config, "--work-dir", str(tmp_path / "run"), "--cfg-options", f"load_from={path}"])
    assert not (tmp_path / "exploded").exists()


def test_weights_alone_are_no_checkpoint_to_resume_from(train, config, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"has no state_dict, optimizer, meta, message_hub; .*load_from="):
        train.build_config(train.parse_args([config, "--resume", str(tmp_path / "weights.pth")]))


def test_a_missing_set_says_where_to_get_it(train, config, tmp_path):
    absent, sources = tmp_path / "absent.py", [dict(set="dawn_fog", data_root=str(tmp_path / "nothing"))]
    absent.write_text(f"_base_ = {config!r}\ntrain_dataloader = dict(dataset=dict(sources={sources!r}))\n")
    with pytest.raises(FileNotFoundError, match=r"data\.mendeley\.com"):
        train.main([str(absent), "--work-dir", str(tmp_path)])


# ---------------------------------------------------------------------------------------- a run, to the end


def test_train_then_measure(train, config, scenes, detector, tmp_path, monkeypatch, capsys):
    measured = tmp_path / "measured.py"
    conditions = dict(haze=dict(set=scenes, weather="haze"), clean=dict(set=scenes))
    options = dict(
        detector=detector, conditions=conditions, arms=["none", "ir"], size=96, limit=4, resamples=50
    )
    measured.write_text(f"_base_ = {config!r}\ntrain_cfg = dict(max_iters=2)\nmeasure = {options!r}\n")
    train.main([str(measured), "--work-dir", str(tmp_path / "run"), "--amp"])
    printed = capsys.readouterr().out
    assert "| `none` |" in printed and f"report: {tmp_path / 'run' / 'report.html'}" in printed
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert set(report["conditions"]) == {"haze", "clean"}
    haze = report["conditions"]["haze"]
    assert haze["photos"] == 4 and set(haze["arms"]) == {"clean", "none", "ir"}
    assert 5 < haze["arms"]["none"]["psnr"] < 40  # haze was put on
    assert report["conditions"]["clean"]["arms"]["none"]["psnr"] is None
    text = (tmp_path / "run" / "report.md").read_text()
    assert "random weights" in text and "trained in this run" in text
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html") and "data:image/" in page
    assert (tmp_path / "run" / "restorer" / "config.json").is_file()
    assert not (tmp_path / "index.html").exists()  # a folder of the user's, which nobody asked to write to

    monkeypatch.chdir(tmp_path)
    short = [str(measured), "--cfg-options", "train_cfg.max_iters=1", "measure.limit=1"]
    train.main([*short, f"work_dir={tmp_path / 'other'}"])
    assert (tmp_path / "other" / "report.json").is_file() and not (tmp_path / "index.html").exists()
    train.main([*short, "--work-dir", "work_dirs/named"])
    assert "href='named/report.html'" in (tmp_path / "work_dirs" / "index.html").read_text()


def test_no_measure_only_trains(train, config, tmp_path):
    measured = tmp_path / "measured.py"
    measured.write_text(f"_base_ = {config!r}\nmeasure = dict(detector=None)\n")
    train.main(
        [str(measured), "--work-dir", str(tmp_path), "--no-measure", "--cfg-options", "train_cfg.max_iters=1"]
    )
    assert (tmp_path / "iter_1.pth").is_file() and not (tmp_path / "report.json").exists()


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_very_same_end(train, config, tmp_path):
    """A whole run, and one that is killed where it saves and resumed by the flag."""
    from unirestore.training import find_checkpoint, read_training_checkpoint

    longer = ["--cfg-options", "train_cfg.max_iters=12", "param_scheduler.0.total_steps=12"]
    train.main([config, "--work-dir", str(tmp_path / "whole"), *longer])
    work_dir = tmp_path / "killed"
    command = [sys.executable, "tools/train.py", config, "--work-dir", str(work_dir), *longer]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
    )
    try:
        until = time.monotonic() + 300
        while (
            not list(work_dir.glob(".iter_4.pth.*.partial")) and process.poll() is None
        ):  # it writes the fourth
            if list(work_dir.glob("iter_[56].pth")):
                break  # it was too quick for us
            assert time.monotonic() < until
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
    stopped = find_checkpoint(work_dir)
    assert stopped is not None and not (work_dir / "iter_12.pth").exists()
    train.main([config, "--work-dir", str(work_dir), "--resume", *longer])
    ends = [read_training_checkpoint(tmp_path / name / "iter_12.pth") for name in ("whole", "killed")]
    for name, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][name]), name
    weights = [
        tmp_path / name / "restorer" / "diffusion_pytorch_model.safetensors" for name in ("whole", "killed")
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()


RANK_HOOK = """
import os, torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

def copy(runner):
    stage = getattr(runner.model, "module", runner.model)
    return {name: value.detach().clone() for name, value in stage.named_parameters()}

@HOOKS.register_module()
class TellRank(Hook):
    def before_train(self, runner):
        self.seen, self.start = [], copy(runner)
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen += data_batch["index"].tolist()
    def after_train(self, runner):
        told = dict(seen=self.seen, start=self.start, weights=copy(runner))
        torch.save(told, os.path.join(runner.work_dir, f"rank{runner.rank}.pt"))
"""


@pytest.mark.slow
def test_two_processes_train_as_one(train, config, tmp_path, monkeypatch):
    """gloo on a CPU through torchrun: other items on each rank, the weights of one with twice the batch."""
    (tmp_path / "tell_rank.py").write_text(RANK_HOOK)
    two = tmp_path / "two.py"
    two.write_text(
        f"_base_ = {config!r}\n"
        "custom_imports = dict(imports=['unirestore.mm', 'unirestore.training', 'tell_rank'])\n"
        "custom_hooks = [dict(type='ExportRestorer'), dict(type='TellRank')]\n"
        "train_cfg = dict(max_iters=3)\n"
        "optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))\n"
    )
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["tools/train.py", str(two), "--launcher", "pytorch", "--work-dir", str(tmp_path / "run")]
    search = f"{tmp_path}{os.pathsep}{REPOSITORY}"
    done = run(*command, PYTHONPATH=search)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / "run" / f"rank{rank}.pt") for rank in (0, 1))
    assert first["seen"] == [0, 2, 4, 6, 8, 10] and second["seen"] == [1, 3, 5, 7, 9, 11]
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name
    options = ["--cfg-options", "train_dataloader.batch_size=4"]
    monkeypatch.syspath_prepend(str(tmp_path))
    train.main([str(two), "--work-dir", str(tmp_path / "one"), *options])
    alone = torch.load(tmp_path / "one" / "rank0.pt")
    assert alone["seen"] == list(range(12))
    start = first["start"]
    for name, value in alone["weights"].items():
        torch.testing.assert_close(first["weights"][name], value, rtol=1e-3, atol=1e-6, msg=name)
    assert any(not torch.equal(value, start[name]) for name, value in alone["weights"].items())


# --------------------------------------------------------------------------------------------- measuring


def measure_options(scenes, detector, restorer, **changes) -> dict:
    options = dict(
        detector=detector, restorer=restorer, conditions=dict(clean=dict(set=scenes)), arms=["none"]
    )
    return {**options, "size": 96, "limit": 2, "resamples": 20, **changes}


def test_a_missing_optional_set_is_left_out_with_a_note(scenes, detector, restorer, tmp_path, capsys):
    from unirestore.mm.measure import measure_from_config

    absent = dict(
        images=".", annotations="fog.json", data_root=str(tmp_path / "no"), hint="ask at example.org for it"
    )
    conditions = dict(clean=dict(set=scenes), fog=dict(set=absent, optional=True))
    report = measure_from_config(measure_options(scenes, detector, restorer, conditions=conditions), tmp_path)
    assert list(report.conditions) == ["clean"]
    printed = capsys.readouterr().out
    assert "left out fog" in printed and "example.org" in printed
    conditions["fog"].pop("optional")
    with pytest.raises(FileNotFoundError, match=r"example\.org"):
        measure_from_config(measure_options(scenes, detector, restorer, conditions=conditions), tmp_path)
    only = dict(fog=dict(set=absent, optional=True))
    with pytest.raises(ValueError, match="the sets of fog are all missing"):
        measure_from_config(measure_options(scenes, detector, restorer, conditions=only), tmp_path)


def test_measuring_names_what_it_does_not_know(scenes, detector, restorer, tmp_path):
    from unirestore.mm.measure import measure_from_config

    with pytest.raises(ValueError, match="unknown keys sise; known are detector"):
        measure_from_config(measure_options(scenes, detector, restorer, sise=96), tmp_path)
    with pytest.raises(ValueError, match="no detector and no conditions"):
        measure_from_config(dict(restorer=restorer), tmp_path)
    unknown = dict(clean=dict(set="dawn_smog"))
    with pytest.raises(KeyError, match=r"dawn_smog.*dawn_fog"):
        measure_from_config(measure_options(scenes, detector, restorer, conditions=unknown), tmp_path)
    with pytest.raises(FileNotFoundError, match="restorer"):
        measure_from_config(
            measure_options(scenes, detector, None, arms=["none", "ir"]), tmp_path / "untrained"
        )


def test_only_boxes_of_the_wanted_classes_count(scenes, tmp_path):
    from unirestore.mm.measure import build_condition

    everything = build_condition(set=scenes, classes=scenes["classes"]).photos
    cars = build_condition(set=scenes, classes=["car"], limit=6).photos
    wanted = sum(int((sample.labels == scenes["classes"].index("car")).sum()) for sample in everything)
    assert sum(len(sample.labels) for sample in cars) == wanted > 0
    assert all((sample.labels == 0).all() for sample in cars)


# ---------------------------------------------------------------------------------------------- pseudo-labels


def test_pseudo_labels_can_be_trained_on(detector, scenes, tmp_path, capsys):
    from unirestore.mm.downstream import FrozenDetector
    from unirestore.training import build_pairs

    tool = load_tool("pseudo_label")
    weights = tmp_path / "detector.pth"
    raw = FrozenDetector(**{**detector, "fuse": False})
    with torch.no_grad():
        for layer in raw.detector.bbox_head.multi_level_conv_obj:
            layer.bias.fill_(3.0)
        for layer in raw.detector.bbox_head.multi_level_conv_cls:
            layer.bias.copy_(torch.tensor([-9.0, -9.0, 3.0, -9.0, -9.0, -9.0]))  # it sees cars everywhere
    torch.save({"state_dict": raw.detector.state_dict()}, weights)
    photos = {key: value for key, value in scenes.items() if key not in ("annotations", "make")}
    out = tmp_path / "boxes" / "mine.json"
    command = [
        detector["config"],
        str(weights),
        "--set",
        f"{scenes['data_root']}/{scenes['images']}",
        "--out",
        str(out),
        "--size",
        "64",
        "--score",
        "0.5",
    ]
    assert tool.main([*command, "--classes", *detector["classes"]]) == out
    content = json.loads(out.read_text())
    assert [image["file_name"] for image in content["images"]] == [f"{n:06d}.png" for n in range(6)]
    assert all(
        (image["width"], image["height"]) == (96, 96) for image in content["images"]
    )  # of the photo, not of 64
    assert [category["name"] for category in content["categories"]] == list(detector["classes"])
    assert content["annotations"]
    for annotation in content["annotations"]:
        left, top, width, height = annotation["bbox"]
        assert left >= 0 and top >= 0 and left + width <= 96 + 1e-6 and top + height <= 96 + 1e-6
        assert annotation["area"] == pytest.approx(width * height)
        assert annotation["category_id"] == 3 and annotation["score"] >= 0.5
    assert os.listdir(out.parent) == ["mine.json"]
    pairs = build_pairs(sources=[dict(set=photos, boxes=str(out))], size=64, length=10, box_probability=1.0)
    item = pairs[0]
    assert item["labelled"] and len(item["boxes"]) and set(item["labels"].tolist()) == {2}
    assert f"{len(content['annotations'])} boxes on 6 photos" in capsys.readouterr().out


def test_the_effective_batch_is_told(train):
    config = dict(train_dataloader=dict(batch_size=4), optim_wrapper=dict(accumulative_counts=3))
    assert train.effective_batch(config, 2).startswith("effective batch: 24 (4 items x 2 processes")
    assert train.effective_batch({**config, "optim_wrapper": {}}, 1).startswith("effective batch: 4 ")


def test_a_restorer_may_help_to_label(detector, scenes, restorer, tmp_path, monkeypatch):
    from unirestore.mm.downstream import FrozenDetector

    tool = load_tool("pseudo_label")
    seen = []

    def watched(model, task):
        arm = restorer_arm(model, task)
        return lambda image: seen.append((task, image.shape)) or arm(image)

    restorer_arm = tool.restorer_arm
    monkeypatch.setattr(tool, "restorer_arm", watched)
    folder = f"{scenes['data_root']}/{scenes['images']}"
    raw = tmp_path / "detector.pth"
    torch.save({"state_dict": FrozenDetector(**{**detector, "fuse": False}).detector.state_dict()}, raw)
    command = [detector["config"], str(raw), "--set", folder, "--size", "64", "--restorer", restorer]
    tool.main([*command, "--out", str(tmp_path / "b.json"), "--classes", *detector["classes"]])
    assert seen == [("det", (64, 64, 3))] * 6


def test_missing_pseudo_labels_say_what_makes_them(scenes, tmp_path):
    from unirestore.training import build_pairs

    with pytest.raises(FileNotFoundError, match=r"tools/pseudo_label\.py"):
        build_pairs(sources=[dict(set=scenes, boxes=str(tmp_path / "absent.json"))], size=64)


# ---------------------------------------------------------------------------------------------- debug.py


@pytest.mark.slow
def test_the_debug_config_runs_from_start_to_report(train, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("UNIRESTORE_DATA", str(tmp_path / "data"))
    train.main(["configs/debug.py", "--work-dir", str(tmp_path / "run")])
    assert "left out fog" in capsys.readouterr().out
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert set(report["conditions"]) == {"haze", "rain", "clean"}
    assert report["conditions"]["haze"]["photos"] == 8
    assert (tmp_path / "run" / "iter_10.pth").is_file() and (tmp_path / "run" / "restorer").is_dir()


@pytest.mark.slow
def test_the_main_job_at_the_paper_s_size_trains_and_tests(train, scenes, detector, tmp_path):
    """One step and one photo of 64 pixels with random base weights: 1,071 M parameters on a CPU."""
    memory = Path("/proc/meminfo")
    free = (
        [line for line in memory.read_text().splitlines() if line.startswith("MemAvailable")]
        if memory.is_file()
        else []
    )
    if not free or int(free[0].split()[1]) < 12 * 2**20:
        pytest.skip("needs 12 GB of free memory")
    full = tmp_path / "full.py"
    measure = dict(
        detector=dict(detector, input_size=64),
        conditions=dict(haze=dict(set=scenes, weather="haze")),
        arms=["none", "det"],
        size=64,
        limit=1,
        resamples=2,
    )
    full.write_text(
        f"_base_ = {str(REPOSITORY / 'configs' / 'tfa_det_full.py')!r}\n"
        "model = dict(restorer=dict(_delete_=True, preset='sd_turbo'), "
        f"downstream=dict(_delete_=True, type='FrozenDetector', **{measure['detector']!r}))\n"
        f"train_dataloader = dict(dataset=dict(sources=[dict(set={scenes!r})]))\n"
        f"measure = dict(_delete_=True, **{measure!r})\n"
    )
    work = tmp_path / "run"
    options = ["train_cfg.max_iters=1", "param_scheduler.0.total_steps=11", "train_dataloader.batch_size=1"]
    options += ["train_dataloader.dataset.size=64", "train_dataloader.num_workers=0"]
    options += ["train_dataloader.persistent_workers=False"]
    try:
        train.main([str(full), "--work-dir", str(work), "--cfg-options", *options])
        report = json.loads((work / "report.json").read_text())
        assert set(report["conditions"]["haze"]["arms"]) == {"clean", "none", "det"}
        trained = (work / "iter_1.pth").stat().st_size
        assert trained < 300e6  # TFA, prompts and their optimiser, not the 4.3 GB around them
    finally:
        shutil.rmtree(work, ignore_errors=True)  # 4.5 GB


def test_ablation_takes_parts_away_from_the_config_s_own_restorer():
    ablate = load_tool("ablate")
    options_of = ablate.options_of

    assert options_of("full", "tiny") == []
    assert options_of("teacher_forced", "tiny") == ["model.start=clean"]
    assert options_of("no_cfrm", {"weights": "tiny", "working_scale": 1}) == [
        "model.restorer.weights=tiny",
        "model.restorer.working_scale=1",
        "model.restorer.cfrm=False",
        "model.restorer._delete_=True",
    ]
    with pytest.raises(KeyError):
        options_of("no_luck", "tiny")
    assert {"no_cfrm", "no_prior", "no_tfa", "no_feature_matching", "teacher_forced"} < set(ablate.VARIANTS)


def test_packed_weights_load_and_give_the_same_picture(tmp_path):
    from unirestore.models import UniRestore

    torch.manual_seed(0)
    model = UniRestore.build("tiny", block_out_channels=(8, 8, 8, 8), cfrm_depths=(0, 0, 1), gate_channels=4)
    statistics = model.eval().gate.norm
    statistics.running_var.fill_(1e-9)  # nothing, in half precision
    statistics.num_batches_tracked.fill_(70_000)
    model.save_pretrained(tmp_path / "trained")
    pack = load_tool("pack_weights").pack
    checksum, size = pack([tmp_path / "trained"], tmp_path / "packed" / "tiny")
    file = next((tmp_path / "packed" / "tiny").glob("*.safetensors"))
    assert (
        size == file.stat().st_size < 0.6 * next((tmp_path / "trained").glob("*.safetensors")).stat().st_size
    )
    assert len(checksum) == 64 and "_name_or_path" not in (file.parent / "config.json").read_text()
    packed = UniRestore.from_pretrained(tmp_path / "packed" / "tiny")
    assert {p.dtype for p in packed.parameters()} == {torch.float32}
    assert all(
        torch.equal(value, packed.gate.norm.state_dict()[name])
        for name, value in statistics.state_dict().items()
    )
    images = torch.rand(1, 3, 40, 48)
    with torch.no_grad():
        torch.testing.assert_close(packed(images, task="det"), model(images, task="det"), atol=1e-3, rtol=0)

    with torch.no_grad():
        model.prompts["det"].fill_(1e6)  # more than half precision holds
    model.save_pretrained(tmp_path / "trained")
    with pytest.raises(ValueError, match=r"not finite in half precision, first prompts\.det"):
        pack([tmp_path / "trained"], tmp_path / "packed" / "tiny")
    assert file.stat().st_size == size


def test_packing_several_averages_their_weights_and_refuses_other_layouts(tmp_path):
    from unirestore.models import UniRestore

    small = dict(
        block_out_channels=(8, 8, 8, 8), cfrm_depths=(0, 0, 1), candidates=(), candidate_weights=None
    )
    models = [UniRestore.build("tiny", **small) for _ in range(2)]
    for name, model in zip("ab", models, strict=True):
        model.save_pretrained(tmp_path / name)
    pack = load_tool("pack_weights").pack
    pack([tmp_path / "a", tmp_path / "b"], tmp_path / "packed")
    one, two, packed = (
        model.state_dict() for model in (*models, UniRestore.from_pretrained(tmp_path / "packed"))
    )
    for name, value in packed.items():
        torch.testing.assert_close(value, (one[name] + two[name]) / 2, atol=1e-3, rtol=1e-3)
    UniRestore.build("tiny", **small, working_scale=1).save_pretrained(tmp_path / "b")
    with pytest.raises(ValueError, match="working_scale"):
        pack([tmp_path / "a", tmp_path / "b"], tmp_path / "packed")


def test_further_restorers_and_folds_are_measured_from_a_config(scenes, detector, restorer, tmp_path, capsys):
    from unirestore.data import load_eval_set

    names = [photo.name for photo in load_eval_set(scenes, limit=2)]
    for fold, name in zip("ab", names, strict=True):
        (tmp_path / f"{fold}.txt").write_text(f"{name}\n")
    config = tmp_path / "table.py"
    measure = measure_options(
        scenes,
        detector,
        None,
        restorers={
            "one": dict(restorer=restorer, task="ir"),
            "both": dict(fitted=dict(A=restorer, B=restorer), task="ir"),
            "not made yet": dict(restorer=str(tmp_path / "nowhere"), optional=True),
        },
        folds=dict(A=str(tmp_path / "a.txt"), B=str(tmp_path / "b.txt")),
        conditions=dict(clean=dict(set=scenes, by_fold=True)),
    )
    config.write_text(f"measure = {measure!r}\n")
    measure_tool = load_tool("measure")
    measure_tool.main([str(config), "--work-dir", str(tmp_path)])
    report = json.loads((tmp_path / "table" / "report.json").read_text())
    assert list(report["conditions"]) == ["clean", "clean, A", "clean, B"]
    arms = report["conditions"]["clean"]["arms"]
    assert list(arms) == ["none", "one", "both"] and arms["one"]["figures"] == arms["both"]["figures"]
    printed = capsys.readouterr().out
    assert "report.html" in printed and "left out not made yet" in printed
    assert (
        str(tmp_path / "index.html") in printed
        and "href='table/report.html'" in (tmp_path / "index.html").read_text()
    )
    (tmp_path / "index.html").unlink()
    measure_tool.main(["--work-dir", str(tmp_path)])
    assert (tmp_path / "index.html").is_file()
    measure["restorers"]["both"].update(restorer=restorer)
    config.write_text(f"measure = {measure!r}\n")
    with pytest.raises(ValueError, match=r"restorer=\.\.\. or fitted"):
        measure_tool.main([str(config), "--work-dir", str(tmp_path)])


def test_configs_are_read_before_the_first_is_measured(tmp_path, monkeypatch, capsys):
    measure_tool = load_tool("measure")
    monkeypatch.setattr(measure_tool, "measure_from_config", lambda *args: pytest.fail("measured"))
    (tmp_path / "other").mkdir()
    for name in ("table", "other/table"):
        (tmp_path / f"{name}.py").write_text("measure = dict(a=1)")
    (tmp_path / "none.py").write_text("")
    for second, message in (("none", "has no measure"), ("other/table", "two configs are called table")):
        with pytest.raises(SystemExit):
            measure_tool.main([str(tmp_path / "table.py"), str(tmp_path / f"{second}.py")])
        assert message in capsys.readouterr().err
