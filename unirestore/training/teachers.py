"""Teachers of Uni-Removal: frozen restorers, each for a family of weather, behind one interface.

Uni-Removal (arXiv 2307.05075) distils pre-trained single-degradation networks into one student; which networks is
not known to us. Here a teacher is whatever gives a picture, and features if it has them (ours):

    answer = teacher(images, task)     # answer.image (B, 3, H, W), answer.features: list of (B, C, h, w)

A folder of small configs says which teacher answers for which weather and under which licence it may be used:

    family = ["road_fog"]                                            # mixtures, or types as in a manifest (Haze)
    teacher = dict(type="RestorerTeacher", restorer="work_dirs/teacher_road_fog/restorer")
    licence = "CC BY-NC 4.0 (CamVid photos were trained on)"

Licence: Apache-2.0.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import Registry
from torch import Tensor, nn

from unirestore.classical import CANDIDATES
from unirestore.models.loading import build_restorer

from .routing import weather_types

TEACHERS = Registry("teacher")
KEYS = ("family", "teacher", "licence")


class Answer(NamedTuple):
    """What a teacher says about a batch."""

    image: Tensor
    """`(B, 3, H, W)` RGB, about [0, 1]."""
    features: list[Tensor]
    """Levels `(B, C, h, w)`, in the order of the student's pyramid (deepest first); empty where it has none."""


