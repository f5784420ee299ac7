"""The 37 configurations of UniSER's haze renderer as a table: 20 of haze, 10 of fog, 7 of smoke.

Numbers as in the authors' public data tools (arXiv:2511.14183, repository UniSER-Datasets, MIT); each row holds the
fields of `SoftHaze` that differ from those of its kind. Colours are 8-bit sRGB here.
"""

from __future__ import annotations

KINDS: dict[
    str, dict[str, object]
] = {  # single-scattering albedo, exponent, scale height, airlight, R G B factors
    "fog": {
        "albedo": 1.0,
        "eta": 0.7,
        "scale_height": 100.0,
        "airlight": (1.0, 1.0, 1.0),
        "spectral": (1, 1, 1),
    },
    "haze": {
        "albedo": 1.0,
        "eta": 1.0,
        "scale_height": 1200.0,
        "airlight": (0.6, 0.75, 1.0),
        "spectral": (1.1, 1.0, 0.9),
    },
    "smoke": {
        "albedo": 0.8,
        "eta": 0.9,
        "scale_height": 50.0,
        "airlight": (0.75, 0.65, 0.55),
        "spectral": (0.9, 1.0, 1.1),
    },
}
_SKIES = {
    "sky_blue": (153, 174, 215),
    "warm_urban": (200, 180, 140),
    "pale_grey": (210, 210, 220),
    "brownish": (190, 170, 150),
}
_HAZE_VISIBILITIES = (100, 200, 300, 500, 1000)
_FOG = (
    (1000, 1.0),
    (500, 0.95),
    (300, 1.0),
    (200, 0.95),
    (120, 0.9),
    (80, 0.85),
    (40, 0.5),
)  # visibility, eta
_VALLEY = ((30, 30), (50, 45), (70, 60))  # visibility, scale height
_SMOKE = (
    {"visibility": 250, "airlight": (200, 180, 160), "eta": 0.95, "albedo": 0.85},
    {"visibility": 150, "airlight": (180, 150, 120), "eta": 0.9, "albedo": 0.8},
    {
        "visibility": 80,
        "airlight": (160, 120, 90),
        "eta": 0.85,
        "albedo": 0.75,
        "scale_height": 40,
        "top_height": 60,
    },
)
_COOL_SMOKE = (120, 200, 500, 1000)


def _depth_blur(visibility: float) -> tuple[int, float]:
    """(kernel at 512 px, probability) of the blur on the depth map, fog only."""
    if 30 <= visibility < 50:
        return 7, 1.0
    if 50 <= visibility < 70:
        return 11, 1.0
    return (3, 1.0) if visibility <= 100 else (3, 0.5)


def _table() -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for sky, colour in _SKIES.items():
        for visibility in _HAZE_VISIBILITIES:
            rows[f"haze/{sky}/{visibility}"] = {
                "kind": "haze",
                "depth_max": 120,
                "visibility": visibility,
                "airlight": colour,
            }
    for visibility, eta in _FOG:
        rows[f"fog/{visibility}"] = {"kind": "fog", "depth_max": 60, "visibility": visibility, "eta": eta}
    for visibility, height in _VALLEY:
        rows[f"fog/valley/{visibility}"] = {
            "kind": "fog",
            "depth_max": 60,
            "visibility": visibility,
            "scale_height": height,
            "top_height": 120,
        }
    for smoke in _SMOKE:
        rows[f"smoke/{smoke['visibility']}"] = {"kind": "smoke", "depth_max": 100, **smoke}
    for visibility in _COOL_SMOKE:
        rows[f"smoke/cool/{visibility}"] = {
            "kind": "smoke",
            "depth_max": 100,
            "visibility": visibility,
            "airlight": (180, 180, 190),
            "eta": 0.92,
            "albedo": 0.85,
        }
    for row in rows.values():
        row["visibility"] = float(row["visibility"])
        if "airlight" in row:
            row["airlight"] = tuple(level / 255 for level in row["airlight"])
        if row["kind"] == "fog":
            row["depth_blur"], row["depth_blur_share"] = _depth_blur(row["visibility"])
    return rows


HAZE_PRESETS: dict[str, dict[str, object]] = _table()  # name -> fields of SoftHaze
