"""Saving that survives being killed: atomic writes, and a search for the newest checkpoint that still loads.

mmengine writes a checkpoint straight to its final name and then notes that name in `last_checkpoint`; a kill
in between leaves a torn file or an empty note. Here every file is written beside its place and renamed into
it, and resuming looks at the files themselves. Licence: Apache-2.0.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import shutil
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from safetensors import SafetensorError

from .safe_loading import read_training_checkpoint

_SUFFIX = re.compile(r"\.[0-9a-f]{8}\.partial")


class AtomicLocalBackend(LocalBackend):
    """mmengine's local files, but a reader sees the old file or the whole new one, never a part."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes `obj` beside `filepath`, flushes it to disk and renames it into place.

        What an earlier, killed writer of the same file left beside it is removed.

        Raises OSError, naming the file, where the disk is full or the folder cannot be written; what was
        there before is then still there.
        """
        path = Path(filepath)
        temporary = _beside(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path)
            with open(temporary, "xb") as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            raise _not_saved(path, error) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


register_backend("atomic", AtomicLocalBackend, force=True)


def find_checkpoint(folder: str | Path) -> Path | None:
    """The newest `iter_N.pth` (else `epoch_N.pth`) in `folder` that training can continue from, or None.

    Torn and foreign files are passed over with a warning; no code of theirs is run.
    """
    for kind in ("iter", "epoch"):
        named = (
            (re.fullmatch(rf"{kind}_(\d+)\.pth", path.name), path)
            for path in Path(folder).glob(f"{kind}_*.pth")
        )
        found = {int(match[1]): path for match, path in named if match}
        for _, path in sorted(found.items(), reverse=True):
            try:
                read_training_checkpoint(path)
            except (OSError, ValueError) as error:
                print_log(f"passed over: {error}", "current", 30)
            else:
                return path
    return None


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
    """`save_pretrained` into a folder that is either the old one or the complete new one.

    On Linux the two trade places in one step. Where the system cannot do that, a kill between two renames
    leaves the old one under a hidden name ending in `.partial` beside `folder`.

    Raises OSError, naming the folder, where it cannot be written; the old one is then still there.
    """
    folder = Path(folder)
    fresh = _beside(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        restorer.save_pretrained(fresh)
        for file in fresh.iterdir():
            with open(file, "rb+") as written:
                os.fsync(written.fileno())
        if not folder.exists():
            os.replace(fresh, folder)
        elif not _exchange(fresh, folder):
            os.replace(folder, _beside(folder))
            os.replace(fresh, folder)
        _remove_leftovers(folder)  # of killed runs, and after the exchange the old one
    except (OSError, SafetensorError) as error:
        raise _not_saved(folder, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _not_saved(path: Path, error: Exception) -> OSError:
    advice = "free some space or pass another --work-dir"
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, f"could not save {path} ({error.strerror}); {advice}")
    return OSError(f"could not save {path} ({error}); {advice}")


def _beside(path: Path) -> Path:
    """A fresh hidden name in the same folder, hence on the same disk."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def _remove_leftovers(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}.*.partial"):
        if _SUFFIX.fullmatch(left.name.removeprefix(f".{path.name}")):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two paths in one step (Linux' renameat2); False where system or file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(first), here, os.fsencode(second), swap) == 0
