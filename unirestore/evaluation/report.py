"""Write a measurement down: `report.json` for programs, `report.md` to read, `report.html` to look at."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from unirestore.evaluation.arms import CLEAN, NONE
from unirestore.evaluation.bootstrap import Interval
from unirestore.evaluation.gain import ArmResult, ConditionResult, GainReport

_DISTRIBUTIONS = (
    "unirestore",
    "torch",
    "torchvision",
    "diffusers",
    "numpy",
    "opencv-python-headless",
    "onedl-mmdetection",
    "onedl-mmcv",
    "onedl-mmengine",
)
FIGURE_TITLES = {"mAP": "mAP", "AP50": "AP50", "AP75": "AP75", "iwAP": "iw-AP", "agnostic": "agnostic AP"}


def write_report(
    report: GainReport, folder: str | Path, *, title: str = "What restoration gives the detector"
) -> dict[str, Path]:
    """Write `report.json`, `report.md` and `report.html` into `folder` -> format: path.

    Args:
        report: the measurement.
        folder: made when it is missing.
        title: heading of the text and of the page.
    """
    from unirestore.evaluation.report_page import render_page

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "json": json.dumps(to_json(report), indent=1, allow_nan=False) + "\n",
        "md": to_markdown(report, title=title),
        "html": render_page(report, title=title),
    }
    paths = {}
    for suffix, text in contents.items():
        paths[suffix] = folder / f"report.{suffix}"
        partial = paths[suffix].with_suffix(f".{suffix}.part")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, paths[suffix])
    return paths


def versions() -> dict[str, str]:
    """Installed versions of what the figures depend on."""
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def to_json(report: GainReport) -> dict[str, Any]:
    """Every figure with its interval, as plain lists and numbers; what is unknown is null."""
    return _plain(
        {
            "protocol": report.protocol,
            "versions": versions(),
            "classes": list(report.classes),
            "conditions": {
                name: {
                    "photos": condition.photos,
                    "boxes": condition.boxes,
                    "effect": condition.effect,
                    "arms": {arm: _arm_json(row) for arm, row in condition.arms.items()},
                    "pictures": [
                        {"rank": p.rank, "name": p.name, "arm": p.arm, "gain": p.gain}
                        for p in condition.pictures
                    ],
                }
                for name, condition in report.conditions.items()
            },
        }
    )


def _arm_json(row: ArmResult) -> dict[str, Any]:
    return {
        **asdict(row.comparison),
        "restorer_ms": row.restorer_ms,
        "detector_ms": row.detector_ms,
        "psnr": row.psnr,
        "ssim": row.ssim,
    }


def _plain(value: Any) -> Any:
    """The same nested value as JSON knows it; numbers that are not finite become null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "item"):
        return _plain(value.item())
    return str(value)


def key_figure(report: GainReport) -> str:
    """The figure that tables and charts lead with: AP of cars, the steadiest on street photos, else mAP."""
    known = all(condition.boxes.get("car", 0) for condition in report.conditions.values())
    return "AP/car" if known else "mAP"


def figure_title(name: str) -> str:
    """How a figure is headed: `AP/car` -> `car AP`."""
    return FIGURE_TITLES.get(name) or f"{name.removeprefix('AP/')} AP"


def columns(report: GainReport) -> list[str]:
    """Figures that a table shows, the key figure first."""
    return list(dict.fromkeys([key_figure(report), "mAP", "AP50", "AP75", "iwAP", "agnostic"]))


def number(value: float | None, pattern: str = ".1f") -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else format(value, pattern)


def difference(value: Interval) -> str:
    """`+4.2 [+2.9, +5.6]`."""
    return f"{number(value.value, '+.1f')} [{number(value.low, '+.1f')}, {number(value.high, '+.1f')}]"


def share(value: Interval | None) -> str:
    """`63 % [51, 75]`, or a dash."""
    if value is None or not math.isfinite(value.value):
        return "–"
    return f"{100 * value.value:.0f} % [{number(100 * value.low, '.0f')}, {number(100 * value.high, '.0f')}]"


def to_markdown(report: GainReport, *, title: str) -> str:
    """A summary over all conditions, then a table for each, then how it was measured."""
    key = key_figure(report)
    arms = list(dict.fromkeys(arm for c in report.conditions.values() for arm in c.arms))
    lines = [f"# {title}", "", f"{figure_title(key)}, difference to `{NONE}` with its 95 % interval:", ""]
    lines += _table(
        ["arm", *report.conditions],
        [[f"`{arm}`", *(_summary_cell(c, arm, key) for c in report.conditions.values())] for arm in arms],
    )
    for name, condition in report.conditions.items():
        lines += ["", f"## {name}", "", _size(condition), ""]
        lines += _table(
            [
                "arm",
                *(figure_title(f) for f in columns(report)),
                f"Δ {figure_title(key)} [95 %]",
                "Δ iw-AP [95 %]",
                "Δ mAP [95 %]",
                "gap closed",
                "PSNR",
                "SSIM",
                "restorer ms",
                "detector ms",
            ],
            [_row(report, arm, row) for arm, row in condition.arms.items()],
        )
    lines += ["", "## How it was measured", ""]
    lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in report.protocol.items()]
    lines += [f"- versions: {', '.join(f'{k} {v}' for k, v in versions().items())}"]
    lines += [
        "- iw-AP: AP of the classes weighted by their number of boxes; agnostic AP: all boxes as one class; "
        f"gap closed: share of the difference between `{CLEAN}` and `{NONE}` in {figure_title(key)}; "
        "times: median per photo, on the machine that measured",
    ]
    return "\n".join(lines) + "\n"


def _summary_cell(condition: ConditionResult, arm: str, key: str) -> str:
    if arm not in condition.arms:
        return "–"
    comparison = condition.arms[arm].comparison
    value = number(comparison.figures[key].value)
    return value if arm == NONE else f"{value} ({difference(comparison.deltas[key])})"


def _row(report: GainReport, arm: str, row: ArmResult) -> list[str]:
    comparison, key = row.comparison, key_figure(report)
    own = arm == NONE
    return [
        f"`{arm}`",
        *(number(comparison.figures[f].value) for f in columns(report)),
        *("–" if own else difference(comparison.deltas[f]) for f in (key, "iwAP", "mAP")),
        "–" if own or arm == CLEAN else share(comparison.gap_closed.get(key)),
        number(row.psnr),
        number(row.ssim, ".3f"),
        "–" if arm in (NONE, CLEAN) else number(row.restorer_ms),
        number(row.detector_ms),
    ]


def _size(condition: ConditionResult) -> str:
    boxes = ", ".join(f"{count} {name}" for name, count in condition.boxes.items() if count)
    return f"{condition.photos} photos; boxes: {boxes or 'none'}."


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
