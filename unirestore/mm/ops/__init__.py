"""``mmcv._ext`` without a compiler.

``pip install onedl-mmcv`` finishes without the compiled operators, and then ``import mmcv.ops`` fails, and
with it ``import mmdet.models``. :func:`install` puts a module of our own at ``sys.modules["mmcv._ext"]``,
built on torch and torchvision, that answers to the same names and calls: the results are written into the
buffers that mmcv hands over.

=============================================  =============================================================
operator                                       here
=============================================  =============================================================
``nms``, ``softnms``, ``nms_match``            :mod:`.suppression` (``batched_nms`` of mmcv rests on them)
``roi_align_forward/backward``                 :mod:`.roi_align`, average and maximum
``modulated_deform_conv_forward/backward``     :mod:`.deformable`
``deform_conv_forward/backward_*``             :mod:`.deformable`
``ms_deform_attn_forward/backward``            :mod:`.deformable`
``sigmoid_focal_loss_forward/backward``        :mod:`.focal_loss`
``bbox_overlaps``                              :mod:`.suppression`
every other name                               raises ``NotImplementedError`` that names the operator
=============================================  =============================================================

Where the compiled operators are present, :func:`install` does nothing. It must run before ``mmcv.ops`` is
imported; ``import unirestore.mm`` does so.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from collections.abc import Callable
from importlib.machinery import ModuleSpec

from . import deformable, focal_loss, roi_align, suppression

__all__ = ["OPERATORS", "install", "is_supplied"]

NAME = "mmcv._ext"

HOW_TO_COMPILE = (
    "Compile the operators of mmcv against the torch that is installed: "
    "pip install ninja psutil 'setuptools>=80' wheel && "
    "MMCV_WITH_OPS=1 pip install --no-build-isolation --no-deps --force-reinstall --no-cache-dir "
    "--no-binary onedl-mmcv onedl-mmcv "
    "(about 30 CPU minutes; needs a C++17 compiler and torch < 2.14). unirestore steps aside then."
)


def get_compiler_version() -> str:
    """What mmdet prints about its environment as the compiler of the operators."""
    return "none (operators supplied by unirestore.mm.ops from torchvision)"


def get_compiling_cuda_version() -> str:
    """What mmdet prints about its environment as the CUDA version of the operators."""
    return "none (operators supplied by unirestore.mm.ops from torchvision)"


OPERATORS: dict[str, Callable] = {
    function.__name__: function
    for function in (
        suppression.nms,
        suppression.softnms,
        suppression.nms_match,
        suppression.bbox_overlaps,
        roi_align.roi_align_forward,
        roi_align.roi_align_backward,
        deformable.modulated_deform_conv_forward,
        deformable.modulated_deform_conv_backward,
        deformable.deform_conv_forward,
        deformable.deform_conv_backward_input,
        deformable.deform_conv_backward_parameters,
        deformable.ms_deform_attn_forward,
        deformable.ms_deform_attn_backward,
        focal_loss.sigmoid_focal_loss_forward,
        focal_loss.sigmoid_focal_loss_backward,
        get_compiler_version,
        get_compiling_cuda_version,
    )
}


class _Extension(types.ModuleType):
    """Stands in for the compiled module: any name resolves, and the unknown ones fail when called."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):  # the import system asks for names such as __path__
            raise AttributeError(name)

        def missing(*args, **kwargs):
            raise NotImplementedError(
                f"mmcv operator {name!r} is not compiled here and unirestore.mm.ops does not supply it; "
                f"supplied are {', '.join(sorted(OPERATORS))}. {HOW_TO_COMPILE}"
            )

        missing.__name__ = name
        return missing


def is_supplied() -> bool:
    """True where ``mmcv._ext`` is the module of this package and not a compiled one."""
    return isinstance(sys.modules.get(NAME), _Extension)


def install() -> bool:
    """Supply ``mmcv._ext`` where it is absent; calling it again changes nothing.

    Returns:
        True where the operators come from this package, False where a compiled module is there.

    Raises:
        ModuleNotFoundError: mmcv is not installed.

    A compiled module that is there but cannot be loaded (built against another torch) is replaced, with a
    warning.
    """
    if NAME in sys.modules:
        return is_supplied()
    if importlib.util.find_spec("mmcv") is None:
        raise ModuleNotFoundError(
            "unirestore.mm needs the OpenMMLab packages, and mmcv is not installed: "
            "pip install 'unirestore[mm]' (in a checkout: pip install -c constraints.txt -e '.[mm]')",
            name="mmcv",
        )
    if importlib.util.find_spec(NAME) is not None:
        try:
            importlib.import_module(NAME)
            return False
        except (ImportError, OSError) as error:
            warnings.warn(
                f"the compiled operators of mmcv do not load ({error}); unirestore.mm.ops supplies them from "
                f"torchvision. {HOW_TO_COMPILE}",
                RuntimeWarning,
                stacklevel=2,
            )
    module = _Extension(NAME, __doc__)
    module.__spec__ = ModuleSpec(NAME, loader=None, origin=__name__)
    module.__dict__.update(OPERATORS)
    sys.modules[NAME] = module
    return True
