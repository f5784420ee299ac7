"""What a camera lens does with a lamp: ghosts, diffraction spikes, veiling glare, shimmer.

A lens is drawn once from a number and then treats every lamp alike, which keeps flares of several lamps, or of a lamp
that moves, consistent:

  - ghosts: each pair of glass surfaces that mirror the lamp images the aperture on the line through the lamp and the
    optical axis, at a fixed share of the lamp's distance from it (paraxial; Hullin et al., "Physically-Based
    Real-Time Lens Flare Rendering", SIGGRAPH 2011, reduced to first order);
  - streaks: an aperture of n straight blades diffracts light into n (n even) or 2n (n odd) spikes, longer for longer
    wavelengths (Ritschel et al., "Temporal Glare", Eurographics 2009);
  - glare: light scattered in glass and on dust, falling with about the square of the angle (the CIE glare formula,
    Vos 1984);
  - shimmer: fine radial needles and a faint coloured ring, as smeared glass makes them.

Streaks, glare and shimmer are one point-spread table in polar coordinates, stamped once per lamp.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..noise_fields import generator
from ..portable import rounded

RADII, ANGLES = 192, 1024  # of the table
REACH = 3.0  # largest radius in the table, in picture heights
WAVELENGTHS = (1.10, 1.0, 0.86)  # of R, G, B relative to green: 605, 550, 473 nm
_TEMPLATE = 96  # side of an aperture picture in pixels


@dataclass(frozen=True, kw_only=True)
class Ghost:
    """One ghost: `place` is its share of the lamp's offset from the axis (negative: across the picture), `radius` in
    picture heights, `colour` linear RGB, `rim` the share of light in its edge, 0 to 1.
    """

    place: float
    radius: float
    colour: tuple[float, float, float]
    rim: float


@dataclass(frozen=True, kw_only=True)
class Lens:
    """A lens; see `make_lens`. `turn`: angle of the aperture in radians; `roundness`: 0 polygon to 1 circle."""

    blades: int
    turn: float
    roundness: float
    ghosts: tuple[Ghost, ...]
    needles: int  # seed of the shimmer


def make_lens(number: int) -> Lens:
    """Lens `number` (>= 0): 5 to 9 blades, 6 to 14 ghosts whose colours are those of anti-reflective coatings."""
    rng = generator(number, 0x1E45)
    ghosts = []
    for _ in range(int(rng.integers(6, 15))):
        place = float(rng.choice([rng.uniform(-1.6, -0.15), rng.uniform(0.15, 1.25)], p=[0.65, 0.35]))
        radius = float(np.exp(rng.uniform(np.log(0.012), np.log(0.16)))) * (0.6 + 0.5 * abs(place))
        hue = float(rng.choice([rng.uniform(0.25, 0.5), rng.uniform(0.72, 0.95), rng.uniform(0.0, 0.15)]))
        wheel = 0.5 + 0.5 * np.cos(2 * np.pi * (hue - np.array([0, 1 / 3, 2 / 3])))
        # the same light spread over a larger disc is dimmer
        bright = float(np.exp(rng.normal(0, 0.5))) * (0.03 / radius) ** 1.1
        colour = tuple(float(c) for c in bright * (0.25 + 0.75 * wheel))
        ghosts.append(Ghost(place=place, radius=radius, colour=colour, rim=float(rng.random()) ** 2))
    return Lens(
        blades=int(rng.integers(5, 10)),
        turn=float(rng.uniform(0, np.pi)),
        roundness=float(rng.uniform(0.0, 0.8)),
        ghosts=tuple(ghosts),
        needles=int(rng.integers(2**31)),
    )


def spikes(blades: int) -> int:
    """Diffraction spikes of an aperture with `blades` straight edges."""
    return blades if blades % 2 == 0 else 2 * blades


def spread_table(
    lens: Lens, *, streaks: float, glare: float, shimmer: float, anamorphic: float
) -> np.ndarray:
    """Point spread in polar coordinates, (RADII, ANGLES + 2, 3) float32 linear light of a lamp of strength 1.

    Row i is the radius REACH (i / (RADII - 1))^2 in picture heights; column j the angle 2 pi j / ANGLES, with two
    columns repeated for interpolation. The four weights scale the parts of the module header; `anamorphic` adds a
    long horizontal streak.
    """
    r = (REACH * (np.arange(RADII, dtype=np.float32) / (RADII - 1)) ** 2)[:, None]
    angle = (np.arange(ANGLES + 2, dtype=np.float32) * np.float32(2 * np.pi / ANGLES))[None, :]
    plane = np.zeros((RADII, ANGLES + 2), np.float32)
    if streaks > 0:
        plane += _spikes(r, angle, spikes(lens.blades), lens.turn, length=0.16) * np.float32(1.6 * streaks)
    table = np.empty((RADII, ANGLES + 2, 3), np.float32)
    rng = generator(lens.needles, 0x5E)
    needles = _needles(r, rng) if shimmer > 0 else None
    hues = np.exp(rng.normal(0, 0.15, 3))
    soft = 0.9 / (1 + (r / 0.035) ** 2) + 0.16 / (1 + (r / 0.30) ** 2)  # CIE: about 1 / angle^2
    for channel, wave in enumerate(WAVELENGTHS):
        rows = np.sqrt(r[:, 0] / np.float32(wave) / np.float32(REACH)) * (RADII - 1)
        rows = np.minimum(rows, RADII - 1)
        low = np.floor(rows).astype(np.int64)
        part = (rows - low)[:, None].astype(np.float32)
        stretched = plane[low] * (1 - part) + plane[np.minimum(low + 1, RADII - 1)] * part
        stretched += soft * np.float32(glare * (0.9, 1.0, 1.12)[channel])
        if needles is not None:
            ring = rounded(np.exp, -(((r - 0.22 * wave) / 0.02) ** 2)) * np.float32(0.05)
            stretched += (needles + ring) * np.float32(shimmer * hues[channel])
        if anamorphic > 0:
            line = _spikes(r, angle, 2, 0.0, length=0.9)
            stretched += line * np.float32(anamorphic * (0.35, 0.7, 1.5)[channel])
        core = 2.5 * rounded(np.exp, -((r / 0.008) ** 2)) * min(1.0, glare + streaks + shimmer + anamorphic)
        table[..., channel] = stretched + core
    return table


def _spikes(r: np.ndarray, angle: np.ndarray, count: int, turn: float, length: float) -> np.ndarray:
    """`count` straight rays: falling along the radius, a few thousandths of the picture wide."""
    phase = (angle - np.float32(turn)) * np.float32(count / (2 * np.pi))
    apart = (phase - np.rint(phase)) * np.float32(2 * np.pi / count)  # to the nearest spike
    width = np.float32(0.0025) + np.float32(0.006) * r
    across = r * rounded(np.sin, np.clip(apart, -1.5, 1.5)) / width
    along = 1 / (1 + (r / np.float32(length)) ** 2) * rounded(np.exp, -r / np.float32(3 * length))
    return rounded(np.exp, -np.minimum(across * across, 40)) * along


def _needles(r: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Radial needles of uneven length: periodic noise of the angle against the radius."""
    profile = np.zeros(ANGLES, np.float32)
    for count in (90, 230, 512):
        points = rng.random(count, dtype=np.float32)
        at = np.arange(ANGLES) * (count / ANGLES)
        index, part = np.floor(at).astype(np.int64), (at % 1).astype(np.float32)
        profile += points[index % count] * (1 - part) + points[(index + 1) % count] * part
    profile = np.concatenate([profile, profile[:2]])[None, :] * np.float32(1 / 3)
    bright = np.maximum(profile - np.float32(0.35), 0)
    reach = np.float32(0.03) + np.float32(0.32) * rounded(np.power, bright, 1.5)
    return rounded(np.exp, -r / reach) * (np.float32(0.2) + profile)


