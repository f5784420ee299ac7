"""Predictions of an arm on disk: a JSON file that later measurements read instead of detecting again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unirestore.evaluation.gain import Run
    from unirestore.evaluation.tasks import MeasuredTask


def _path(folder: str | Path, key: dict[str, Any]) -> Path:
    words = f"{key['condition']}__{key['arm']}"
    return Path(folder) / (re.sub(r"[^A-Za-z0-9_.-]+", "-", words) + ".json")


def read_run(folder: str | Path | None, key: dict[str, Any], task: MeasuredTask) -> Run | None:
    """The run kept under exactly this `key`; None without a folder, without a file, or for another key."""
    from unirestore.evaluation.gain import Run

    if folder is None or not _path(folder, key).is_file():
        return None
    try:
        stored = json.loads(_path(folder, key).read_text(encoding="utf-8"))
        if stored["key"] != json.loads(json.dumps(key)):
            return None
        predictions = [task.from_json(item) for item in stored["predictions"]]
        return Run(
            predictions=predictions,
            **{name: stored[name] for name in ("restorer_ms", "network_ms", "psnr", "ssim")},
        )
    except (ValueError, KeyError, TypeError):  # a file that was cut short is measured again
        return None


def write_run(
    folder: str | Path | None, key: dict[str, Any], run: Run, names: Sequence[str], task: MeasuredTask
) -> None:
    """Keep a run; the file appears whole or not at all. Without a folder nothing happens."""
    if folder is None:
        return
    path = _path(folder, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "key": key,
        "predictions": [
            {"name": name, **task.to_json(kept)} for name, kept in zip(names, run.predictions, strict=True)
        ],
        "restorer_ms": run.restorer_ms,
        "network_ms": run.network_ms,
        "psnr": run.psnr,
        "ssim": run.ssim,
    }
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, path)
