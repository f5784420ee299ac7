"""Arms of a comparison: what happens to a photo before the detector sees it.

An arm is a function from one `(H, W, 3)` RGB uint8 photo to another of the same size. 8-bit in and out on
purpose: it is what a user would save and load, so no arm gains from precision that a file would not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unirestore.classical import chain, clahe, dark_channel_prior, mix

if TYPE_CHECKING:
    from torch import nn

Arm = Callable[[np.ndarray], np.ndarray]

NONE, CLEAN = "none", "clean"
"""The photo as it is, and the undegraded photo; `clean` is added by the measurement where it is known."""


@dataclass(frozen=True, kw_only=True)
class FoldedArm:
    """Cross-validation in one arm: a photo of one fold is restored by what was fitted on another fold.

    Args:
        fitted: fold -> the arm that was fitted on its photos.
        folds: fold -> names of its photos. A photo of no fold was fitted by none: the first arm restores it.

    Raises:
        ValueError: the folds of the two differ, there are fewer than two, or they share a photo.
    """

    fitted: Mapping[str, Arm]
    folds: Mapping[str, frozenset[str]]

    def __post_init__(self) -> None:
        if set(self.fitted) != set(self.folds) or len(self.folds) < 2:
            raise ValueError(
                f"a folded arm needs an arm for each of at least two folds, got arms for {sorted(self.fitted)} "
                f"and folds {sorted(self.folds)}"
            )
        check_folds(self.folds)

    def for_photo(self, name: str) -> Arm:
        """The arm that has not seen the photo."""
        return next(arm for fold, arm in self.fitted.items() if name not in self.folds[fold])


def check_folds(folds: Mapping[str, Iterable[str]]) -> None:
    """Raises ValueError where two folds share a photo, or one is empty."""
    owner: dict[str, str] = {}
    for fold, names in folds.items():
        if not names:
            raise ValueError(f"fold {fold!r} has no photo")
        for name in names:
            if owner.setdefault(name, fold) != fold:
                raise ValueError(f"{name} is in the folds {owner[name]!r} and {fold!r}; folds share no photo")


def none(image: np.ndarray) -> np.ndarray:
    """The photo as it is: what every other arm is compared to."""
    return image


CLASSICAL_ARMS: dict[str, Arm] = {
    NONE: none,
    "clahe": clahe,
    "dcp": dark_channel_prior,
    "mix": mix,
    "chain": chain,
}
"""Arms without weights; `mix` and `chain` are untrained blends that a learned arm has to beat."""


def restorer_arm(model: nn.Module, task: str, **options: Any) -> Arm:
    """A UniRestore model with one of its prompts, as an arm.

    Args:
        model: called as `model(images, task=task, **options)` with `(1, 3, H, W)` RGB in [0, 1] on the
            model's device; gives `(1, 3, H, W)`, or an object that holds it as `images`.
        task: name of the prompt: `ir`, `det`, ...
        options: further keywords of the call, for example `num_inference_steps=2`.

    Returns:
        The arm. It raises ValueError when the model's answer is not finite or has another size.
    """
    import torch

    def restore(image: np.ndarray) -> np.ndarray:
        weight = next(model.parameters(), torch.zeros(()))
        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))  # (3, H, W)
        images = planes[None].to(weight.device, weight.dtype) / 255
        with torch.inference_mode():
            restored = model(images, task=task, **options)
        restored = getattr(restored, "images", restored)
        if restored.shape != images.shape:
            raise ValueError(f"the {task!r} arm turned {tuple(images.shape)} into {tuple(restored.shape)}")
        restored = restored[0].float()
        if not torch.isfinite(restored).all():
            raise ValueError(f"the {task!r} arm gave values that are not finite; run it in float32")
        return (restored.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()

    return restore


def build_arms(names: Iterable[str], model: nn.Module | None = None) -> dict[str, Arm]:
    """Arms by name, in the order given: the classical ones, and every other name as a task of `model`.

    Args:
        names: for example `("none", "clahe", "dcp", "mix", "ir", "det")`; `none` is put first when it is
            missing, and `clean` is passed over, since the measurement adds it where it is known.
        model: the restorer, needed for names that are tasks.

    Raises:
        ValueError: a name is no classical arm and there is no model to restore with.
    """
    ordered = list(dict.fromkeys([NONE, *names]))
    arms: dict[str, Arm] = {}
    for name in ordered:
        if name == CLEAN:
            continue
        if name in CLASSICAL_ARMS:
            arms[name] = CLASSICAL_ARMS[name]
        elif model is None:
            raise ValueError(
                f"arm {name!r} is none of {', '.join(CLASSICAL_ARMS)}: it needs a restorer whose task it is"
            )
        else:
            arms[name] = restorer_arm(model, name)
    return arms
