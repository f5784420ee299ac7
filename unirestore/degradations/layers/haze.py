"""UniSER's haze renderer: relative depth, air that thins with height, smoke textures, wavelength-dependent density.

Simpler than `degradations.Haze` (no lamps, no multiple scattering, no exposure) and meant for pairs with layers.
Equations and numbers: arXiv:2511.14183 and the authors' public data tools. What differs: depth comes in metres and is
made relative by `reach` (theirs is a monocular model's, already relative); the random offset of tau is one number per
photo; dithering is left to `SensorNoise`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from ..base import Scene, require
from ..light import exp, to_linear
from ..portable import rounded
from ..scattering import CONTRAST_LOSS
from .haze_presets import HAZE_PRESETS, KINDS
from .layered import Layers, SoftEffect
from .perlin import smoke_texture

JITTER = 5  # 8-bit levels by which the airlight of a sampled haze differs from its preset, per channel
VEIL = 0.2  # largest random offset of the optical depth


@dataclass(frozen=True, kw_only=True)
class SoftHaze(SoftEffect):
    """Haze, fog or smoke over a photo, with its layers: the renderer of UniSER's training data.

    Formula: out = I T + A w (1 - T^eta), T = exp(-tau), tau_c = 3.912 / visibility * s_c * exp(-h / H) * D + veil,
    in linear light; D = (depth / reach)^gamma * depth_max, h = top_height * (1 - y), y from 0 (top) to 1 (bottom).
    The smoke texture multiplies all of tau; the veil is grey, alike in R, G and B.

    Source: UniSER, arXiv:2511.14183, and its public haze renderer.

    Args:
        kind: "haze", "fog" or "smoke"; fills `albedo`, `eta`, `scale_height`, `airlight`, `spectral` left at None.
        visibility: meteorological visibility in metres.
        airlight: sRGB colour of the air, three numbers in [0, 1].
        albedo: share of the light that is scattered and not absorbed (w), 0 to 1.
        eta: exponent of the airlight term, 0 to 1; below 1 distant air stays darker than the textbook's.
        scale_height: height in metres over which the density falls by e (H).
        top_height: height in metres that the top row of the photo stands for; None takes `scale_height`.
        spectral: factors of the density for R, G, B.
        depth_max: metres given to the farthest point.
        depth_gamma: exponent of the relative depth.
        reach: metres of `depth` that count as the farthest point; beyond is cut.
        veil: added to the optical depth everywhere, the air right in front of the lens.
        depth_blur: size of the Gaussian kernel on the depth map for a 512 px photo, odd; 0 leaves it sharp.
        smoke: strength of the smoke texture, 0 to 1.
    """

    kind: str = "haze"
    visibility: float | None = None
    airlight: tuple[float, float, float] | None = None
    albedo: float | None = None
    eta: float | None = None
    scale_height: float | None = None
    top_height: float | None = None
    spectral: tuple[float, float, float] | None = None
    depth_max: float = 120.0
    depth_gamma: float = 1.0
    reach: float = 80.0
    veil: float = 0.1
    depth_blur: int = 0
    smoke: float = 0.5

    presets: ClassVar = {"visibility": (1000.0, 500.0, 300.0, 200.0, 100.0)}

    def __post_init__(self) -> None:
        require(self.kind in KINDS, f"kind must be one of {sorted(KINDS)}, got {self.kind!r}")
        for name, value in KINDS[self.kind].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.top_height is None:
            object.__setattr__(self, "top_height", self.scale_height)
        super().__post_init__()

    def check(self) -> None:
        for name in ("visibility", "scale_height", "depth_max", "depth_gamma", "reach"):
            require(getattr(self, name) > 0, f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("veil", "top_height", "depth_blur"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(
            isinstance(self.depth_blur, int) and (self.depth_blur == 0 or self.depth_blur % 2 == 1),
            f"depth_blur must be 0 or an odd integer, got {self.depth_blur!r}",
        )
        for name in ("albedo", "smoke"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        require(0 < self.eta <= 1, f"eta must lie in (0, 1], got {self.eta}")
        for name, low, high in (("airlight", 0.0, 1.0), ("spectral", 0.0, 10.0)):
            values = getattr(self, name)
            require(
                len(values) == 3 and all(low <= v <= high for v in values),
                f"{name} must be three numbers in [{low:g}, {high:g}], got {values}",
            )

    @classmethod
    def preset(cls, name: str, rng: np.random.Generator | None = None) -> SoftHaze:
        """The configuration `name` of the 37 in `HAZE_PRESETS`, e.g. "fog/valley/50".

        With `rng` the random parts of the renderer are drawn too: airlight (+-5 levels), veil, depth blur. Raises
        ValueError for an unknown name.
        """
        require(name in HAZE_PRESETS, f"unknown haze preset {name!r}; known: {sorted(HAZE_PRESETS)}")
        fields = dict(HAZE_PRESETS[name])
        share = fields.pop("depth_blur_share", 1.0)
        if rng is not None:
            colour = np.asarray(fields.get("airlight", KINDS[fields["kind"]]["airlight"]))
            jitter = rng.integers(-JITTER, JITTER + 1, 3) / 255
            fields["airlight"] = tuple(float(c) for c in np.clip(colour + jitter, 0, 1))
            fields["veil"] = rng.uniform(0, VEIL)
            if rng.random() >= share:
                fields["depth_blur"] = 0
        return cls(**fields)

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> SoftHaze:
        """One of the 37 configurations with its random parts; with `severity`, one of the four hazes of the
        visibility that belongs to it (1000, 500, 300, 200, 100 m)."""
        names = list(HAZE_PRESETS)
        if severity is not None:
            names = [n for n in names if n.endswith(f"/{cls.presets['visibility'][severity - 1]:.0f}")]
            names = [n for n in names if n.startswith("haze/")]
        drawn = cls.preset(names[int(rng.integers(len(names)))], rng)
        fields = {**drawn.parameters(), "severity": severity, "smoke": 0.5 * float(rng.random() < 0.5)}
        return cls.from_parameters(fields)

    def render(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> Layers:
        height, width = scene.shape
        near = np.minimum(scene.depth, np.float32(self.reach)) * np.float32(1 / self.reach)
        if self.depth_gamma != 1:
            near = rounded(np.power, near, self.depth_gamma)
        if self.depth_blur:
            # OpenCV's sigma for a kernel size, stretched with the photo
            sigma = (0.3 * ((self.depth_blur - 1) * 0.5 - 1) + 0.8) * min(height, width) / 512
            near = cv2.GaussianBlur(near, (0, 0), max(sigma, 0.1)).reshape(height, width)
        rows = (np.arange(height, dtype=np.float32) + 0.5) / height
        thin = rounded(np.exp, (rows - 1) * np.float32(self.top_height / self.scale_height))
        tau = near * (thin * np.float32(CONTRAST_LOSS / self.visibility * self.depth_max))[:, None]
        veil = np.float32(self.veil)
        if self.smoke > 0:
            texture = smoke_texture((height, width), rng)
            patches = np.float32(1 - self.smoke) + np.float32(self.smoke) * texture
            tau *= patches
            veil = veil * patches
        air = to_linear(np.asarray(self.airlight, np.float32)) * np.float32(self.albedo)
        left, added = [], []
        for colour, factor in zip(air, self.spectral, strict=True):
            optical = tau * np.float32(factor) + veil
            t = exp(-optical)
            left.append(t)
            scattered = 1 - (t if self.eta == 1 else exp(optical * np.float32(-self.eta)))
            added.append(scattered * colour)
        return Layers(transmission=cv2.merge(left), light=cv2.merge(added), mask=1 - left[1])

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return self.render(image, rng, scene).over(image)
