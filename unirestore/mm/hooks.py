"""Draws boxes and masks on the picture that the network saw, not on the file on disk.

The visualisation hooks of mmdet and mmseg read ``img_path`` again, so with a restorer in front what they draw lies on
the degraded photo and seems to come from nowhere. These hooks ask the preprocessor to restore the one picture that
is drawn; nothing is kept between batches. Also, unlike mmdet's, ``test_out_dir`` is joined to the work
directory once and not again with every batch. Source: written for this project against mmdet 3.5 and mmseg 1.4.
Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.engine.hooks import DetVisualizationHook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmseg.engine.hooks import SegVisualizationHook
from torch import nn

from .preprocessors import RestorationMixin

__all__ = ["RestoredSegVisualizationHook", "RestoredVisualizationHook", "restored_photo"]


class RestoredDrawing:
    """Put in front of a visualisation hook to draw on restored pictures."""

    compare: bool
    test_out_dir: str | None

    def options(self) -> dict[str, Any]:
        """What the visualiser of the package wants besides."""
        return {}

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any, outputs: Sequence[Any]) -> None:
        """Draw the first picture of every ``interval``-th batch."""
        step = runner.iter + batch_idx
        if self.draw and step % self.interval == 0:
            self._draw("val_img", runner.model, data_batch, 0, outputs[0], step, None)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any, outputs: Sequence[Any]
    ) -> None:
        """Draw every picture, into ``work_dir/timestamp/test_out_dir`` when that is set."""
        if not self.draw:
            return
        folder = None
        if self.test_out_dir is not None:
            folder = Path(runner.work_dir) / runner.timestamp / self.test_out_dir
            folder.mkdir(parents=True, exist_ok=True)
        for index, output in enumerate(outputs):
            self._test_index += 1
            target = None if folder is None else folder / Path(_name(output, self._test_index)).name
            self._draw("test_img", runner.model, data_batch, index, output, self._test_index, target)

    def _draw(
        self, tag: str, model: nn.Module, batch: Any, index: int, output: Any, step: int, target: Path | None
    ) -> None:
        photo, before = restored_photo(model, batch, index, output.ori_shape[:2])
        self._visualizer.add_datasample(
            Path(_name(output, step)).name if self.show else tag,
            photo,
            data_sample=output,
            show=self.show,
            wait_time=self.wait_time,
            step=step,
            out_file=None if target is None else str(target),
            **self.options(),
        )
        if target is not None and self.compare:
            drawn = cv2.imread(str(target))
            cv2.imwrite(str(target), np.concatenate([before[..., ::-1], drawn], axis=1))


@HOOKS.register_module()
class RestoredVisualizationHook(RestoredDrawing, DetVisualizationHook):
    """mmdet's visualisation hook, on restored pictures; same keys.

        default_hooks = dict(visualization=dict(type="RestoredVisualizationHook", draw=True))

    Args:
        compare: put the unrestored picture to the left of the drawn one (written files only).
        kwargs: ``draw``, ``interval``, ``score_thr``, ``show``, ``wait_time``, ``test_out_dir`` as for mmdet.
    """

    def __init__(self, *, compare: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compare = compare

    def options(self) -> dict[str, Any]:
        """Boxes below the score are not drawn."""
        return {"pred_score_thr": self.score_thr}


@HOOKS.register_module()
class RestoredSegVisualizationHook(RestoredDrawing, SegVisualizationHook):
    """mmseg's visualisation hook, on restored pictures; same keys.

        default_hooks = dict(visualization=dict(type="RestoredSegVisualizationHook", draw=True))

    Args:
        compare: put the unrestored picture to the left of the drawn one (written files only).
        test_out_dir: folder below ``work_dir/timestamp`` for the pictures of a test; ``None`` leaves them to the
            visualiser's backends.
        kwargs: ``draw``, ``interval``, ``show``, ``wait_time`` as for mmseg.
    """

    def __init__(self, *, compare: bool = False, test_out_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compare, self.test_out_dir = compare, test_out_dir


def restored_photo(
    model: nn.Module, batch: Any, index: int, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """One picture of a test batch, restored and as it came, at the size of the photo.

    Args:
        model: the runner's model; a data-parallel or test-time-augmentation wrapper is looked through.
        batch: what the data loader gave; for test-time augmentation the unflipped view is taken.
        index: position in the batch.
        shape: ``(H, W)`` of the photo, to which predictions refer.

    Returns:
        ``(restored, degraded)``, both uint8 ``(H, W, 3)`` RGB.

    Raises:
        TypeError: the model's preprocessor does not restore.
    """
    while is_model_wrapper(model) or not hasattr(model, "data_preprocessor") or hasattr(model, "merge_preds"):
        model = model.module
    preprocessor = model.data_preprocessor
    if not isinstance(preprocessor, RestorationMixin):
        raise TypeError(
            f"the model's data_preprocessor is {type(preprocessor).__name__}, which restores nothing; set "
            "its type to RestorationDetDataPreprocessor or RestorationSegDataPreprocessor, or use the package's "
            "own visualisation hook"
        )
    inputs, samples = batch["inputs"], batch.get("data_samples")
    if samples is not None and isinstance(samples[0], (list, tuple)):  # views of test-time augmentation
        view = next((i for i, of_view in enumerate(samples) if not of_view[index].get("flip", False)), 0)
        inputs, samples = inputs[view], samples[view]
    sample = None if samples is None else samples[index]
    pictures = []
    for restore in (True, False):
        picture = preprocessor.picture(inputs[index], sample, restore=restore)
        if picture.shape[:2] != tuple(shape):
            picture = cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        pictures.append(picture)
    return pictures[0], pictures[1]


def _name(output: Any, number: int) -> str:
    """File name of a prediction's photo; a running number where it has none."""
    return str(output.metainfo.get("img_path") or f"{number:06d}.png")
