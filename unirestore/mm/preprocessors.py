"""Restoration as a data preprocessor of mmdet or mmseg: two keys turn a config into a restoring one.

    custom_imports = dict(imports=["unirestore.mm"])
    model = dict(data_preprocessor=dict(type="RestorationDetDataPreprocessor", restorer="tiny"))  # mmdet
    model = dict(data_preprocessor=dict(type="RestorationSegDataPreprocessor", restorer="tiny"))  # mmseg

All other keys (``mean``, ``std``, ``bgr_to_rgb``, ``pad_size_divisor``, ``size``, ``seg_pad_val``,
``batch_augments`` ...) stay those of the base config. Each image is restored after the pipeline's resize and before
normalisation and batching; sizes never change, padding of one colour is left alone. A segmentor that slides a window
over the picture slides it over the restored one. Where the published work restores inside ``extract_feat``, on
normalised input, this is independent of the network behind it. Source: written for this project against mmengine
0.10, mmdet 3.5 (``DetDataPreprocessor``) and mmseg 1.4 (``SegDataPreProcessor``). Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmengine.registry import MODELS
from mmseg.models.data_preprocessor import SegDataPreProcessor
from torch import Tensor, nn

from .picture_area import picture_area
from .restorer_state import RestorerGuest, build_restorer

__all__ = ["RestorationDetDataPreprocessor", "RestorationMixin", "RestorationSegDataPreprocessor"]


class RestorationMixin:
    """Put in front of a data preprocessor class to restore each image before that class sees it.

    Args:
        restorer: folder, name of shipped weights or hub id, ``dict(preset=...)``, or a module called as
            ``restorer(images, task=...)`` with ``(B, 3, H, W)`` RGB in [0, 1]; ``None`` restores nothing
            (the comparison row).
        task: prompt of the restorer.
        gate: 0 to 1: pictures that the restorer's gate finds less likely degraded than this pass untouched, bit for
            bit and for a few percent of the time (see `UniRestore.degradation`); ``None`` restores all.
        train_restorer: train the restorer together with the detector (its weights are then saved with it).
        round_to_uint8: round restored values to the 8 bits a saved photo would have; only with a frozen
            restorer, since rounding has no gradient.
        kwargs: everything the data preprocessor itself takes.

    Raises:
        ValueError: ``round_to_uint8`` together with ``train_restorer``, or ``train_restorer`` without
            restorer; later, in use: ``gate`` is set and the restorer has none.
    """

    def __init__(
        self,
        *,
        restorer: str | Path | Mapping[str, Any] | nn.Module | None,
        task: str = "det",
        gate: float | None = None,
        train_restorer: bool = False,
        round_to_uint8: bool = False,
        **kwargs: Any,
    ) -> None:
        if train_restorer and round_to_uint8:
            raise ValueError("round_to_uint8 has no gradient; leave it off while train_restorer is on")
        if train_restorer and restorer is None:
            raise ValueError("train_restorer is on but restorer is None; name a restorer to train")
        super().__init__(**kwargs)
        # the pipeline loads BGR unless the config says that it delivers RGB and the detector wants BGR
        self._receives_rgb = bool(kwargs.get("rgb_to_bgr", False))
        self.task = task
        self.gate = {} if gate is None else {"gate": float(gate)}
        self.round_to_uint8 = round_to_uint8
        self.restorer = (
            None if restorer is None else RestorerGuest(build_restorer(restorer), trainable=train_restorer)
        )

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Restore the images, then do what the data preprocessor always did.

        Args:
            data: ``inputs``: list of ``(3, H, W)`` or one ``(B, 3, H, W)``, 0-255 in the pipeline's channel
                order; ``data_samples``: their annotations, or absent.
            training: as for the data preprocessor.

        Returns:
            ``inputs`` as ``(B, 3, H', W')`` normalised float32, and ``data_samples``.
        """
        if self.restorer is None:
            return super().forward(data, training)
        data = dict(self.cast_data(data))
        data["inputs"] = self.restore(data["inputs"], data.get("data_samples"))
        return super().forward(data, training)

    def restore(
        self, inputs: Sequence[Tensor] | Tensor, samples: Sequence[Any] | None
    ) -> list[Tensor] | Tensor:
        """Restored images of the same sizes, in the same order of channels, float32 0-255.

        Args:
            inputs: list of ``(3, H, W)`` or one ``(B, 3, H, W)``, 0-255.
            samples: their data samples, for the extent of the padding.
        """
        metas = (
            [None] * len(inputs) if not samples else [getattr(sample, "metainfo", None) for sample in samples]
        )
        areas = [picture_area(image, meta) for image, meta in zip(inputs, metas, strict=True)]
        restored: list[Tensor | None] = [None] * len(inputs)
        for group in _same_size(areas):
            pictures = torch.stack(
                [inputs[i][(slice(None), *areas[i])].float() for i in group]
            )  # (G, 3, h, w)
            pictures = self._restore_pictures(pictures)
            for i, picture in zip(group, pictures, strict=True):
                restored[i] = _put_back(inputs[i], areas[i], picture)
        return torch.stack(restored) if isinstance(inputs, Tensor) else restored

    def _restore_pictures(self, pictures: Tensor) -> Tensor:
        """``(G, 3, h, w)`` 0-255 in the pipeline's channel order, restored."""
        rgb = pictures.clamp(0, 255) / 255
        rgb = rgb if self._receives_rgb else rgb.flip(1)
        rgb = self.restorer(rgb, self.task, **self.gate)
        values = (rgb if self._receives_rgb else rgb.flip(1)) * 255
        return values.round() if self.round_to_uint8 else values

    @torch.no_grad()
    def picture(self, image: Tensor, sample: Any = None, *, restore: bool = True) -> np.ndarray:
        """The picture that the detector gets for one input, made on request and kept nowhere.

        Args:
            image: ``(3, H, W)`` 0-255 out of the pipeline.
            sample: its data sample.
            restore: ``False`` gives the picture before restoration.

        Returns:
            uint8 ``(h, w, 3)`` RGB of the picture without padding, at the size of the network input.
        """
        image = image.to(self.device)
        rows, columns = picture_area(image, getattr(sample, "metainfo", None))
        picture = image[:, rows, columns].float()
        if restore and self.restorer is not None:
            picture = self._restore_pictures(picture[None])[0]
        picture = picture if self._receives_rgb else picture.flip(0)
        return picture.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()


