"""Test a detector, restoring or not, with mmdet's own flags.

    python tools/test.py CONFIG CHECKPOINT [--work-dir DIR] [--out FILE.pkl] [--show-dir DIR] [--tta]
                         [--cfg-options model.data_preprocessor.task=ir ...] [--launcher pytorch]

What differs from mmdet's tool: the seam is imported first (no compiled mmcv needed), and drawn boxes lie on
the restored picture when the config's preprocessor restores.
"""

from __future__ import annotations

import argparse
import os
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.runner import Runner

import unirestore.mm  # noqa: F401  (supplies mmcv's operators before mmdet is imported)

TTA_META = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The flags of mmdet's ``tools/test.py``."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="detector checkpoint")
    parser.add_argument("--work-dir", help="folder for logs and metrics")
    parser.add_argument("--out", help="write predictions to this .pkl file")
    parser.add_argument("--show", action="store_true", help="show predictions in a window")
    parser.add_argument("--show-dir", help="write painted pictures to work_dir/timestamp/SHOW_DIR")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds between shown pictures")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="key=value pairs that override the config"
    )
    parser.add_argument(
        "--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none", help="job launcher"
    )
    parser.add_argument("--tta", action="store_true", help="test-time augmentation")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.out is not None and not args.out.endswith((".pkl", ".pickle")):
        parser.error(f"--out {args.out}: predictions are written as .pkl")
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args


def build_config(args: argparse.Namespace) -> Config:
    """The config with all flags worked in."""
    config = Config.fromfile(args.config)
    config.launcher = args.launcher
    if args.cfg_options is not None:
        config.merge_from_dict(args.cfg_options)
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get("work_dir") is None:
        config.work_dir = str(Path("work_dirs") / Path(args.config).stem)
    config.load_from = args.checkpoint
    if args.show or args.show_dir:
        set_visualization(config, show=args.show, show_dir=args.show_dir, wait_time=args.wait_time)
    if args.tta:
        set_tta(config)
    return config


def set_visualization(config: Config, *, show: bool, show_dir: str | None, wait_time: float) -> None:
    """Turn drawing on, on restored pictures when there are any."""
    hook = config.setdefault("default_hooks", ConfigDict()).setdefault(
        "visualization", ConfigDict(type="DetVisualizationHook")
    )
    restores = (
        str((config.model.get("data_preprocessor") or {}).get("type", ""))
        .split(".")[-1]
        .startswith("Restoration")
    )
    if restores and hook.type == "DetVisualizationHook":
        hook.type = "RestoredVisualizationHook"
    hook.update(draw=True, show=show, wait_time=wait_time)
    if show_dir:
        hook.test_out_dir = show_dir


def set_tta(config: Config) -> None:
    """Wrap the model for test-time augmentation; without settings in the config, a horizontal flip.

    The flip goes before ``Pad``: after it, boxes could not be turned back.
    """
    if config.get("tta_model") is None:
        config.tta_model = {
            "type": "DetTTAModel",
            "tta_cfg": {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 100},
        }
    if config.get("tta_pipeline") is None:
        dataset = config.test_dataloader.dataset
        while "dataset" in dataset:
            dataset = dataset["dataset"]
        steps = deepcopy(list(dataset.pipeline))
        resize = next(
            (i for i, step in enumerate(steps) if step["type"].split(".")[-1] == "Resize"), len(steps) - 2
        )
        pack = dict(steps[-1], meta_keys=TTA_META)
        flips = [{"type": "RandomFlip", "prob": 1.0}, {"type": "RandomFlip", "prob": 0.0}]
        rest = [[step] for step in steps[resize + 1 : -1]]
        config.tta_pipeline = [
            *steps[: resize + 1],
            {"type": "TestTimeAug", "transforms": [flips, *rest, [pack]]},
        ]
    config.model = ConfigDict(**config.tta_model, module=config.model)
    dataset = config.test_dataloader.dataset
    while "dataset" in dataset:
        dataset = dataset["dataset"]
    dataset.pipeline = config.tta_pipeline


def main(argv: list[str] | None = None) -> None:
    """Run the test."""
    args = parse_args(argv)
    runner = Runner.from_cfg(build_config(args))
    if args.out is not None:
        from mmdet.evaluation import DumpDetResults

        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    runner.test()


if __name__ == "__main__":
    main()
