"""The named recipes.

- `web`: one pass of what a shared photo goes through: resize, blur, noise, JPEG, back. Ranges of RealRestorer's
  published synthesis (arXiv:2603.25502, "web-style").
- `second_order`: blur, resize, noise, JPEG, twice, with sinc ringing at the end: Real-ESRGAN (arXiv:2107.10833)
  with its published shares and ranges; differs by keeping the photo's size.
- `weather_camera`: haze, rain or clear air, then the camera.
- `nine`: the nine tasks of RealRestorer, all alike (section 3.1 of its paper trains so), then half the time `web`.
- `realrestorer`: RealRestorer's released synthesis with its numbers where our effects can, see `RealRestorer`.
- `corruptions`: the training sampler of UniRestore, see `CorruptionMixture`.
- `everything`: any one effect, all alike, at a severity drawn with the shares .05 .25 .40 .25 .05.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import REGISTRY, require
from .compose import Group
from .recipes import RECIPES, SAMPLERS

Node = Mapping[str, Any]
RESIZE = {"choice": ["area", "bilinear", "bicubic"]}
SEVERITY_SHARES = (0.05, 0.25, 0.40, 0.25, 0.05)


def uniform(low: float, high: float) -> Node:
    """A number drawn evenly from [low, high]."""
    return {"uniform": [low, high]}


def jpeg(low: int, high: int) -> Node:
    """JPEG at a quality drawn from low..high."""
    return {"effect": "JpegCompression", "params": {"quality": {"integer": [low, high]}}}


def kernel(sigma: tuple[float, float], probability: float = 1.0, sinc: float = 0.1) -> Node:
    """A Real-ESRGAN blur: 10 % ringing, else a Gaussian (70 %), generalized or plateau kernel."""
    turned = {"ratio": uniform(0.3, 1.0), "angle": uniform(-180, 180)}
    width = {"sigma": uniform(*sigma)}
    kinds = [
        {"kind": "gaussian"},
        {"kind": "gaussian", **turned},
        {"kind": "generalized", "beta": uniform(0.5, 4.0)},
        {"kind": "generalized", "beta": uniform(0.5, 4.0), **turned},
        {"kind": "plateau", "beta": uniform(1.0, 2.0)},
        {"kind": "plateau", "beta": uniform(1.0, 2.0), **turned},
        {"kind": "sinc", "cutoff": uniform(1.05, 3.14)},
    ]
    shares = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    return {
        "one_of": [{"effect": "KernelBlur", "params": {**width, **params}} for params in kinds],
        "weights": [share * (1 - sinc) for share in shares] + [sinc],
        "probability": probability,
    }


def noise(level: tuple[float, float], strength: float) -> Node:
    """Gaussian noise of a deviation in 1/255, or Poisson noise up to `strength`, half each; 40 % grey.

    Real-ESRGAN scales 8-bit Poisson noise by s: variance s^2 I / 256, so 256 / s^2 photons. It draws s evenly
    from almost 0; here photons are drawn log-evenly for s from 0.5 (a deviation of 1/32 at white) or less.
    """
    grey = {"choice": [True, False], "weights": [0.4, 0.6]}
    sigma = uniform(level[0] / 255, level[1] / 255)
    photons = {"log_uniform": [256 / strength**2, 256 / min(0.5, strength / 2) ** 2]}
    return {
        "one_of": [
            {"effect": "GaussianNoise", "params": {"sigma": sigma, "grey": grey}},
            {"effect": "PoissonNoise", "params": {"photons": photons, "grey": grey}},
        ]
    }


RINGING = {"effect": "KernelBlur", "params": {"kind": "sinc", "sigma": 1.0, "cutoff": uniform(1.05, 3.14)}}

RECIPES["web"] = {
    "at_scale": uniform(0.5, 0.9),
    "down": RESIZE,
    "chain": [
        {"effect": "KernelBlur", "params": {"sigma": uniform(0.1, 1.2)}, "probability": 0.6},
        {**noise((1, 10), 0.5), "probability": 0.5},
        {"one_of": [jpeg(60, 95), jpeg(40, 60)], "weights": [0.8, 0.2]},
    ],
}
RECIPES["second_order"] = {
    "chain": [
        kernel((0.2, 3.0)),
        {
            "one_of": [
                {"at_scale": scale, "down": RESIZE, "up": RESIZE, "chain": rest}
                for scale in (uniform(0.15, 1.0), 1.0, uniform(1.0, 1.5))
                for rest in [
                    [
                        noise((1, 30), 3.0),
                        jpeg(30, 95),
                        kernel((0.2, 1.5), probability=0.8),
                        {
                            "at_scale": uniform(0.3, 1.2),
                            "down": RESIZE,
                            "up": RESIZE,
                            "chain": [
                                noise((1, 25), 2.5),
                                {
                                    "one_of": [
                                        {"chain": [{**RINGING, "probability": 0.8}, jpeg(30, 95)]},
                                        {"chain": [jpeg(30, 95), {**RINGING, "probability": 0.8}]},
                                    ]
                                },
                            ],
                        },
                    ]
                ]
            ],
            "weights": [0.7, 0.1, 0.2],
        },
    ]
}
RECIPES["nine"] = {
    "chain": [
        {
            "one_of": [
                {"one_of": [{"effect": name} for name in ("MotionBlur", "DefocusBlur", "TemporalBlur")]},
                {"effect": "Compression"},
                {"effect": "Flare"},
                {"effect": "Haze"},
                {"effect": "LowLight"},
                {"effect": "Moire"},
                {
                    "one_of": [
                        {"effect": f"{kind}Noise"} for kind in ("Gaussian", "Poisson", "Granular", "Segment")
                    ]
                },
                {"effect": "Rain"},
                {"effect": "Reflection"},
            ]
        },
        {"recipe": "web", "probability": 0.5},
    ]
}
RECIPES["weather_camera"] = {"mixture": "mixed", "clean": 0.1}


def with_severities() -> list[str]:
    """Names of this package's effects whose severity 1 to 5 sets their parameters, in order of their names."""
    own = (cls for cls in REGISTRY.values() if cls.__module__.startswith("unirestore."))
    return sorted(
        cls.__name__
        for cls in own
        if (cls.presets or hasattr(cls, "QUALITIES")) and not issubclass(cls, Group)
    )


def one_at_a_severity(name: str) -> Node:
    """The effect `name` at a severity drawn with `SEVERITY_SHARES`."""
    levels = [{"effect": name, "severity": level} for level in range(1, 6)]
    return {"one_of": levels, "weights": list(SEVERITY_SHARES)}


def everything() -> Node:
    """One effect of all that are registered."""
    return {"one_of": [one_at_a_severity(name) for name in with_severities()]}


RECIPES["everything"] = everything


def corruptions(severity: int | None) -> Any:
    """The training sampler of UniRestore."""
    from .corruptions import CorruptionMixture

    return CorruptionMixture(severity=severity)


def realrestorer(severity: int | None) -> Any:
    """The released synthesis of RealRestorer."""
    from .realrestorer import RealRestorer

    require(
        severity is None,
        f"severity={severity} cannot be put on realrestorer: its ranges are the published ones",
    )
    return RealRestorer()


SAMPLERS["corruptions"] = corruptions
SAMPLERS["realrestorer"] = realrestorer
