"""Saving that survives being killed: atomic writes, and a search for the newest checkpoint that still loads.

mmengine writes a checkpoint straight to its final name and then notes that name in `last_checkpoint`; a kill in
between leaves a torn file or an empty note. Here every file is written beside its place and renamed into it, and
resuming looks at the files themselves. Licence: Apache-2.0.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS


class AtomicLocalBackend(LocalBackend):
    """mmengine's local files, but a reader sees the old file or the whole new one, never a part."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes `obj` beside `filepath`, flushes it to disk and renames it into place.

        Raises OSError, naming the file, where the disk is full or the folder cannot be written; what was there
        before is then still there.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise OSError(f"could not save {path} ({error}); free some space or pass another --work-dir") from error


register_backend("atomic", AtomicLocalBackend, force=True)


def find_checkpoint(folder: str | Path) -> Path | None:
    """The newest `iter_N.pth` in `folder` that loads, or None; torn or foreign files are passed over with a warning."""
    found = {int(m.group(1)): p for p in Path(folder).glob("iter_*.pth") if (m := re.fullmatch(r"iter_(\d+)\.pth", p.name))}
    for _, path in sorted(found.items(), reverse=True):
        try:
            trust_mmengine_log_buffers()
            torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, an older one may do
            print_log(f"{path} does not load ({type(error).__name__}); trying the one before it", "current", 30)
        else:
            return path
    return None


def trust_mmengine_log_buffers() -> None:
    """Lets `torch.load(weights_only=True)` read the log history that mmengine keeps in a checkpoint."""
    import numpy as np
    from mmengine.logging import HistoryBuffer

    scalar = [type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4")]
    torch.serialization.add_safe_globals(
        [HistoryBuffer, np.ndarray, np.dtype, np._core.multiarray._reconstruct, np._core.multiarray.scalar, *scalar]
    )


@HOOKS.register_module()
class ExportRestorer(Hook):
    """After the last step: `stage.finish(...)`, then the whole restorer as a `save_pretrained` folder.

    The folder `work_dir/restorer` is what the next stage, the measurement and `from_pretrained` take.
    """

    priority = "LOW"

    def after_train(self, runner) -> None:
        """Finishes the stage and saves on the first rank."""
        stage = runner.model.module if is_model_wrapper(runner.model) else runner.model
        stage.finish(runner.train_dataloader)
        if runner.rank == 0:
            folder = Path(runner.work_dir) / "restorer"
            save_restorer(stage.restorer, folder)
            runner.logger.info(f"restorer saved to {folder}")
        MessageHub.get_current_instance().update_info("restorer", str(Path(runner.work_dir) / "restorer"))


def save_restorer(restorer, folder: str | Path) -> None:
    """`save_pretrained` into a folder that is either the old one or the complete new one."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        fresh, old = Path(temporary) / "new", Path(temporary) / "old"
        restorer.save_pretrained(fresh)
        if folder.exists():
            os.replace(folder, old)
        os.replace(fresh, folder)
