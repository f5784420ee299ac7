"""The photo of a country road: everything put in its place, lit by sun and sky, and photographed.

Light: the sun through several shadow maps across its disc (so shadows soften with distance), the sky from many
directions with a shadow map each (so corners, eaves and the inside of crowns are dark), one bounce off the ground,
mirror images by Schlick's law, light through leaves, air light by distance. Camera: lens blur, vignette, a filmic
tone curve, photon noise. Everything is drawn from the seed, nothing is read from a file.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unirestore.data.photo import sky as air
from unirestore.data.photo.car import car
from unirestore.data.photo.noise import octaves
from unirestore.data.photo.plants import blades, bush, spruce, tree
from unirestore.data.photo.raster import (
    Cards,
    Mesh,
    ShadowMap,
    View,
    draw_cards,
    draw_triangles,
    surface_points,
)
from unirestore.data.photo.solids import MATERIALS, barn, house, moved, power_line, rail_fence
from unirestore.data.photo.surfaces import (
    PAINTS,
    ROAD_HALF,
    gloss_of_road,
    grass_share,
    ground,
    road_middle,
    solid,
)

PHOTO_LABELS = ("sky", "road", "grass", "tree", "building", "fence", "pole", "car", "mountain")
_LABEL = {name: number for number, name in enumerate(PHOTO_LABELS)}
FAR = 1000.0
GROUND_END = 420.0  # metres at which the meadow ends and hills begin
HILLS = (
    (520.0, 0.030, 0.020, 140),
    (800.0, 0.062, 0.034, 150),
    (960.0, 0.098, 0.05, 160),
)  # metres, rise, spread, seed
SUN_MAPS, SKY_MAPS = 10, 28  # directions to the sun's disc and over the sky
SPACING = 0.05  # metres between the points that cast shadows
HAZE_LENGTH = 2600.0  # metres over which air light covers 1 - 1 / e


@dataclass(frozen=True)
class Photo:
    """A rendered photo.

    Attributes:
        image: (H, W, 3) RGB uint8.
        depth: (H, W) float32 metres along the axis, sky 1000.
        label_map: (H, W) uint8 indices into `PHOTO_LABELS`.
    """

    image: np.ndarray
    depth: np.ndarray
    label_map: np.ndarray


@dataclass(frozen=True)
class _World:
    mesh: Mesh
    label: np.ndarray  # (M,) of each triangle
    paint: np.ndarray  # (M,) which of PAINTS
    cards: Cards
    wires: list[np.ndarray]


def render_photo(seed: int = 7, width: int = 512, height: int = 384, *, finer: int = 2) -> Photo:
    """A photo of a country road: house, barn, trees, two cars, clouds.

    Args:
        seed: of plants, weather and grain; the same seed gives the same photo.
        width, height: of the picture, at least 32.
        finer: samples per pixel along each side.

    Raises:
        ValueError: a size below 32 pixels, `finer` below 1 or a negative seed.
    """
    if min(width, height) < 32 or finer < 1 or seed < 0:
        raise ValueError(
            "needs width and height of at least 32, finer >= 1, seed >= 0; "
            f"got {width} x {height}, finer={finer}, seed={seed}"
        )
    rng = np.random.default_rng([113, seed])
    view = View(width * finer, height * finer)
    world = _world(rng, view)
    light, depth, label = _seen(world, view, rng)
    small = (width, height)
    image = _developed(cv2.resize(light.astype(np.float32), small, interpolation=cv2.INTER_AREA), rng)
    pick = finer // 2
    return Photo(image, depth[pick::finer, pick::finer].copy(), label[pick::finer, pick::finer].copy())


def _world(rng: np.random.Generator, view: View) -> _World:
    meshes: list[tuple[Mesh, str, int]] = []
    cards: list[Cards] = []
    meshes.append((moved(house(), (-12.6, 0, 25.0), 0.35), "building", 0))
    meshes.append((moved(barn(), (-27.0, 0, 62.0), 0.25), "building", 0))
    meshes.append((moved(car(), (float(road_middle(np.array(14.5))) - 1.5, 0, 14.5), -0.03), "car", 0))
    meshes.append((moved(car(), (float(road_middle(np.array(38.0))) + 1.5, 0, 38.0), np.pi - 0.07), "car", 1))
    z = np.arange(5.0, 70.0, 2.6)
    meshes.append((rail_fence(np.stack([road_middle(z) + 6.2 + 0.15 * np.sin(z), z], -1), rng), "fence", 0))
    z = np.array([16.0, 47.0, 80.0, 116.0])
    poles, wires = power_line(np.stack([road_middle(z) + 4.9, z], -1))
    meshes.append((poles, "pole", 0))
    near = np.array([15.0 + 0.0, 4.0])
    wires += [wire - [road_middle(near)[0] - road_middle(near)[1], 0, 31.0] for wire in wires[:3]]
    label = _LABEL["tree"]
    plan = [  # x, z, height, leaves, leaf length, kind
        (9.6, 17.5, 9.5, 60_000, 0.15, "oak"),
        (-19.5, 33.0, 11.0, 45_000, 0.20, "maple"),
        (-6.6, 40.0, 8.5, 30_000, 0.20, "oak"),
        (15.0, 34.0, 11.0, 30_000, 0.24, "maple"),
        (9.5, 3.5, 9.0, 22_000, 0.2, "oak"),  # beside the camera: only its shadow is seen
    ]
    for x, z_, tall, leaves, leaf, kind in plan:
        trunk, crown = tree((x, 0, z_), tall, leaves, leaf, kind, label, rng, thinnest=0.001 * z_)
        meshes.append((trunk, "tree", 0))
        cards.append(crown)
    for number in range(44):  # the edge of the wood
        z_ = float(rng.uniform(95, 210))
        x = float(rng.uniform(-0.72, 0.72)) * z_
        if abs(x - float(road_middle(np.array(z_)))) < 8:
            continue
        tall = float(rng.uniform(8, 15))
        if number % 3:
            trunk, crown = tree(
                (x, 0, z_),
                tall,
                5000,
                0.36,
                ("oak", "oak", "maple")[number // 3 % 3],
                label,
                rng,
                thinnest=0.09,
            )
        else:
            trunk, crown = spruce((x, 0, z_), tall * 1.2, 5000, label, rng)
        meshes.append((trunk, "tree", 0))
        cards.append(crown)
    for x, z_, size in (
        (-8.4, 21.6, 0.9),
        (-16.4, 22.4, 1.1),
        (-9.9, 22.0, 0.7),
        (8.0, 26.0, 1.3),
        (7.5, 44.0, 1.4),
        (-6.4, 31.0, 1.2),
        (12.0, 25.0, 1.2),
    ):
        cards.append(bush((x, 0, z_), size, int(6500 * size), 0.09, label, rng))
    cards.append(_grass(rng, view))
    mesh = Mesh.joined([m for m, _, _ in meshes])
    names = np.concatenate([np.full(len(m.material), _LABEL[name]) for m, name, _ in meshes])
    paint = np.concatenate([np.full(len(m.material), number) for m, _, number in meshes])
    return _World(mesh, names, paint, Cards.joined(cards), wires)


def _grass(rng: np.random.Generator, view: View) -> Cards:
    """Blades where the meadow is near, as many per pixel everywhere; mown low at the road, tall at the fence."""
    count = view.width * view.height // 6
    row = rng.uniform(0, 1, count) ** 0.9
    z = 1.5 * view.focal / np.maximum(row * (1 - 0.45) * view.height, 1.0)
    x = rng.uniform(-0.6, 0.6, count) * view.width / view.focal * z
    keep = (z < 60) & (z > 1.5) & (rng.random(count) < grass_share(x, z))
    x, z = x[keep], z[keep]
    off = np.abs(x - road_middle(z)) - ROAD_HALF
    tuft = octaves(x, z, (3.0, 0.9, 0.3), 170)
    tall = (0.05 + 0.09 * np.clip((off - 0.4) / 2.5, 0, 1)) * np.exp(
        0.45 * tuft + rng.normal(0, 0.25, len(x))
    )
    dry = np.clip(0.14 + 0.16 * octaves(x, z, (5.0, 1.4), 176) + rng.normal(0, 0.14, len(x)), 0, 1)
    return blades(np.stack([x, z], -1), np.minimum(tall, 0.5), dry, _LABEL["grass"], rng)


def _seen(world: _World, view: View, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H, W, 3) linear light, (H, W) depth and label of every sample."""
    shape = (view.height, view.width)
    rays = view.rays()
    unit = rays / np.linalg.norm(rays, axis=2, keepdims=True)
    triangle, near = draw_triangles(view.project(world.mesh.corners), shape)
    card, near_card = draw_cards(world.cards, view)
    with np.errstate(divide="ignore"):
        floor = np.where(rays[..., 1] < 0, -rays[..., 1] / 1.5, 0)  # 1 / Z of the meadow
    floor = np.where(floor < 1 / GROUND_END, -np.inf, floor)
    is_card = (near_card > near) & (near_card > floor - 1e-3)
    is_mesh = ~is_card & (triangle >= 0) & (near > floor - 1e-6)
    is_floor = ~is_card & ~is_mesh & np.isfinite(floor)
    depth = np.full(shape, FAR, np.float64)
    label = np.zeros(shape, np.uint8)
    light = air.sky(unit.reshape(-1, 3)).reshape(*shape, 3)
    _hills(light, depth, label, rays)

    for where, inverse in ((is_card, near_card), (is_mesh, near), (is_floor, floor)):
        depth[where] = 1 / inverse[where]
    points = rays * depth[..., None] + [0, 1.5, 0]
    solidly = is_card | is_mesh | is_floor
    at = points[solidly]
    size = (depth / view.focal)[solidly]
    normal = np.tile([0.0, 1.0, 0.0], (len(at), 1))
    albedo = np.zeros((len(at), 3))
    reflect, thin, gloss = np.zeros(len(at)), np.zeros(len(at), bool), np.zeros(len(at))
    names = np.zeros(len(at), np.uint8)
    ray = unit[solidly]

    chosen = is_card[solidly]
    number = card[is_card]
    facing = world.cards.normal[number]
    normal[chosen] = facing * np.where((facing * ray[chosen]).sum(1, keepdims=True) > 0, -1, 1)
    albedo[chosen], names[chosen], thin[chosen] = world.cards.albedo[number], world.cards.label[number], True

    chosen = np.flatnonzero(is_floor[solidly])
    stretch = size[chosen] * np.sqrt(np.clip(at[chosen, 2] / 1.5, 1, 40))
    albedo[chosen] = ground(at[chosen, 0], at[chosen, 2], stretch)
    gloss[chosen] = gloss_of_road(at[chosen, 0], at[chosen, 2])
    names[chosen] = np.where(gloss[chosen] > 0, _LABEL["road"], _LABEL["grass"])

    chosen = np.flatnonzero(is_mesh[solidly])
    number = triangle[is_mesh]
    weights = _inside(world.mesh.corners[number], at[chosen])
    bent = np.einsum("nk,nkc->nc", weights, world.mesh.normals[number])
    bent /= np.maximum(np.linalg.norm(bent, axis=1, keepdims=True), 1e-9)
    bent *= np.where((bent * ray[chosen]).sum(1, keepdims=True) > 0.25, -1, 1)
    uv = np.einsum("nk,nkc->nc", weights, world.mesh.uv[number])
    normal[chosen], names[chosen] = bent, world.label[number]
    for material in range(len(MATERIALS)):
        for paint in range(2):
            mine = (world.mesh.material[number] == material) & (world.paint[number] == paint)
            if mine.any():
                to = chosen[mine]
                albedo[to], normal[to], reflect[to] = solid(
                    material, at[to], uv[mine], bent[mine], size[to], PAINTS[paint]
                )

    out = _lit(world, at, normal, albedo, thin, size, rng)
    mirrored = ray - 2 * (ray * normal).sum(1, keepdims=True) * normal
    cosine = np.clip(-(ray * normal).sum(1), 0, 1)
    shine = np.where(reflect > 0.04, reflect + (1 - reflect) * (1 - cosine) ** 5, 0)[:, None]
    out = out * (1 - shine) + shine * air.environment(mirrored)
    sheen = gloss * 0.04 * np.clip(1 - cosine, 0, 1) ** 5
    out += sheen[:, None] * air.LOW
    light[solidly] = out
    label[solidly] = names
    veil = (1 - np.exp(-depth / HAZE_LENGTH))[..., None] * (depth < FAR)[..., None]
    light = light + veil * (np.array([0.52, 0.62, 0.74]) - light)
    _wires(light, depth, world.wires, view)
    return light, depth.astype(np.float32), label