class Teacher(nn.Module):
    """Base of teachers: frozen, always in evaluation mode, asked without gradients. Subclasses write `answer`."""

    def train(self, mode: bool = True) -> Teacher:
        """Stays in evaluation mode whatever `mode` says."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor, task: str) -> Answer:
        """`images` `(B, 3, H, W)` RGB in [0, 1] and the task that the student decodes for -> `Answer`.

        Raises ValueError where the answer's picture has another shape than the photo.
        """
        found = self.answer(images, task)
        image, features = found if isinstance(found, tuple) else (found, [])
        if image.shape != images.shape:
            raise ValueError(
                f"{type(self).__name__} answered with a picture {tuple(image.shape)} to {tuple(images.shape)}; "
                "a teacher keeps size and channels"
            )
        return Answer(image.to(images), list(features))

    def answer(self, images: Tensor, task: str) -> Tensor | tuple[Tensor, Sequence[Tensor]]:
        """The picture alone, or the picture and features."""
        raise NotImplementedError


@TEACHERS.register_module()
class RestorerTeacher(Teacher):
    """A restorer of this library; its features are the decoder pyramid after TFA, at its working scale.

    Args:
        restorer: as for `build_restorer`: a folder, the name of shipped weights, a mapping.
        task: the prompt that it is always asked with; None follows the student's task, and falls back on its first
            task where it does not know that one.
    """

    def __init__(self, restorer: Any, task: str | None = None) -> None:
        super().__init__()
        self.restorer = build_restorer(restorer)
        if task is not None and task not in self.restorer.tasks:
            raise ValueError(f"this teacher has no task {task!r}; it has {', '.join(self.restorer.tasks)}")
        self.task = task
        self.requires_grad_(False)
        self.train()

    def answer(self, images: Tensor, task: str) -> tuple[Tensor, list[Tensor]]:
        asked = self.task or (task if task in self.restorer.tasks else self.restorer.tasks[0])
        seen = self.restorer.encode(images)
        latent = self.restorer.denoise(seen.latent)
        return self.restorer.decode(latent, seen.skips, asked, images, output="both")


@TEACHERS.register_module()
class ClassicalTeacher(Teacher):
    """An untrained restorer out of `unirestore.classical.CANDIDATES`, such as "dcp"; it has no features."""

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in CANDIDATES:
            raise ValueError(f"no classical restorer {name!r}; there are {', '.join(CANDIDATES)}")
        self.name = name

    def answer(self, images: Tensor, task: str) -> Tensor:
        pictures = (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, 3)
        restored = np.stack([CANDIDATES[self.name](np.ascontiguousarray(picture)) for picture in pictures])
        return torch.from_numpy(restored).permute(0, 3, 1, 2).to(images) / 255


@TEACHERS.register_module()
class CallableTeacher(Teacher):
    """Any `images -> image` or `images -> (image, features)`: a function, a network, or a class that makes one.

    Args:
        function: the callable, or where to import it from, as "package.module:name".
        options: where given, `function(**options)` is called once and gives the callable.

    Raises:
        ValueError: the text is not "module:name", or the module has no such name.
        TypeError: what was found cannot be called.
    """

    def __init__(self, function: Callable | str, options: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        if isinstance(function, str):
            function = _imported(function)
        self.function = function if options is None else function(**options)
        if not callable(self.function):
            raise TypeError(
                f"a teacher must be callable as images -> image, got a {type(self.function).__name__}"
            )
        self.requires_grad_(False)
        self.train()

    def answer(self, images: Tensor, task: str) -> Tensor | tuple[Tensor, Sequence[Tensor]]:
        return self.function(images)


class Appointment(NamedTuple):
    """A teacher and what it answers for."""

    name: str
    types: frozenset[str]
    teacher: Teacher
    licence: str


def load_teachers(teachers: str | Path | Sequence[str | Path | Mapping[str, Any]]) -> list[Appointment]:
    """Teachers from a folder of configs, or from a list of config files and mappings with the same keys.

    Raises:
        FileNotFoundError: no such folder or file, or the weights that a config names are not there.
        ValueError: a config lacks a key, has no licence, names weather that does not exist, or two teachers answer
            for one type of weather.
    """
    if isinstance(teachers, (str, Path)):
        folder = Path(teachers)
        files = [folder] if folder.suffix == ".py" else sorted(folder.glob("*.py"))
        if not files:
            raise FileNotFoundError(f"{folder}: no teacher configs (*.py) there")
        teachers = files
    found: list[Appointment] = []
    for number, entry in enumerate(teachers):
        name, settings = _settings(entry, number)
        try:
            appointed = _appoint(name, settings)
        except (FileNotFoundError, TypeError, ValueError) as error:
            raise type(error)(f"teacher {name}: {error}") from error
        for other in found:
            if both := sorted(other.types & appointed.types):
                raise ValueError(
                    f"teachers {other.name} and {name} both answer for {', '.join(both)}; take it out of one family, "
                    "or give a list of the configs that you want"
                )
        found.append(appointed)
    return found


def _settings(entry: str | Path | Mapping[str, Any], number: int) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, Mapping):
        settings = dict(entry)
        return str(settings.pop("name", number)), settings
    if not Path(entry).is_file():
        raise FileNotFoundError(f"no teacher config at {entry}")
    config = Config.fromfile(str(entry))
    return Path(entry).stem, {key: config[key] for key in config if key != "custom_imports"}


def _appoint(name: str, settings: Mapping[str, Any]) -> Appointment:
    if missing := [key for key in KEYS if not settings.get(key)]:
        advice = "; say under which licence it may be used" if "licence" in missing else ""
        raise ValueError(f"it lacks {', '.join(missing)}{advice}")
    if unknown := sorted(set(settings) - set(KEYS)):
        raise ValueError(f"unknown keys {', '.join(unknown)}; it takes {', '.join(KEYS)}")
    types, teacher = weather_types(list(settings["family"])), settings["teacher"]
    if isinstance(teacher, Mapping):
        teacher = TEACHERS.build(dict(teacher))
    if not isinstance(teacher, Teacher):
        teacher = CallableTeacher(teacher)
    return Appointment(name, types, teacher, str(settings["licence"]))


def _imported(text: str) -> Any:
    module, _, name = text.partition(":")
    if not module or not name:
        raise ValueError(f"{text!r} does not say where a teacher is; write package.module:name")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise ValueError(f"{module} has no {name}") from error