@MODELS.register_module()
class RestorationDetDataPreprocessor(RestorationMixin, DetDataPreprocessor):
    """mmdet's ``DetDataPreprocessor`` with a restorer in front; see :class:`RestorationMixin`."""


@MODELS.register_module()
class RestorationSegDataPreprocessor(RestorationMixin, SegDataPreProcessor):
    """mmseg's ``SegDataPreProcessor`` with a restorer in front; see :class:`RestorationMixin`.

    The task is ``"seg"`` unless another is named, which the restorer must know; the shipped ``tiny`` has ``ir`` and
    ``det``, ``configs/tfa_seg.py`` trains one with ``seg``.
    """

    def __init__(self, *, task: str = "seg", **kwargs: Any) -> None:
        super().__init__(task=task, **kwargs)


def _same_size(areas: Sequence[tuple[slice, slice]]) -> list[list[int]]:
    """Indices of the images whose pictures have one size, so that they are restored in one call."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, (rows, columns) in enumerate(areas):
        groups.setdefault((rows.stop - rows.start, columns.stop - columns.start), []).append(index)
    return list(groups.values())


def _put_back(image: Tensor, area: tuple[slice, slice], picture: Tensor) -> Tensor:
    """``image`` as float32 with ``picture`` in ``area``; differentiable in ``picture``."""
    if picture.shape == image.shape:
        return picture
    whole = image.float().clone()
    whole[(slice(None), *area)] = picture
    return whole