def _inside(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3) weights of the corners (N, 3, 3) of the triangle in which each point (N, 3) lies."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    whole = np.cross(b - a, c - a)
    square = np.maximum((whole**2).sum(1), 1e-12)
    wb = (np.cross(points - a, c - a) * whole).sum(1) / square
    wc = (np.cross(b - a, points - a) * whole).sum(1) / square
    return np.clip(np.stack([1 - wb - wc, wb, wc], -1), 0, 1)


def _hills(light: np.ndarray, depth: np.ndarray, label: np.ndarray, rays: np.ndarray) -> None:
    """Wooded hills behind the meadow, far ones first, in place."""
    x, y = rays[..., 0], rays[..., 1]
    for distance, rise, spread, seed in sorted(HILLS, reverse=True):
        ridge = rise + spread * octaves(x[0] + 5, 0 * x[0], (0.9, 0.37, 0.15), seed, weights=(0.7, 0.4, 0.15))
        ridge += 0.0035 * octaves(x[0], 0 * x[0], (0.018, 0.008), seed + 5)
        inside = (y < ridge[None, :]) & (y > -0.01)
        shape = octaves(x * distance, y * distance * 2.5, (60, 22, 9, 4), seed + 7, footprint=distance / 900)
        slope = octaves(x * distance, y * distance, (190, 80), seed + 11)
        fields = np.clip(octaves(x * 3, y * 14, (0.8, 0.3), seed + 13) - 0.8, 0, 0.5) * 2
        green = np.array([0.085, 0.125, 0.04]) * np.exp(0.35 * shape + 0.25 * slope)[..., None]
        green = green + fields[..., None] * (np.array([0.22, 0.23, 0.09]) - green)
        light[inside] = (green * 1.9)[inside]
        depth[inside], label[inside] = distance, _LABEL["mountain"]


