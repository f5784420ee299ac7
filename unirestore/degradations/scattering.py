"""Light through turbid air, in linear light: what haze and the veil of rain have in common.

Koschmieder (1924): I = J t + A (1 - t) with t = exp(-tau); tau = beta d in even air, beta = 3.912 / V for a
meteorological visibility V at which contrast has fallen to 2 % (exp(-3.912) = 0.02). Added to the textbook
model:
  - the air thins with height above the road: tau is multiplied by the mean of exp(-h / height_scale) along
    the ray;
  - light scattered several times arrives from beside the direct path: the scene is blurred by an amount
    that grows with tau, and lamps get a halo (a cheap stand-in for Narasimhan and Nayar, CVPR 2003);
  - bright sky between branches is sky, whatever the depth says (`open_sky`);
  - under fog there are no hard shadows (`overcast`).
"""

from __future__ import annotations

import cv2
import numpy as np

from .depth import FOCAL
from .light import added, blurred, exp, mixed, picture_unit, ramp, to_linear, triple
from .noise_fields import smooth_noise
from .portable import rounded

CONTRAST_LOSS = 3.912  # -ln(0.02)
THICK = 30.0  # largest optical depth that is told apart; exp(-30) is far below one 8-bit level
MID_GREY = 0.2  # linear
_TINTS = np.array(  # (share, R/G from, to, B/G from, to), measured on road photos in fog and rain
    [
        (0.54, 0.96, 1.01, 0.98, 1.04),  # white to grey
        (0.26, 0.83, 0.97, 1.00, 1.13),  # blue to lavender
        (0.10, 0.88, 0.97, 0.91, 1.00),  # greenish
        (0.10, 1.01, 1.14, 0.82, 0.98),  # tan
    ]
)


def transmission(depth: np.ndarray, visibility: float) -> np.ndarray:
    """Share of light that arrives unscattered: exp(-3.912 d / V), 0.02 at d = V; `depth` in metres."""
    return rounded(np.exp, -np.asarray(depth, np.float32) * np.float32(CONTRAST_LOSS / visibility))


def height_factor(depth: np.ndarray, height_scale: float, horizon: float) -> np.ndarray:
    """Mean of exp(-h / height_scale) along each ray from the camera, (H, W) float32 in (0, 1].

    `depth` (H, W) metres; `horizon` is a share of the picture height. Rays at or below it stay in the full
    density.
    """
    height = depth.shape[0]
    slope = horizon - (np.arange(height, dtype=np.float32) + 0.5) / height
    end = int(np.count_nonzero(slope > 0))
    factor = np.ones(depth.shape, np.float32)
    if end:
        rise = depth[:end] * (slope[:end] * np.float32(1 / (FOCAL * height_scale)))[:, None].astype(
            np.float32
        )
        np.maximum(rise, np.float32(1e-3), out=rise)
        np.divide(1 - exp(-rise), rise, out=factor[:end])
    return factor


