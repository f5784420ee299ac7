#!/usr/bin/env python
"""The authors' UniRestore checkpoints -> a folder that `UniRestore.from_pretrained` loads, and back.

    python tools/convert_official.py OUT --stage1 STAGE1.ckpt --stage2 STAGE2.ckpt --base-model SD_TURBO
    python tools/convert_official.py OUT --to-official FOLDER

SD_TURBO is a local folder in diffusers' layout (or a hub id). The second form writes OUT/stage1.ckpt and
OUT/stage2.ckpt as the authors' code reads them. See docs/authors_weights.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from unirestore import UniRestore
from unirestore.models.official import FORMATS, save_official
from unirestore.pipeline import DTYPES


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT", help="folder to write")
    parser.add_argument("--stage1", help="checkpoint of stage 1, or one with everything")
    parser.add_argument("--stage2", help="checkpoint of stage 2")
    parser.add_argument("--base-model", help="folder or hub id of SD-Turbo in diffusers' layout")
    parser.add_argument(
        "--null-text", help="file with the text condition, in place of the base model's text encoder"
    )
    parser.add_argument("--preset", default="sd_turbo", help="size of the network (default: sd_turbo)")
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="number type of the weights written"
    )
    parser.add_argument("--to-official", metavar="FOLDER", help="convert this folder of ours the other way")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="of what --to-official writes")
    args = parser.parse_args(argv)
    if (args.to_official is None) == (args.stage1 is None):
        parser.error("give either --stage1 (and more) or --to-official")
    if args.to_official is not None:
        for path in save_official(UniRestore.from_pretrained(args.to_official), args.out, args.format):
            print(path)
        return
    model = UniRestore.from_official(
        args.stage1,
        args.stage2,
        base_model=args.base_model,
        null_text=args.null_text,
        preset=args.preset,
        dtype=DTYPES[args.dtype],
    )
    model.save_pretrained(args.out)
    print(f"{args.out}: tasks {', '.join(model.tasks)}; load it with UniRestore.from_pretrained")


if __name__ == "__main__":
    main()
