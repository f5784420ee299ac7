"""UniRestore: restores degraded photos for people and for frozen detectors, with one prompt per task.

Five lines of use::

    import torch
    from unirestore import UniRestore

    model = UniRestore.build("tiny").eval()
    restored = model(torch.rand(1, 3, 240, 320), task="det")  # (1, 3, 240, 320) RGB in [0, 1]

Importing this package imports neither torch nor any OpenMMLab package: names are looked up when first used,
and :mod:`unirestore.mm` is the only room that knows mmdet.
"""

from __future__ import annotations

import importlib

from .version import __version__

# public name -> module that defines it
_LAZY = {
    "RestorationPipeline": ".pipeline",
    "UniRestore": ".models",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str):
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name], __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
