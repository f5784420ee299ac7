"""Train a stage with mmdet's own flags, then measure what it gained if the config says how.

    python tools/train.py CONFIG [--work-dir DIR] [--resume [CHECKPOINT]] [--amp] [--cfg-options key=value ...]
                                 [--launcher pytorch] [--no-measure]

    python tools/train.py configs/tfa_det.py                 # the main job: about 15 minutes on two CPU cores
    torchrun --nproc_per_node 2 tools/train.py configs/restore.py --launcher pytorch

What differs from mmdet's tool: `--resume` takes the newest checkpoint that loads, saves are atomic, and a config with
`measure = dict(...)` ends with the gain table (see unirestore/mm/measure.py).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two threads that spin cost a busy machine more than they win

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import unirestore.mm  # noqa: F401  (supplies mmcv's operators before mmdet is imported)
from unirestore.training import find_checkpoint


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The flags of mmdet's ``tools/train.py`` and ``--no-measure``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="folder for logs, checkpoints and the report")
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument("--auto-scale-lr", action="store_true", help="scale the learning rate by the batch size")
    parser.add_argument(
        "--resume", nargs="?", const="auto", help="continue from this checkpoint, or from the newest in --work-dir"
    )
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="key=value pairs that override the config")
    parser.add_argument(
        "--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none", help="job launcher"
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--no-measure", action="store_true", help="train only")
    args = parser.parse_args(argv)
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args


def build_config(args: argparse.Namespace) -> Config:
    """The config with all flags worked in.

    Raises FileNotFoundError where ``--resume`` finds nothing to continue from.
    """
    config = Config.fromfile(args.config)
    config.launcher = args.launcher
    if args.cfg_options is not None:
        config.merge_from_dict(args.cfg_options)
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get("work_dir") is None:
        config.work_dir = str(Path("work_dirs") / Path(args.config).stem)
    if args.amp:
        config.optim_wrapper.update(type="AmpOptimWrapper", dtype="bfloat16")
    if args.auto_scale_lr:
        if "base_batch_size" not in config.get("auto_scale_lr", {}):
            raise SystemExit("--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config")
        config.auto_scale_lr.enable = True
    if args.resume is not None:
        found = find_checkpoint(config.work_dir) if args.resume == "auto" else Path(args.resume)
        if found is None or not found.is_file():
            raise FileNotFoundError(f"nothing to resume from in {config.work_dir if found is None else found}")
        config.resume, config.load_from = True, str(found)
    return config


def main(argv: list[str] | None = None) -> None:
    """Train, then measure."""
    import torch

    torch.set_flush_denormal(True)
    args = parse_args(argv)
    config = build_config(args)
    measure = config.pop("measure", None)
    runner = Runner.from_cfg(config)
    runner.train()
    if measure is not None and not args.no_measure and runner.rank == 0:
        from unirestore.mm.measure import measure_from_config

        measure_from_config(measure, runner.work_dir)


if __name__ == "__main__":
    main()