def stamp(
    shape: tuple[int, int], table: np.ndarray, position: tuple[float, float], colour: np.ndarray
) -> np.ndarray:
    """The table around a lamp at `position` (x, y) in pixels, (H, W, 3) float32; made at half size and enlarged."""
    height, width = shape
    shrink = 2 if min(shape) >= 64 else 1
    low = (max(1, height // shrink), max(1, width // shrink))
    dx = (np.arange(low[1], dtype=np.float32) + 0.5) * np.float32(width / low[1]) - np.float32(position[0])
    dy = (np.arange(low[0], dtype=np.float32) + 0.5) * np.float32(height / low[0]) - np.float32(position[1])
    dx, dy = np.repeat(dx[None, :], low[0], axis=0), np.repeat(dy[:, None], low[1], axis=1)
    r, angle = cv2.cartToPolar(dx, dy)
    rows = cv2.sqrt(r * np.float32(1 / (height * REACH))) * np.float32(RADII - 1)
    columns = angle.reshape(low) * np.float32(ANGLES / (2 * np.pi))
    out = cv2.remap(
        table * colour.astype(np.float32),
        columns,
        rows.reshape(low),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    ).reshape(*low, 3)
    return cv2.resize(out, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)


def aperture_picture(lens: Lens, rim: float) -> np.ndarray:
    """The aperture as a ghost shows it, (96, 96, 3) float32 in [0, 1]; fringed edge, `rim` of the light there."""
    axis = np.linspace(-1.12, 1.12, _TEMPLATE, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    angles = lens.turn + 2 * np.pi * np.arange(lens.blades) / lens.blades
    flat = np.max([x * np.float32(np.cos(a)) + y * np.float32(np.sin(a)) for a in angles], axis=0)
    distance = lens.roundness * np.sqrt(x * x + y * y) + (1 - lens.roundness) * flat
    out = []
    for wave in (0.97, 1.0, 1.03):
        scaled = distance * np.float32(wave)
        inside = np.clip((1 - scaled) * np.float32(14), 0, 1)
        out.append(inside * (1 - rim * (1 - rounded(np.power, np.clip(scaled, 0, 1), 8))))
    return cv2.merge(out)


def add_ghosts(
    canvas: np.ndarray, lens: Lens, position: tuple[float, float], colour: np.ndarray, strength: float
) -> None:
    """Adds the ghosts of a lamp at `position` (x, y) in pixels to `canvas`, (H, W, 3) linear light, in place."""
    height, width = canvas.shape[:2]
    for ghost in lens.ghosts:
        cx = width / 2 + ghost.place * (position[0] - width / 2)
        cy = height / 2 + ghost.place * (position[1] - height / 2)
        half = max(1, round(ghost.radius * height * 1.12))
        x0, y0 = round(cx) - half, round(cy) - half
        left, top = max(0, x0), max(0, y0)
        right, bottom = min(width, x0 + 2 * half), min(height, y0 + 2 * half)
        if right <= left or bottom <= top:
            continue
        picture = cv2.resize(
            aperture_picture(lens, ghost.rim), (2 * half, 2 * half), interpolation=cv2.INTER_LINEAR
        )
        tint = (np.asarray(ghost.colour) * colour * strength).astype(np.float32)
        canvas[top:bottom, left:right] += picture[top - y0 : bottom - y0, left - x0 : right - x0] * tint
