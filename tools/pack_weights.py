"""Packs a trained restorer for shipping: half precision, a clean config, and its row for the table of weights.

    python tools/pack_weights.py work_dirs/tfa_photos/restorer tiny [--out unirestore/weights]

Writes OUT/NAME and prints the checksum and size that `unirestore.models.presets.WEIGHTS` and the model card name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

FILE = "diffusion_pytorch_model.safetensors"


def pack(restorer: str | Path, folder: str | Path) -> tuple[str, int]:
    """A `save_pretrained` folder in half precision -> `folder`; returns sha256 and bytes of the weights.

    Raises ValueError where a weight is not finite in half precision; what `folder` held before is then kept.
    """
    import torch
    from safetensors.torch import load_file, save_file

    restorer, folder = Path(restorer), Path(folder)
    state = {name: value.half().contiguous() for name, value in load_file(restorer / FILE).items()}
    if broken := [name for name, value in state.items() if not torch.isfinite(value).all()]:
        raise ValueError(
            f"{restorer}: {len(broken)} tensors are not finite in half precision, first {broken[0]}"
        )
    config = json.loads((restorer / "config.json").read_text())
    config.pop("_name_or_path", None)  # where it was trained is nobody's business
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


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("restorer", help="folder that training wrote, work_dirs/.../restorer")
    parser.add_argument("name", help="name in the table of weights, for example tiny")
    parser.add_argument("--out", default="unirestore/weights", help="folder of the packed weights")
    args = parser.parse_args(argv)
    checksum, size = pack(args.restorer, Path(args.out) / args.name)
    print(f'sha256="{checksum}",\nbytes={size},')


if __name__ == "__main__":
    main()
