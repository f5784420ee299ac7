#!/usr/bin/env python
"""Two folds of real photos: calibrate on one, measure on the other, then the other way round.

    python tools/make_folds.py --sets dawn_fog dawn_rain [--whole dawn_snow dawn_sand] [--out work_dirs/folds]
                               [--alike 0.48] [--seed 0]

Writes `a.txt` and `b.txt`, one photo a line, called as in its set. Each holds half of every set; near-duplicates stay
in one fold, also those in different sets (unirestore/data/folds.py). Sets named by `--whole` are measured nowhere:
their photos go to `both.txt`, to be learnt from beside either fold, but for near-duplicates of a photo in a fold.

    python tools/train.py configs/uniremoval_calibrate.py --cfg-options \
        real_photos=dawn_fog,dawn_rain,dawn_snow real_names=work_dirs/folds/a.txt,work_dirs/folds/both.txt
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unirestore.data import load_eval_set, read_image
from unirestore.data.folds import ALIKE, near_duplicates, thumbnail, two_folds


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", required=True, help="named sets, each halved by itself")
    parser.add_argument("--whole", nargs="*", default=[], help="named sets that both folds may learn from")
    parser.add_argument("--out", default="work_dirs/folds", help="folder of the lists")
    parser.add_argument(
        "--alike", type=float, default=ALIKE, help="correlation that makes two photos near-duplicates"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the order in which groups are dealt")
    args = parser.parse_args(argv)
    photos = [
        (name, folder.name(i), folder.path(i))
        for name in (*args.sets, *args.whole)
        for folder in [load_eval_set(name)]
        for i in range(len(folder))
    ]
    groups = near_duplicates(np.stack([thumbnail(read_image(path)) for _, _, path in photos]), args.alike)
    halved = [[index for index in group if photos[index][0] in args.sets] for group in groups]
    chosen = two_folds(list(filter(None, halved)), [name for name, _, _ in photos], args.seed)
    lists = {
        fold: [photos[index][1] for index in indices] for fold, indices in zip("ab", chosen, strict=True)
    }
    if args.whole:
        free = [group for group, part in zip(groups, halved, strict=True) if not part]
        lists["both"] = [photos[index][1] for index in sorted(index for group in free for index in group)]
    alike = [group for group in groups if len(group) > 1]
    print(f"{len(photos)} photos, {sum(map(len, alike))} of them in {len(alike)} groups of near-duplicates:")
    for group in alike:
        print("  " + " ".join(photos[index][1] for index in group))
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for fold, names in lists.items():
        (out / f"{fold}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        print(f"{out / fold}.txt: {len(names)} photos")


if __name__ == "__main__":
    main()
