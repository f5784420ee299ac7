"""Train a stage with mmdet's own flags, then measure what it gained if the config says how.

    python tools/train.py CONFIG [--work-dir DIR] [--resume [CHECKPOINT]] [--amp] [--launcher pytorch]
                                 [--cfg-options key=value ...] [--no-measure]

    python tools/train.py configs/tfa_det.py                 # the main job: about 15 minutes on two CPU cores
    torchrun --nproc_per_node 2 tools/train.py configs/restore.py --launcher pytorch

What differs from mmdet's tool: `--resume` takes the newest checkpoint that loads and never runs code out of
one, saves are atomic, `--amp` (bfloat16) and `--launcher pytorch` (gloo) also work without a GPU, and a
config with `measure = dict(...)` ends with the gain table (see unirestore/mm/measure.py). A config may give short
names to keys, `shortcuts = dict(name=["key.in.the.config", ...])`, which `--cfg-options name=value` then sets.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # two threads that spin cost a busy machine more than they win

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.runner import Runner

import unirestore.mm  # noqa: F401  (supplies mmcv's operators before mmdet is imported)
from unirestore.training import find_checkpoint, read_training_checkpoint

WORK_DIRS = Path("work_dirs")
"""Where runs lie that are told no other place, and the index of their reports."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The flags of mmdet's ``tools/train.py`` and ``--no-measure``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="folder for logs, checkpoints and the report")
    parser.add_argument("--amp", action="store_true", help="mixed precision (bfloat16)")
    parser.add_argument(
        "--auto-scale-lr", action="store_true", help="scale the learning rate by the batch size"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="continue from this checkpoint, or from the newest in --work-dir",
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="key=value pairs that override the config"
    )
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

    Raises FileNotFoundError where the config does not exist or ``--resume`` finds nothing to continue from,
    ValueError where the file that ``--resume`` names is damaged or no training checkpoint.
    """
    if not Path(args.config).is_file():
        there = ", ".join(sorted(str(path) for path in Path("configs").glob("*.py"))) or "none in ./configs"
        raise FileNotFoundError(f"no config at {args.config}; there are {there}")
    config = Config.fromfile(args.config)
    config.launcher = args.launcher
    config.merge_from_dict(spell_out(args.cfg_options or {}, config.pop("shortcuts", {})))
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get("work_dir") is None:
        config.work_dir = str(WORK_DIRS / Path(args.config).stem)
    if args.amp:
        config.optim_wrapper.pop("loss_scale", None)  # bfloat16 needs none
        config.optim_wrapper.type = "Bfloat16OptimWrapper"
    if args.auto_scale_lr:
        if "base_batch_size" not in config.get("auto_scale_lr", {}):
            raise SystemExit("--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config")
        config.auto_scale_lr.enable = True
    if args.launcher != "none":
        wrapper = config.setdefault("model_wrapper_cfg", ConfigDict(type="MMDistributedDataParallel"))
        wrapper.setdefault("find_unused_parameters", True)  # a prompt that no loss of this stage reads
        if not torch.cuda.is_available():
            wrapper.device_ids = None
    if args.resume is not None:
        config.resume, config.load_from = True, str(resumable(args.resume, config.work_dir))
    return config


def spell_out(options: Mapping[str, Any], shortcuts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Options with each name out of the config's `shortcuts` replaced by the keys that it stands for."""
    return {key: value for name, value in options.items() for key in shortcuts.get(name, [name])}


def effective_batch(config: Mapping[str, Any], ranks: int) -> str:
    """How many items the optimiser sees at each step, in words."""
    batch = config["train_dataloader"]["batch_size"]
    gathered = config["optim_wrapper"].get("accumulative_counts", 1)
    return f"effective batch: {batch * ranks * gathered} ({batch} items x {ranks} processes x {gathered} batches)"


def resumable(resume: str, work_dir: str) -> Path:
    """What ``--resume`` means: a file, the newest checkpoint of a folder, or with "auto" of `work_dir`."""
    named = Path(work_dir if resume == "auto" else resume)
    if named.is_dir():
        found = find_checkpoint(named)
        if found is None:
            raise FileNotFoundError(f"nothing to resume from in {named}: no iter_N.pth there that loads")
        return found
    if not named.is_file():
        raise FileNotFoundError(f"nothing to resume from: there is no {named}")
    read_training_checkpoint(named)  # refused here, before anything is built
    return named


def main(argv: list[str] | None = None) -> None:
    """Train, then measure."""
    torch.set_flush_denormal(True)
    args = parse_args(argv)
    config = build_config(args)
    measure = config.pop("measure", None)
    if args.launcher == "pytorch" and not torch.cuda.is_available():
        torch.distributed.init_process_group("gloo")  # mmengine's own way asks for a GPU first
    runner = Runner.from_cfg(config)
    runner.logger.info(effective_batch(config, runner.world_size))
    runner.train()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # the other ranks are done; measuring needs one
    if measure is not None and not args.no_measure and runner.rank == 0:
        from unirestore.evaluation import write_index
        from unirestore.mm.measure import measure_from_config

        measure_from_config(measure, runner.work_dir)
        if Path(runner.work_dir).parent == WORK_DIRS.absolute():  # another may be any folder of the user's
            print(f"all reports: {write_index(WORK_DIRS)}")


if __name__ == "__main__":
    main()
