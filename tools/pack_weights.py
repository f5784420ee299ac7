"""Packs a trained restorer for shipping: half precision, a clean config, and its row for the table of weights.

    python tools/pack_weights.py work_dirs/tfa_photos/restorer [MORE_RESTORERS ...] tiny [--out unirestore/weights]

Several restorers that were fine-tuned from one start are averaged weight by weight ("model soups", Wortsman et al.,
ICML 2022, arXiv 2203.05482): one network at the cost of one, steadier than any of them. Writes OUT/NAME and prints
the checksum and size that `unirestore.models.presets.WEIGHTS` and the model card name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from diffusers import ConfigMixin

FILE = "diffusion_pytorch_model.safetensors"


def _packed(name: str, value: torch.Tensor) -> torch.dtype:
    """Half precision, but for counts and for running variances, which half precision may round to nothing."""
    import torch

    keeps = not value.is_floating_point() or name.endswith((".running_mean", ".running_var"))
    return value.dtype if keeps else torch.half


def pack(restorers: Sequence[str | Path], folder: str | Path) -> tuple[str, int]:
    """The average of `save_pretrained` folders in half precision -> `folder`; returns sha256 and bytes of the weights.

    Raises ValueError where they are not of one layout, or a weight is not finite in half precision; what `folder`
    held before is then kept.
    """
    import torch
    from safetensors.torch import save_file

    from unirestore.models import UniRestore

    folder, models = Path(folder), [UniRestore.from_pretrained(restorer) for restorer in restorers]
    config = read_config(models[0])
    for restorer, model in zip(restorers, models, strict=True):
        if differ := sorted(name for name, value in read_config(model).items() if value != config.get(name)):
            raise ValueError(
                f"{restorer} and {restorers[0]} differ in {', '.join(differ)}; only equals average"
            )
    states = [model.state_dict() for model in models]
    state = {
        name: torch.stack([one[name].double() for one in states])
        .mean(0)
        .to(_packed(name, value))
        .contiguous()
        for name, value in states[0].items()
    }
    if broken := [name for name, value in state.items() if not torch.isfinite(value).all()]:
        raise ValueError(
            f"{restorers[0]}: {len(broken)} tensors are not finite in half precision, first {broken[0]}"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        fresh = Path(temporary) / folder.name
        fresh.mkdir()
        save_file(state, fresh / FILE, metadata={"format": "pt"})
        (fresh / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        for file in fresh.iterdir():
            file.chmod(0o644)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.replace(folder)
    content = (folder / FILE).read_bytes()
    return hashlib.sha256(content).hexdigest(), len(content)


def read_config(model: ConfigMixin) -> dict[str, Any]:
    """Its settings, without where it was trained, which is nobody's business."""
    return {
        name: value for name, value in json.loads(model.to_json_string()).items() if name != "_name_or_path"
    }


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "restorers",
        nargs="+",
        help="folders that training wrote, work_dirs/.../restorer; several are averaged",
    )
    parser.add_argument("name", help="name in the table of weights, for example tiny")
    parser.add_argument("--out", default="unirestore/weights", help="folder of the packed weights")
    args = parser.parse_args(argv)
    checksum, size = pack(args.restorers, Path(args.out) / args.name)
    print(f'sha256="{checksum}",\nbytes={size},')


if __name__ == "__main__":
    main()
