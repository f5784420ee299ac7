"""Clear sky with fair-weather clouds, in linear light: what a ray that hits nothing sees, and what lights the rest."""

from __future__ import annotations

import numpy as np

from unirestore.data.photo.noise import octaves

SUN = np.array([0.62, 0.60, -0.50]) / np.linalg.norm(
    [0.62, 0.60, -0.50]
)  # unit vector to the sun, behind the camera
SUNLIGHT = np.array([3.1, 2.82, 2.42])  # irradiance at right angles, over pi
ZENITH, LOW = np.array([0.085, 0.205, 0.50]), np.array([0.50, 0.70, 0.92])  # radiance


def clear(rays: np.ndarray) -> np.ndarray:
    """(N, 3) radiance of the cloudless sky along unit `rays` (N, 3); below the horizon that of the horizon."""
    up = np.clip(rays[:, 1], 0, 1)
    share = np.exp(-up / 0.22)[:, None]
    sky = ZENITH * (1 - share) + LOW * share
    glow = np.clip(rays @ SUN, 0, 1)[:, None]
    return sky * (1 + 0.35 * glow**4) + 0.25 * glow**32


def clouds(rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) cover in [0, 1] and (N, 3) radiance of cumulus clouds along unit `rays` (N, 3)."""
    x, y = rays[:, 0] / np.maximum(rays[:, 2], 0.05), rays[:, 1] / np.maximum(rays[:, 2], 0.05)
    deep = 1 / (np.clip(y, 0, None) + 0.13)  # banks shrink towards the horizon
    u, v = x * deep * 1.25 + 3.1, 2.2 * np.log(np.clip(y, 0, None) + 0.13)

    def body(du: float, dv: float) -> np.ndarray:
        bent = 0.035 * octaves(u + du, v + dv, (0.4, 0.15), 83)
        billow = octaves(
            u + du + bent,
            v + dv - bent,
            (1.1, 0.5, 0.24, 0.12, 0.06, 0.03, 0.015),
            88,
            weights=(0.8, 0.5, 0.32, 0.21, 0.14, 0.09, 0.06),
        )
        return billow - 0.3

    here = body(0, 0)
    cover = np.clip(here / 0.42, 0, 1) ** 1.2
    towards = body(0.16, 0.12)  # the sun is to the right and high
    lit = np.clip(0.62 + 0.5 * (here - towards), 0.0, 1.0)
    thick = np.clip(here / 1.3, 0, 1)
    shade = (lit * (1 - 0.35 * thick))[:, None]
    radiance = np.array([0.50, 0.56, 0.66]) * (1 - shade) + np.array([1.22, 1.18, 1.12]) * shade
    fade = np.clip(rays[:, 1] / 0.05, 0, 1)
    return cover * (0.35 + 0.65 * fade) * 0.95, radiance


def sky(rays: np.ndarray) -> np.ndarray:
    """(N, 3) radiance along unit `rays`, clouds included."""
    base = clear(rays)
    cover, radiance = clouds(rays)
    return base + cover[:, None] * (radiance - base)


def environment(rays: np.ndarray) -> np.ndarray:
    """(N, 3) what a mirror sees along unit `rays`: sky, a line of trees, and the ground."""
    out = clear(rays)
    bank = np.clip((0.13 + 0.03 * np.sin(9 * rays[:, 0]) - rays[:, 1]) / 0.05, 0, 1)[:, None]
    out = out + bank * (np.array([0.06, 0.075, 0.035]) - out)
    below = np.clip(-rays[:, 1] / 0.04, 0, 1)[:, None]
    return out + below * (np.array([0.20, 0.195, 0.16]) - out)