def _lit(
    world: _World,
    at: np.ndarray,
    normal: np.ndarray,
    albedo: np.ndarray,
    thin: np.ndarray,
    size: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """(N, 3) light that leaves the points (N, 3) towards the eye by diffuse reflection and through leaves."""
    at, normal, size = (v.astype(np.float32) for v in (at, normal, size))
    near = at[at[:, 2] < 75]
    corners = [[-30, 0, 70], [30, 0, 70], [0, 12, 30], [8, 0, 3]]
    bounds = np.concatenate([near[:: max(1, len(near) // 4000)], np.array(corners, np.float32)])
    strewn = surface_points(world.mesh, world.cards, SPACING, rng)
    few = strewn[::12]
    slack = np.where(thin, np.float32(0.12), np.float32(0.02)) + size
    sun = np.zeros(len(at), np.float32)
    across = np.linalg.svd(air.SUN[None])[2][1:]
    lifted = at + np.float32(0.03) * normal
    for k in range(SUN_MAPS):
        radius, turn = 0.007 * np.sqrt((k + 0.5) / SUN_MAPS), 2.4 * k
        direction = air.SUN + radius * (np.cos(turn) * across[0] + np.sin(turn) * across[1])
        shadow = ShadowMap(strewn, direction / np.linalg.norm(direction), bounds, 1600)
        sun += shadow.lit(lifted, slack) * np.float32(1 / SUN_MAPS)
    cosine = normal @ air.SUN.astype(np.float32)
    front = np.where(thin, 0.75 * np.clip(cosine, 0, 1), np.clip(cosine, 0, 1))
    through = np.where(thin, 0.45 * np.abs(np.clip(cosine, -1, 0)) + 0.12, 0)
    out = albedo * (sun * front)[:, None] * air.SUNLIGHT
    out += albedo * np.array([1.0, 1.15, 0.5]) * (sun * through)[:, None] * air.SUNLIGHT
    dome = np.zeros((len(at), 3), np.float32)
    lifted = at + np.float32(0.15) * normal
    slack = np.where(thin, np.float32(0.3), np.float32(0.06)) + size
    for k in range(SKY_MAPS):
        up = (k + 0.5) / SKY_MAPS
        flat, turn = np.sqrt(1 - up**2), 2.39996 * k
        direction = np.array([flat * np.cos(turn), up, flat * np.sin(turn)])
        radiance = (air.clear(direction[None])[0] * 1.15 + 0.05) * (2 / SKY_MAPS)
        open_ = ShadowMap(few, direction, bounds, 400).lit(lifted, slack)
        facing = normal @ direction.astype(np.float32)
        facing = np.where(thin, 0.5 * np.abs(facing) + 0.2, np.clip(facing, 0, 1))
        dome += (open_ * facing)[:, None] * radiance.astype(np.float32)
    lit_ground = 0.13 * (air.SUNLIGHT * air.SUN[1] + 0.4) * np.array([1.0, 1.0, 0.7])
    skyward = np.clip(dome.mean(1) / 0.35, 0.1, 1)
    ambient = (
        dome + (np.clip(0.5 - 0.5 * normal[:, 1], 0, 1) * (0.35 + 0.65 * skyward))[:, None] * lit_ground * 0.8
    )
    out += albedo * ambient
    blade = thin & (at[:, 1] < 0.3)
    out[blade] *= np.clip(0.5 + 5.0 * at[blade, 1:2], 0, 1.1)  # deep in the grass it is dark
    return out


def _wires(light: np.ndarray, depth: np.ndarray, wires: list[np.ndarray], view: View) -> None:
    """Dark thin lines over what lies behind them; depth stays that of what lies behind."""
    cover = np.zeros(depth.shape, np.float32)
    for wire in wires:
        ahead = wire[wire[:, 2] > 1.0]
        if len(ahead) < 2:
            continue
        line = view.project(ahead)
        hidden = [
            depth[int(np.clip(r, 0, view.height - 1)), int(np.clip(c, 0, view.width - 1))] < 0.95 / w
            for c, r, w in line
        ]
        for a, b, skip in zip(line[:-1], line[1:], hidden[1:], strict=True):
            if skip:
                continue
            share = float(np.clip(0.02 * view.focal * a[2], 0.12, 0.9))
            ends = [tuple(np.rint(np.clip(p[:2], -4000, 8000) * 16).astype(int).tolist()) for p in (a, b)]
            cv2.line(cover, *ends, share, 1, cv2.LINE_8, 4)
    light *= (1 - 0.85 * cover)[..., None]


def _developed(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lens, sensor and tone curve: (H, W, 3) linear light to uint8."""
    height, width = light.shape[:2]
    light = cv2.GaussianBlur(light, (0, 0), 0.42 * max(1.0, width / 640))
    glow = cv2.GaussianBlur(np.maximum(light - 0.8, 0), (0, 0), 0.02 * width)
    light = light + 0.06 * glow
    y, x = (np.linspace(-1, 1, n) for n in (height, width))
    light = light * (1 - 0.2 * (0.55 * x[None] ** 2 + 0.45 * y[:, None] ** 2))[..., None]
    light = light * 1.12 * np.array([1.03, 1.0, 0.95])
    light = np.maximum(
        light + np.sqrt(np.maximum(light, 0) * 2.5e-4 + 4e-6) * rng.normal(0, 1, light.shape), 0
    )
    curve = _filmic(light)
    coded = np.where(curve <= 0.0031308, 12.92 * curve, 1.055 * np.maximum(curve, 1e-6) ** (1 / 2.4) - 0.055)
    return np.rint(255 * np.clip(coded, 0, 1)).astype(np.uint8)


def _filmic(light: np.ndarray) -> np.ndarray:
    """Tone curve of a camera, (H, W, 3) linear in and out: a toe for the darks, a shoulder for the lights."""
    x = np.maximum(light, 0) * 0.9
    rolled = x * (1 + x / 3.2) / (0.82 + x)
    return np.clip(rolled * rolled / (rolled + 0.035), 0, 1)