def optical_depth(
    depth: np.ndarray,
    *,
    visibility: float,
    height_scale: float,
    horizon: float,
    unevenness: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """(H, W) float32 tau of air with the given visibility (m) over `depth` (m, may be infinite), at most
    THICK.

    `unevenness` is the standard deviation of the log density.
    """
    depth = np.minimum(depth, np.float32(1e5))
    tau = depth * np.float32(CONTRAST_LOSS / visibility)
    tau *= height_factor(depth, height_scale, horizon)
    if unevenness > 0:
        tau *= exp(np.float32(unevenness) * smooth_noise(depth.shape, rng, cells=2, stretch=2.0))
    return np.minimum(tau, np.float32(THICK))


def open_sky(image: np.ndarray, depth: np.ndarray, horizon: float) -> np.ndarray:
    """(H, W) float32 in [0, 1]: bright, not reddish pixels above the horizon on things farther than
    some 25 m.

    Depth from labels or guesses takes gaps between branches for tree; left alone they would shine through
    the fog. `image` (H, W, 3) sRGB in [0, 1].
    """
    height = image.shape[0]
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    above = ramp(horizon - rows, 0.0, 0.06)
    end = int(np.count_nonzero(above))  # below it nothing is sky
    sky = np.zeros(depth.shape, np.float32)
    if end:
        red, blue = (cv2.extractChannel(image[:end], channel).reshape(end, -1) for channel in (0, 2))
        sky[:end] = ramp(blue, 0.74, 0.92) * ramp(blue - red, -0.12, -0.04) * ramp(depth[:end], 15.0, 40.0)
        sky[:end] *= above[:end, None]
    return sky


def low_band(height: int, centre: float, above: float, below: float) -> np.ndarray:
    """(H, 1) float32 in [0, 1]: what hangs low over the road, 1 in the row `centre` (a share of the height).

    Falls as a Gaussian of width `above` upwards and `below` downwards.
    """
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    band = np.exp(-(((rows - centre) / np.where(rows < centre, above, below)) ** 2))
    return band[:, None].astype(np.float32)


def overcast(light: np.ndarray, flatness: float, unit: float) -> np.ndarray:
    """Lights a scene as an overcast sky and an automatic exposure do: sun and shadow come closer to mid grey.

    Divides linear `light` (H, W, 3) by (blurred luminance / MID_GREY) to the power `flatness`, gain 0.5 to 3.
    """
    luminance = blurred(cv2.cvtColor(light, cv2.COLOR_RGB2GRAY), 12 * unit) + np.float32(0.02)
    gain = cv2.log(luminance * np.float32(1 / MID_GREY)).reshape(luminance.shape)
    gain = np.clip(exp(gain * np.float32(-flatness)), 0.5, 3.0)  # cv2.pow is slower
    return light * triple(gain)


def scatter(
    light: np.ndarray,
    tau: np.ndarray,
    airlight: np.ndarray,
    *,
    blur: float,
    glow: float,
    lamps: np.ndarray | None = None,
) -> np.ndarray:
    """Koschmieder with multiple scattering; (H, W, 3) linear light in and out.

    Args:
        light: scene radiance.
        tau: (H, W) optical depth.
        airlight: (H, W, 3) linear.
        blur: strength of the scattering blur, 0 (textbook model) to 1.
        glow: strength of the halo around bright spots.
        lamps: (H, W, 3) further light sources, or None.
    """
    height, width = tau.shape
    unit = picture_unit(light.shape)
    t = exp(-tau)
    radiance = light if lamps is None else light + lamps
    if blur > 0:
        spread = exp(tau * np.float32(-0.6))
        np.subtract(1, spread, out=spread)
        spread *= np.float32(min(blur, 1))
        radiance = mixed(radiance, blurred(radiance, 2.0 * unit * (0.5 + blur)), spread)
    out = mixed(airlight, radiance, t)
    if glow > 0:
        shrink = 4 if min(height, width) >= 32 else 1
        size = (width // shrink, height // shrink)
        bright = np.float32(0.6)
        sources = cv2.resize(np.maximum(light, bright), size, interpolation=cv2.INTER_AREA) - bright
        if lamps is not None:
            sources += cv2.resize(lamps, size, interpolation=cv2.INTER_AREA)
        if sources.max() > 1e-6:
            halo = added(blurred(sources, 4 * unit / shrink), 1, blurred(sources, 14 * unit / shrink), 0.7)
            halo = cv2.resize(halo, (width, height), interpolation=cv2.INTER_LINEAR)
            weight = 1 - t
            np.minimum(weight, bright, out=weight)
            weight *= np.sqrt(t, out=t)
            weight *= np.float32(glow)
            cv2.accumulateProduct(halo, triple(weight), out)
    return out


def airlight_field(
    shape: tuple[int, int],
    airlight: tuple[float, float, float],
    gradient: float,
    vignette: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """(H, W, 3) linear light of the air.

    `airlight` is its sRGB colour in the middle; `gradient` the log-brightness of the top (minus that at the
    bottom); `vignette` the share lost at the left and right edge; a little smooth noise on top.
    """
    height, width = shape
    rows = (
        np.linspace(gradient, -gradient, height, dtype=np.float32) if height > 1 else np.zeros(1, np.float32)
    )
    columns = (
        1 - vignette * np.linspace(-1, 1, width, dtype=np.float32) ** 2
        if width > 1
        else np.ones(1, np.float32)
    )
    shade = rounded(np.exp, np.float32(0.05) * smooth_noise((24, 24), rng, cells=1, octaves=2))
    shade = cv2.resize(shade, (width, height), interpolation=cv2.INTER_LINEAR).reshape(shape)
    shade = shade * rounded(np.exp, rows)[:, None] * columns[None, :].astype(np.float32)
    colour = to_linear(np.asarray(airlight, np.float32))
    return cv2.merge([shade * colour[0], shade * colour[1], shade * colour[2]])


def sample_airlight(rng: np.random.Generator, dusk: float = 0.2) -> tuple[float, float, float]:
    """An sRGB colour of fog as road photos show it; `dusk` is the share of dark ones."""
    _, red0, red1, blue0, blue1 = _TINTS[rng.choice(len(_TINTS), p=_TINTS[:, 0])]
    depth_of_tint = float(rng.random())  # red and blue move together
    red, blue = red0 + (red1 - red0) * depth_of_tint, blue1 + (blue0 - blue1) * depth_of_tint
    if rng.random() < dusk:
        level = float(rng.uniform(0.3, 0.55))
    else:
        level = float(rng.uniform(0.58, 0.92))
    tint = 0.6 if level > 0.68 else 1.0  # bright fog is paler
    colour = level * np.array([1 + tint * (red - 1), 1.0, 1 + tint * (blue - 1)]) + rng.normal(0, 0.005, 3)
    return tuple(float(c) for c in np.clip(colour, 0.05, 0.97))


def light_under(airlight: tuple[float, float, float], rng: np.random.Generator) -> float:
    """A plausible `scene_light`: a white surface under fog is about as bright as the fog itself."""
    luminance = float(to_linear(np.asarray(airlight, np.float32)) @ np.array([0.21, 0.72, 0.07]))
    return float(np.clip(luminance * rng.uniform(0.9, 2.6), 0.15, 1.4))
