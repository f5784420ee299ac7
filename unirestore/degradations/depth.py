"""Where the distance of each pixel comes from when weather is put on a photo.

Best first: known depth (a rendered scene, or `read` for an image beside the photo), a label map
(`from_label_map`), the pixels alone (`guess`), nothing at all (`ground_plane`). Geometry: a camera
`CAMERA_HEIGHT` metres above a flat road sees row v below the horizon h at distance CAMERA_HEIGHT * f / (v -
h), with f the focal length in pixels, here the picture height times `FOCAL`. That is the flat-road model of
Hautiere et al., Machine Vision and Applications 17, 2006 (visibility by onboard camera).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .light import exp, ramp
from .noise_fields import generator, smooth_noise

CAMERA_HEIGHT = 1.5  # metres
FOCAL = 1.2  # focal length / picture height
FAR = 1000.0  # metres; stands for the sky and everything that has no distance

GROUND = {"road", "pavement", "sidewalk", "ground", "terrain", "grass", "lane", "parking", "water"}
SKY = {"sky"}
SCENERY = {"building", "tree", "vegetation", "fence", "wall", "void", "house", "hedge"}


def _ground_rows(height: int, horizon: float) -> np.ndarray:
    """(H,) distance of the road in each row, FAR at and above `horizon` (a row, may be fractional)."""
    below = np.arange(height, dtype=np.float32) + np.float32(0.5 - horizon)
    with np.errstate(divide="ignore"):
        rows = np.where(below > 0, CAMERA_HEIGHT * FOCAL * height / np.maximum(below, 1e-6), FAR)
    return np.minimum(rows, FAR).astype(np.float32)


def ground_plane(shape: tuple[int, int], seed: int) -> np.ndarray:
    """A plausible road scene for a photo of which nothing is known.

    Ground plane with a horizon at 0.35 to 0.55 of the height, scenery rising above it on both sides, smooth
    noise, and a few upright blobs, so that standing objects are not smeared along the ground.

    Args:
        shape: (H, W).
        seed: integer >= 0.

    Returns:
        (H, W) float32 metres, above 0, at most FAR.
    """
    height, width = shape
    if height < 1 or width < 1:
        raise ValueError(f"shape must be at least (1, 1), got {shape}")
    rng = generator(seed, 0xD3)
    horizon = float(rng.uniform(0.35, 0.55)) * height
    depth = np.repeat(_ground_rows(height, horizon)[:, None], width, axis=1)

    # Scenery: a skyline above the horizon whose distance varies from column to column.
    skyline = smooth_noise((1, width), rng, cells=1, octaves=1)[0]
    columns = np.linspace(-1, 1, width, dtype=np.float32)
    closeness = np.clip(0.25 + 0.55 * np.abs(columns) + 0.25 * skyline, 0.05, 1.0)
    rise = (horizon - np.arange(height, dtype=np.float32)[:, None]) / max(
        1.0, horizon
    )  # 0 at the horizon, 1 on top
    scenery = float(rng.uniform(60, 160)) / closeness
    standing = rise < closeness[None, :] * float(rng.uniform(0.5, 1.1))
    depth = np.where(standing, np.minimum(depth, scenery[None, :].astype(np.float32)), depth)

    rows = np.arange(height, dtype=np.float32)[:, None]
    for _ in range(int(rng.integers(3, 8))):  # upright objects: vehicles, people, poles
        foot = horizon + (height - horizon) * float(rng.uniform(0.06, 0.75)) ** 1.3
        distance = CAMERA_HEIGHT * FOCAL * height / max(foot - horizon, 1e-3)
        tall = float(rng.uniform(1.3, 3.2)) * FOCAL * height / distance
        wide = tall * float(rng.uniform(0.4, 1.6))
        centre = float(rng.uniform(0, width))
        x0, x1 = max(0, int(centre - wide)), min(width, int(centre + wide) + 1)
        y0, y1 = max(0, int(foot - 1.6 * tall)), min(height, int(foot) + 1)
        if x1 <= x0 or y1 <= y0:
            continue
        across = np.abs(np.arange(x0, x1, dtype=np.float32) - centre)[None, :] / max(0.5 * wide, 1.0)
        up = (foot - rows[y0:y1]) / max(tall, 1.0)
        inside = np.clip(
            (1.25 - np.maximum(across, up)) * 2, 0, 1
        )  # soft sides: nobody knows where things stand
        box = depth[y0:y1, x0:x1]
        box += inside * (np.minimum(box, distance) - box)

    wobble = exp(np.float32(0.12) * smooth_noise(shape, rng, cells=4, octaves=3))
    soft = max(1.0, min(shape) / 100)
    depth = cv2.GaussianBlur(depth, (0, 0), soft)
    return np.clip(depth.reshape(shape) * wobble, 0.5, FAR).astype(np.float32)


def follow_edges(
    depth: np.ndarray, image: np.ndarray, *, radius: float = 0.06, eps: float = 4e-3
) -> np.ndarray:
    """Moves the edges of a guessed depth to the edges of the photo: guided filter on inverse depth.

    He, Sun, "Fast Guided Filter", arXiv:1505.00996: the coefficients are computed on a small picture.

    Args:
        depth: metres, above 0, of the whole photo; may be a smaller picture than the photo.
        image: (H, W, 3) float32 sRGB in [0, 1].
        radius: of the window, as a share of the shorter side.
        eps: variance below which the photo counts as flat.

    Returns:
        (H, W) float32 metres, 0.5 to FAR.
    """
    height, width = image.shape[:2]
    shrink = max(1, min(height, width) // 80)
    size = (max(1, width // shrink), max(1, height // shrink))
    guide = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(guide, size, interpolation=cv2.INTER_AREA)
    target = cv2.resize(1 / np.maximum(depth, 0.5), size, interpolation=cv2.INTER_AREA)
    side = 2 * max(1, round(radius * min(size))) + 1

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.blur(plane, (side, side)).reshape(plane.shape)

    mean_guide, mean_target = mean(small), mean(target)
    slope = (mean(small * target) - mean_guide * mean_target) / (mean(small * small) - mean_guide**2 + eps)
    offset = mean_target - slope * mean_guide
    slope = cv2.resize(mean(slope), (width, height), interpolation=cv2.INTER_LINEAR)
    offset = cv2.resize(mean(offset), (width, height), interpolation=cv2.INTER_LINEAR)
    inverse = (slope * guide + offset).reshape(guide.shape)
    return np.float32(1) / np.clip(inverse, np.float32(1 / FAR), np.float32(2))


def sky_likeness(image: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1]: bright, not reddish, smooth and in the upper part of the photo.

    `image` is (H, W, 3) float32 sRGB in [0, 1]. A cheap cue, wrong on white walls.
    """
    height, width = image.shape[:2]
    side = 2 * max(1, round(0.02 * min(height, width))) + 1
    rows = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    upper = ramp(-rows, -0.65, -0.5)
    end = int(np.count_nonzero(upper))  # nothing below it is sky
    image = np.ascontiguousarray(image[: end + side])
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean = cv2.blur(grey, (side, side)).reshape(grey.shape)[:end]
    square = cv2.blur(grey * grey, (side, side)).reshape(grey.shape)[:end]
    spread = np.sqrt(np.maximum(square - mean * mean, 0))
    red, blue = (cv2.extractChannel(image, channel).reshape(grey.shape)[:end] for channel in (0, 2))
    sky = np.zeros((height, width), np.float32)
    sky[:end] = ramp(mean, 0.45, 0.65) * ramp(blue - red, -0.1, -0.02)
    sky[:end] *= ramp(-spread, -0.08, -0.03) * upper[:end]
    return sky


