"""The seam into OpenMMLab: the only room of the package that imports mmcv, mmdet or mmseg.

Name it in a config and every class of this room is registered::

    custom_imports = dict(imports=["unirestore.mm"])

Importing it first supplies the compiled operators of mmcv from torchvision where they are absent
(:func:`unirestore.mm.ops.install`), because ``import mmdet.models`` fails without them, and lets configs inherit
from ``mmseg::`` (:mod:`unirestore.mm.hub`).
"""

from __future__ import annotations

import importlib
from types import ModuleType

from .hub import find_configs
from .ops import install

install()
find_configs()

# modules of the seam in the order of their imports
_SEAM = (
    "class_names",
    "checkpoints",
    "restorer_state",
    "preprocessors",
    "backbone",
    "transforms",
    "hooks",
    "frozen",
    "downstream",
    "pixels",
    "segmentor",
    "depth",
    "downstream_stage",
    "detector_stage",
    "segmentor_stage",
    "depth_stage",
    "classifier",
    "measure",
)

__all__ = ["install"]


def _public_names(module: ModuleType) -> list[str]:
    """``__all__`` of a module, or else the classes and functions that it defines itself."""
    defined_here = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return list(getattr(module, "__all__", defined_here))


for _name in _SEAM:
    _module = importlib.import_module(f"{__name__}.{_name}")
    for _public in _public_names(_module):
        globals()[_public] = getattr(_module, _public)
        __all__.append(_public)
