"""What does each part earn? Trains and measures the main job once per variant and writes one table.

    python tools/ablate.py configs/tfa_det.py [--steps 200] [--out work_dirs/ablation] [--variants full no_cfrm ...]
                           [--cfg-options key=value ...]

Each variant runs tools/train.py with the same seed, data and steps and starts from the same weights, so that the part
in question is all that differs. Variants whose report is there already are not run again. Cost: one short run of the
config per variant; with 200 steps on the scenes about 6 minutes each on two CPU cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
VARIANTS: dict[str, dict[str, str]] = {
    "full": {},
    "no_cfrm": {"cfrm": "False"},
    "no_prior": {"prior": "none"},
    "no_tfa": {"tfa": "False"},
    "no_feature_matching": {"model.feature_weight": "0"},
    "teacher_forced": {"model.start": "clean"},
}
"""Name -> options; a name with a dot is a config key, one without is a setting of the restorer."""


def options_of(variant: str, restorer: str | Mapping) -> list[str]:
    """The `--cfg-options` of a variant, given the config's own restorer. Raises KeyError for an unknown one."""
    changes = VARIANTS[variant]
    settings = [f"{name}={value}" for name, value in changes.items() if "." in name]
    parts = {name: value for name, value in changes.items() if "." not in name}
    if parts:
        start = dict(restorer) if isinstance(restorer, Mapping) else {"weights": restorer}
        settings += [f"model.restorer.{name}={value}" for name, value in {**start, **parts}.items()]
        settings += ["model.restorer._delete_=True"]
    return settings


def run(variant: str, args: argparse.Namespace, restorer: str | Mapping) -> dict:
    """Trains and measures one variant, or reads what an earlier run wrote."""
    folder = Path(args.out) / variant
    report = folder / "report.json"
    if not report.is_file():
        schedule = [f"train_cfg.max_iters={args.steps}", f"param_scheduler.0.total_steps={args.steps}"]
        arms = "measure.arms=[none,ir,det]"
        command = [
            sys.executable,
            str(TOOLS / "train.py"),
            args.config,
            "--work-dir",
            str(folder),
            "--cfg-options",
        ]
        command += [*schedule, arms, *options_of(variant, restorer), *(args.cfg_options or [])]
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "log.txt", "w") as log:
            subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return json.loads(report.read_text())


def table(reports: dict[str, dict], figure: str) -> str:
    """Markdown: a row per variant and arm, a column per condition with the gain over `none` and its interval."""
    conditions = list(next(iter(reports.values()))["conditions"])
    lines = [f"| variant | arm | {' | '.join(conditions)} |", "|---|---|" + "---|" * len(conditions)]
    for variant, report in reports.items():
        for arm in ("ir", "det"):
            cells = []
            for condition in conditions:
                row = report["conditions"][condition]["arms"][arm]
                value, gain = row["figures"][figure]["value"], row["deltas"][figure]
                cells.append(f"{value:.1f} ({gain['value']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}])")
            lines.append(f"| {variant} | {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> Path:
    """Runs all variants; returns the table's file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "config", nargs="?", default="configs/tfa_det.py", help="config of the adaptation stage"
    )
    parser.add_argument("--steps", type=int, default=200, help="training steps of each variant")
    parser.add_argument("--out", default="work_dirs/ablation", help="folder of runs and table")
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="default: all"
    )
    parser.add_argument("--figure", default="mAP", help="figure of the table: mAP, AP50, iwAP, AP/car, ...")
    parser.add_argument("--cfg-options", nargs="+", help="more key=value pairs for every variant")
    args = parser.parse_args(argv)

    from mmengine.config import Config

    restorer = Config.fromfile(args.config).model.restorer
    reports = {}
    for variant in args.variants:
        reports[variant] = run(variant, args, restorer)
        print(f"{variant}: done", flush=True)
    text = f"{args.figure}, {args.steps} steps, {args.config}\n\n{table(reports, args.figure)}\n"
    path = Path(args.out) / "ablation.md"
    path.write_text(text)
    print(f"\n{text}\n{path}")
    return path


if __name__ == "__main__":
    main()