def guess(image: np.ndarray, seed: int) -> np.ndarray:
    """Depth for a photo of which nothing but the pixels is known.

    The ground plane, with two corrections: what does not look like sky stands at most some 16 to 150 m away
    (an extent drawn per photo, so that fog does not swallow the heads of people close by), and edges follow
    the photo.

    Args:
        image: (H, W, 3) float32 sRGB in [0, 1].
        seed: integer >= 0.

    Returns:
        (H, W) float32 metres, above 0, at most FAR.
    """
    height, width = image.shape[:2]
    shrink = max(1, min(height, width) // 256)  # `follow_edges` makes it smaller still
    shape = (height // shrink, width // shrink)
    rng = generator(seed, 0x6E)
    extent = float(np.exp(rng.uniform(np.log(16), np.log(150))))
    field = smooth_noise(shape, rng, cells=2, octaves=2)
    cap = np.float32(extent) * exp(np.float32(0.4) * field)
    depth = ground_plane(shape, seed)
    sky = sky_likeness(image)
    if shrink > 1:
        sky = cv2.resize(sky, shape[::-1], interpolation=cv2.INTER_AREA)
    inverse = sky / depth + (1 - sky) / np.minimum(depth, cap)
    return follow_edges(1 / inverse, image)


def from_label_map(label_map: np.ndarray, class_names: Sequence[str] | None, seed: int = 0) -> np.ndarray:
    """Depth of a labelled street photo.

    Sky is FAR; ground classes follow the ground plane; everything else stands upright and has, per
    connected piece of one class, the distance of the ground at its lowest row.

    Args:
        label_map: (H, W) integer class ids; ids beyond `class_names` count as unknown and follow their
            neighbours.
        class_names: name of each id, e.g. ("sky", "building", ...); compared in lower case.
        seed: integer >= 0, for the smooth noise.

    Returns:
        (H, W) float32 metres, above 0, at most FAR.

    Raises:
        ValueError when there are no class names or the map is not two-dimensional integers.
    """
    label_map = np.asarray(label_map)
    if label_map.ndim != 2 or label_map.dtype.kind not in "ui" or label_map.size == 0:
        raise ValueError(f"label_map must be (H, W) integers, got {label_map.shape} {label_map.dtype}")
    if not class_names:
        raise ValueError("class_names is empty; name every id, e.g. ('sky', 'building', 'road')")
    names = [str(name).lower() for name in class_names]
    height, width = label_map.shape
    rng = generator(seed, 0x1A)
    ground_ids = [i for i, name in enumerate(names) if name in GROUND]
    sky_ids = [i for i, name in enumerate(names) if name in SKY]
    ground = np.isin(label_map, ground_ids)
    sky = np.isin(label_map, sky_ids)

    # The horizon lies a little above the highest ground row and below the middle of the sky.
    rows_with_ground = np.flatnonzero(ground.mean(axis=1) > 0.02)
    top = float(rows_with_ground[0]) if rows_with_ground.size else 0.5 * height
    horizon = float(np.clip(top - 0.01 * height, 0.2 * height, 0.65 * height))
    rows = _ground_rows(height, horizon)
    depth = np.repeat(rows[:, None], width, axis=1)

    for label in np.unique(label_map):
        if label in ground_ids or label in sky_ids:
            continue
        mask = (label_map == label).astype(np.uint8)
        _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        foot = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] - 1
        distance = np.minimum(rows[np.clip(foot, 0, height - 1)], 250.0).astype(np.float32)
        if label < len(names) and names[int(label)] in (
            "building",
            "tree",
            "vegetation",
            "fence",
            "wall",
            "void",
        ):
            # Large scenery runs away from the camera: its distance changes from column to column. What stands
            # in front hides its foot, so the lowest foot within a tenth of the width counts.
            column_foot = np.where(mask > 0, np.arange(height, dtype=np.float32)[:, None], -1).max(axis=0)
            window = np.ones((1, 2 * max(1, width // 20) + 1), np.uint8)
            column_foot = cv2.dilate(column_foot[None, :], window)
            here = (column_foot >= 0).astype(np.float32)
            inverse = here / np.minimum(rows[np.clip(column_foot, 0, height - 1).astype(np.int64)], 250.0)
            soft = max(1.0, width / 30)
            inverse, here = cv2.GaussianBlur(inverse, (0, 0), soft), cv2.GaussianBlur(here, (0, 0), soft)
            along = (np.maximum(here, 1e-6) / np.maximum(inverse, 1e-8)).reshape(1, width).clip(0.5, 250.0)[0]
            values = np.maximum(along[None, :], distance[pieces])
        else:
            values = distance[pieces]
        depth = np.where(mask > 0, values, depth)
    depth[sky] = FAR
    wobble = exp(np.float32(0.06) * smooth_noise((height, width), rng, cells=4, octaves=3))
    return np.clip(depth * wobble, 0.5, FAR).astype(np.float32)


def read(path: str | Path, unit: float = 0.01) -> np.ndarray:
    """Depth from a file: NPY in metres, or a 16-bit single-channel PNG in steps of `unit` metres, where 0
    (unknown) and 65535 (beyond, the sky) become FAR.

    Returns:
        (H, W) float32 metres.

    Raises:
        FileNotFoundError, or ValueError that says what the file holds and what it should hold.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no depth file at {path}")
    if path.suffix.lower() == ".npy":
        try:
            depth = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"{path}: cannot be read as a depth array ({error})") from error
        if depth.ndim != 2 or depth.dtype.kind not in "fui":
            raise ValueError(f"{path}: expected (H, W) numbers in metres, found {depth.shape} {depth.dtype}")
        depth = depth.astype(np.float32)
        if np.isnan(depth).any() or (depth < 0).any():
            raise ValueError(f"{path}: depth must be >= 0 metres without NaN; use infinity for the sky")
        return depth
    if path.suffix.lower() == ".png":
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if stored is None:
            raise ValueError(f"{path}: not a readable PNG")
        if stored.ndim != 2 or stored.dtype != np.uint16:
            raise ValueError(
                f"{path}: expected a 16-bit single-channel PNG in steps of {unit} m, "
                f"found {stored.shape} {stored.dtype}"
            )
        far = (stored == 0) | (stored == np.iinfo(np.uint16).max)
        return np.where(far, np.float32(FAR), stored.astype(np.float32) * np.float32(unit))
    raise ValueError(
        f"{path}: depth files are .png (16-bit, centimetres) or .npy (metres), got {path.suffix!r}"
    )
