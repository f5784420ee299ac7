"""Makes ``_base_ = "mmseg::folder/name.py"`` work with the maintained forks.

mmengine 0.10.12 looks for configs of ``mmseg`` in the distribution ``mmsegmentation``; the maintained one is called
``onedl-mmsegmentation``. Where the first is absent, mmengine is told to ask for the module itself, as it does for
mmdet. Licence: Apache-2.0.
"""

from __future__ import annotations

from importlib import metadata

from mmengine.config.utils import MODULE2PACKAGE

__all__ = ["find_configs"]


def find_configs() -> None:
    """Idempotent; nothing changes where the distribution that mmengine expects is installed."""
    try:
        metadata.distribution(MODULE2PACKAGE["mmseg"])
    except metadata.PackageNotFoundError:
        MODULE2PACKAGE["mmseg"] = "mmseg"
