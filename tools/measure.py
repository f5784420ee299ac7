#!/usr/bin/env python
"""Only the measurement of one or more configs, without training.

    python tools/measure.py configs/uniremoval_table.py [MORE.py ...] [--work-dir DIR] [--cfg-options key=value ...]

Each config's `measure` (see `unirestore.mm.measure`) gives report.json, report.md and report.html in
DIR/NAME_OF_CONFIG. The restorer is the one that `measure` names, else DIR/NAME_OF_CONFIG/restorer. Then DIR/index.html
leads to all reports in DIR; without a config that is all that happens.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, DictAction

from unirestore.evaluation import write_index
from unirestore.mm.measure import measure_from_config


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", nargs="*", help="config files with a `measure`")
    parser.add_argument("--work-dir", default="work_dirs", help="folder of the reports")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="override settings of all configs"
    )
    args = parser.parse_args(argv)
    measures = {}  # all are read before the first takes its time
    for path in args.configs:
        config, name = Config.fromfile(path), Path(path).stem
        config.merge_from_dict(args.cfg_options or {})
        if not config.get("measure"):
            parser.error(f"{path} has no measure=dict(...)")
        if name in measures:
            parser.error(f"two configs are called {name}, and so would be their reports")
        measures[name] = config.measure.to_dict()
    for name, measure in measures.items():
        measure_from_config(measure, Path(args.work_dir) / name)
    print(f"all reports: {write_index(args.work_dir)}")


if __name__ == "__main__":
    main()
