"""Who stands where: the plan of the street, the camera above it, and the actors on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unirestore.data.scenes.backdrop import Street
from unirestore.data.scenes.camera import Camera
from unirestore.data.scenes.vehicle_models import MODELS, VehicleModel

KINDS = ("city", "suburb", "highway")
SMALLEST = 9.0  # pixels of height at 256 px: nothing smaller is placed, so nothing visible goes without a box
NEAREST = 3.4
_TRAFFIC = (("car", 0.56), ("truck", 0.12), ("bus", 0.1), ("motorcycle", 0.12), ("bicycle", 0.1))
_HEIGHTS = {"car": 1.5, "truck": 3.0, "bus": 3.0, "motorcycle": 1.5, "bicycle": 1.6, "person": 1.72}


@dataclass(frozen=True)
class Actor:
    """One road user: class name, where it stands (metres), where it heads (radians), and what it is."""

    name: str
    x: float
    z: float
    yaw: float
    model: VehicleModel | None = None
    rider: bool = True
    height: float = 1.72


def draw_camera(rng: np.random.Generator, size: int, kind: str) -> Camera:
    """A camera on a dashboard, a pavement or (sometimes) a bridge."""
    high = rng.random() < (0.35 if kind == "highway" else 0.12)
    height = rng.uniform(3.5, 6.5) if high else rng.uniform(1.25, 2.3)
    horizon = rng.uniform(0.26, 0.4) if high else rng.uniform(0.36, 0.56)
    return Camera(
        size,
        size * float(np.exp(rng.uniform(np.log(0.8), np.log(1.5)))),
        size * rng.uniform(0.32, 0.68),
        size * horizon,
        height,
    )


def draw_street(rng: np.random.Generator) -> Street:
    """A street with two to five lanes; the camera stands at X = 0 above one of its lanes, or beside it."""
    kind = KINDS[int(rng.choice(3, p=(0.5, 0.27, 0.23)))]
    count = int(rng.integers(2, 5)) if kind != "highway" else int(rng.integers(3, 6))
    width = rng.uniform(3.0, 3.6)
    ours = int(rng.integers(count))
    left = -(ours + 0.5 + rng.uniform(-0.2, 0.2)) * width
    if rng.random() < 0.2:
        left = rng.uniform(1.0, 2.5) if rng.random() < 0.5 else -count * width - rng.uniform(1.0, 2.5)
    same = rng.random() < 0.2
    half = max(1, count // 2)
    right_hand = rng.random() < 0.75
    ahead = tuple(same or ((i >= half) == right_hand) for i in range(count))
    start = rng.uniform(11, 26)
    crossing = (start, start + rng.uniform(6.5, 9)) if kind != "highway" and rng.random() < 0.4 else None
    zebra = (
        start - 4.6
        if crossing and rng.random() < 0.7
        else rng.uniform(7, 18)
        if kind == "city" and rng.random() < 0.2
        else None
    )
    shoulder = rng.uniform(0.8, 2.4) if kind == "highway" or rng.random() < 0.4 else 0.15
    pavement = 0.0 if kind == "highway" else rng.uniform(2.2, 4.2)
    return Street(
        tuple(left + width * i for i in range(count + 1)), ahead, shoulder, pavement, kind, crossing, zebra
    )


class _Room:
    """Keeps actors from standing in each other and out of view."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.taken: list[tuple[float, float, float, float]] = []
        self.actors: list[Actor] = []

    def reach(self, name: str) -> float:
        """The greatest depth at which a class is still large enough to be seen."""
        return self.camera.focal * _HEIGHTS[name] / (SMALLEST * self.camera.size / 256)

    def place(self, actor: Actor, length: float, width: float, gap: float = 0.5) -> bool:
        across, along = (abs(t) for t in (np.sin(actor.yaw), np.cos(actor.yaw)))
        hx, hz = (across * length + along * width) / 2, (along * length + across * width) / 2
        left, right = self.camera.half_width(actor.z)
        if (
            actor.z - hz < NEAREST
            or actor.z > self.reach(actor.name)
            or actor.x + hx < left
            or actor.x - hx > right
        ):
            return False
        box = (actor.x - hx - gap, actor.x + hx + gap, actor.z - hz - gap, actor.z + hz + gap)
        if any(box[0] < b[1] and b[0] < box[1] and box[2] < b[3] and b[2] < box[3] for b in self.taken):
            return False
        self.taken.append(box)
        self.actors.append(actor)
        return True


