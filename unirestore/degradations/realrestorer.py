"""RealRestorer's released synthesis (arXiv:2603.25502), with its numbers where our effects have the same knob.

    load_recipe("realrestorer").draw(seed)

The released code covers blur, haze, noise, rain, "sr" (web-style), moire and reflection, one of which is drawn here,
all alike; its patterns, textures and networks are not used. What is followed and what is not: the table in
`docs/degradations.md`. Written from the published numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .at_scale import AtScale
from .base import Degradation, require
from .camera import JpegCompression
from .compose import Compose, Identity
from .corruptions import ImpulseNoiseC
from .kernel_blur import KernelBlur
from .layers import Reflection, SoftHaze
from .moire import Moire
from .noise import GaussianNoise, GranularNoise, PoissonNoise
from .noise_fields import generator
from .rain import Rain

TASKS = ("blur", "haze", "noise", "rain", "sr", "moire", "reflection")
RESIZE = ("area", "bilinear", "bicubic")
Draw = np.random.Generator


@dataclass(frozen=True)
class RealRestorer:
    """Draws one task of the released synthesis with its numbers.

    Args:
        tasks: what to draw from, of `TASKS`.

    Raises:
        ValueError for a task that is not known.
    """

    tasks: tuple[str, ...] = TASKS

    def __post_init__(self) -> None:
        unknown = sorted(set(self.tasks) - set(TASKS))
        require(bool(self.tasks) and not unknown, f"tasks must be of {TASKS}, got {self.tasks}")

    def draw(self, seed: int) -> Degradation:
        """The degradation of `seed`, every parameter concrete."""
        rng = generator(seed, 0x5252)
        return _DRAWS[self.tasks[int(rng.integers(len(self.tasks)))]](rng)


def _jpeg(rng: Draw, low: int, high: int) -> JpegCompression:
    return JpegCompression(quality=int(rng.integers(low, high + 1)))


def _odd(rng: Draw, low: int, high: int) -> int:
    return low + 2 * int(rng.integers((high - low) // 2 + 1))


def blur(rng: Draw) -> Degradation:
    """Sinc or Gaussian blur, smaller, noise, JPEG; 70 %: a second blur, smaller still; bicubic back."""
    size = _odd(rng, 7, 21)
    if rng.random() < 0.5:
        first = KernelBlur(kind="sinc", sigma=1.0, size=size, cutoff=rng.uniform(math.pi / 4, math.pi))
    else:
        first = KernelBlur(sigma=rng.uniform(0.5, 6), size=size)
    if rng.random() < 0.75:
        noise = GaussianNoise(sigma=rng.uniform(1, 25) / 255)
    else:  # Real-ESRGAN's scale s of Poisson noise on 8 bits: 256 / s^2 photons
        noise = PoissonNoise(photons=256 / rng.uniform(0.05, 2.5) ** 2)
    smaller = float(rng.uniform(2, 4))
    inner: tuple[Degradation, ...] = (noise, _jpeg(rng, 20, 80))
    if rng.random() < 0.7:
        # by 3 to 5 in all, counted from the photo: one factor on top of the other would leave a twentieth
        ratio = min(1.0, smaller / float(rng.uniform(3, 5)))
        second = KernelBlur(sigma=rng.uniform(0.5, 5), size=_odd(rng, 7, 13))
        inner += (second, AtScale(scale=ratio, down=_filter(rng), up="bicubic", effects=(Identity(),)))
    scaled = AtScale(scale=1 / smaller, down=_filter(rng), up="bicubic", effects=inner)
    return Compose(effects=(first, scaled))


def haze(rng: Draw) -> Degradation:
    """Scattering over the relative depth (80 %), an uneven veil (70 %), at least one of them."""
    by_depth, texture = rng.random() < 0.8, rng.random() < 0.7
    beta, gamma = float(rng.uniform(0.6, 1.8)), float(rng.uniform(1, 2))
    level = float(np.interp(beta, (0.3, 3.0), (0.78, 0.95))) + float(rng.normal(0, 0.01))
    air = tuple(float(v) for v in np.clip((level, level, level + rng.uniform(0, 0.02)), 0.7, 1.0))
    alone = not by_depth
    return SoftHaze(
        kind="haze",
        airlight=air,
        albedo=1.0,
        eta=1.0,
        spectral=(1.0, 1.0, 1.0),
        top_height=0.0,  # the density does not fall with height
        depth_max=100.0,
        visibility=3.912 * 100 / (beta if by_depth else 1e-3),  # tau = beta depth^gamma
        depth_gamma=gamma,
        depth_blur=5,  # deviation 1.1 pixels at 512
        veil=-math.log(1 - float(rng.uniform(0.25, 0.6))) if texture or alone else 0.0,
        smoke=1.0 if texture or alone else 0.0,
    )


def noise(rng: Draw) -> Degradation:
    """Two to four of Gaussian, salt and pepper, Poisson and grain; half the time a web-like tail without noise.

    Their averaging where noise is dense (40 %) is left out: none of our effects has it.
    """
    kinds = (
        lambda: GaussianNoise(sigma=math.sqrt(rng.uniform(0.005, 0.1))),
        lambda: ImpulseNoiseC(amount=rng.uniform(0.005, 0.05)),
        lambda: PoissonNoise(photons=255.0),
        lambda: GranularNoise(sigma=8 / 255 * rng.uniform(0.6, 2.4), chroma=0.35),
    )
    chosen = sorted(rng.choice(4, int(rng.integers(2, 5)), replace=False).tolist())
    effects: tuple[Degradation, ...] = tuple(kinds[number]() for number in chosen)
    return (
        Compose(effects=(*effects, _web(rng, noisy=False)))
        if rng.random() < 0.5
        else Compose(effects=effects)
    )


def web(rng: Draw) -> Degradation:
    """Smaller, blurred (60 %), noisy (50 %), JPEG, back: task "sr"."""
    return _web(rng, noisy=True)


def _web(rng: Draw, *, noisy: bool) -> Degradation:
    effects: tuple[Degradation, ...] = ()
    if rng.random() < 0.6:
        effects += (KernelBlur(sigma=rng.uniform(0.1, 1.2), size=int(rng.choice((3, 5)))),)
    if rng.random() < 0.5 and noisy:
        effects += (GaussianNoise(sigma=rng.uniform(1, 10) / 255),)
    effects += (_jpeg(rng, 40, 60) if rng.random() < 0.2 else _jpeg(rng, 60, 95),)
    scales = {"scale": float(rng.uniform(0.5, 0.9)), "small_scale": float(rng.uniform(0.8, 1.0))}
    return AtScale(**scales, small_side=512, down=_filter(rng), up="bicubic", effects=effects)


def rain(rng: Draw) -> Degradation:
    """8,000 to 15,000 streaks within 15 degrees of the vertical in clear air; half the time a field of more behind.

    In our units: their events are taken as those of a picture of 1024 x 1024 (the side they train at), so `streaks`
    is a tenth of them on 320 x 320 pixels; an angle of 75 to 105 degrees leans by -15 to 15; lengths of 5 to 50
    pixels at 1024 are those of `Rain`'s three layers by depth and their spread, for its length of 4.5 to 6.6; a
    brightness of .7 to .95 is the opacity of a streak's core before it is blurred, which `Rain` sets to 1.6
    `streak_strength`. `Rain` has no knob for the thickness and for motion blur in two of five pictures: here both
    grow as a streak comes nearer.
    """
    scale = 1024 / 320  # their pixels in one of our units
    falling = {
        "visibility": 1e9,
        "spray": 0.0,
        "wetness": 0.0,
        "scene_light": 1.0,
        "blur": 0.0,
        "glow": 0.0,
        "lens": 0.0,
        "vignette": 0.0,
        "gradient": 0.0,
        "horizon": 0.0,  # clear air: the sky stays; splashes may be anywhere
        "airlight": (0.95, 0.95, 0.95),
        "streak_angle": float(rng.uniform(-15, 15)),
    }
    near = Rain(
        streaks=rng.uniform(8000, 15000) / scale**2,
        streak_length=rng.uniform(4.5, 6.6),
        streak_strength=rng.uniform(0.7, 0.95) / 1.6,
        splashes=rng.uniform(0.02, 0.07),
        **falling,
    )
    if rng.random() < 0.5:
        return near
    alpha = rng.uniform(0.25, 0.6)  # of their pictures of rain; ours is a second field, of longer streaks
    texture = Rain(streaks=300.0, streak_length=18.0, streak_strength=alpha / 1.6, splashes=0.0, **falling)
    return Compose(effects=(near, texture))


def reflection(rng: Draw) -> Degradation:
    """Focused, defocused (5 to 10 pixels) or doubled (5 to 10 %, at half to full brightness)."""
    drawn = Reflection.sample(rng).parameters()
    return Reflection.from_parameters({**drawn, "shift": float(rng.uniform(0.05, 0.1))})


def _filter(rng: Draw) -> str:
    return RESIZE[int(rng.integers(3))]


_DRAWS = {
    "blur": blur,
    "haze": haze,
    "noise": noise,
    "rain": rain,
    "sr": web,
    "moire": Moire.sample,  # theirs are weights of pasted patterns
    "reflection": reflection,
}