def draw_actors(rng: np.random.Generator, street: Street, camera: Camera) -> list[Actor]:
    """Road users of a scene, unsorted."""
    room = _Room(camera)
    busy = rng.choice((0.35, 0.7, 1.0), p=(0.25, 0.45, 0.3))
    guests = ("bus", "truck", "motorcycle", "bicycle")
    if rng.random() < 0.7:
        _in_lane(
            rng,
            room,
            street,
            guests[int(rng.integers(4))],
            int(rng.integers(len(street.ahead))),
            float(rng.uniform(6, 22)),
        )
    if street.crossing:
        for _ in range(int(rng.integers(0, 4))):
            name = _traffic(rng)
            near = bool(rng.random() < 0.5)
            z = street.crossing[0] + (street.crossing[1] - street.crossing[0]) * (0.27 if near else 0.74)
            left, right = camera.half_width(z)
            _road_user(
                rng,
                room,
                name,
                float(rng.uniform(left, right)),
                z,
                (np.pi / 2 if near else -np.pi / 2) + rng.normal(0, 0.04),
            )
    if street.kind != "highway" or rng.random() < 0.2:
        for _ in range(rng.poisson(2.6 if street.kind == "city" else 1.6)):
            _walker(rng, room, street)
    for lane in rng.permutation(len(street.ahead)):
        z = float(rng.uniform(5, 16))
        for _ in range(5):
            if rng.random() < busy:
                _in_lane(rng, room, street, _traffic(rng), int(lane), z)
            z += float(rng.uniform(6, 16))
    if street.kind != "highway" and rng.random() < 0.5:
        side = int(rng.choice((-1, 1)))
        edge = street.left if side < 0 else street.right
        z = float(rng.uniform(5, 10))
        for _ in range(6):
            if rng.random() < 0.75 and not (
                street.crossing and street.crossing[0] - 4 < z < street.crossing[1] + 4
            ):
                _road_user(
                    rng, room, "car", edge - side * 0.1, z, rng.choice((0.0, np.pi)) + rng.normal(0, 0.02)
                )
            z += float(rng.uniform(5.6, 9))
    return room.actors[:16]


def _traffic(rng: np.random.Generator) -> str:
    return _TRAFFIC[int(rng.choice(len(_TRAFFIC), p=[share for _, share in _TRAFFIC]))][0]


def _in_lane(rng: np.random.Generator, room: _Room, street: Street, name: str, lane: int, z: float) -> None:
    middle = (street.lanes[lane] + street.lanes[lane + 1]) / 2
    yaw = (0.0 if street.ahead[lane] else np.pi) + rng.normal(0, 0.05)
    if rng.random() < 0.08:
        yaw += rng.uniform(-0.6, 0.6)
    if name == "bicycle":
        middle += 1.1 * (1 if street.ahead[lane] else -1)
    _road_user(rng, room, name, middle + rng.normal(0, 0.2), z, yaw)


def _road_user(rng: np.random.Generator, room: _Room, name: str, x: float, z: float, yaw: float) -> None:
    if name in MODELS:
        shares = (0.36, 0.28, 0.22, 0.14) if name == "car" else None
        model = MODELS[name][int(rng.choice(len(MODELS[name]), p=shares))]
        room.place(Actor(name, x, z, float(yaw), model), model.length, model.bodies[0].width)
    else:
        room.place(Actor(name, x, z, float(yaw), rider=bool(rng.random() < 0.85)), 2.0, 0.8, 0.3)


def _walker(rng: np.random.Generator, room: _Room, street: Street) -> None:
    z = float(np.exp(rng.uniform(np.log(4.2), np.log(max(6.0, room.reach("person"))))))
    side = int(rng.choice((-1, 1)))
    edge = street.left if side < 0 else street.right
    x = edge + side * rng.uniform(0.4, max(street.pavement, 1.2))
    yaw = rng.choice((0.0, np.pi)) + rng.normal(0, 0.3)
    if rng.random() < 0.35:  # crossing the road
        x, yaw = rng.uniform(street.left, street.right), rng.choice((-1, 1)) * np.pi / 2 + rng.normal(0, 0.2)
        if street.zebra is not None and rng.random() < 0.7:
            z = street.zebra + rng.uniform(0.4, 2.6)
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.35 else 1):
        if rng.random() < 0.12:
            room.place(Actor("bicycle", x, z, float(yaw), rider=bool(rng.random() < 0.4)), 2.0, 0.8, 0.2)
        else:
            height = float(rng.normal(1.72, 0.08)) if rng.random() < 0.9 else float(rng.uniform(1.1, 1.4))
            room.place(Actor("person", x, z, float(yaw), height=height), 0.5, 0.5, 0.12)
        x, z = x + rng.choice((-1, 1)) * rng.uniform(0.7, 1.0), z + rng.uniform(-0.5, 0.5)
