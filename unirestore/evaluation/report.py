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
from unirestore.evaluation.report_layout import LAYOUTS, Layout

_DISTRIBUTIONS = (
    "unirestore",
    "torch",
    "torchvision",
    "diffusers",
    "numpy",
    "opencv-python-headless",
    "onedl-mmdetection",
    "onedl-mmsegmentation",
    "onedl-mmcv",
    "onedl-mmengine",
)


def write_report(report: GainReport, folder: str | Path, *, title: str | None = None) -> dict[str, Path]:
    """Write `report.json`, `report.md` and `report.html` into `folder` -> format: path.

    Args:
        report: the measurement.
        folder: made when it is missing.
        title: heading of the text and of the page; None: that of the task.
    """
    from unirestore.evaluation.report_page import render_page

    title = title or default_title(report)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "json": json.dumps({"title": title, **to_json(report)}, indent=1, allow_nan=False) + "\n",
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
            "task": report.task,
            "classes": list(report.classes),
            "key": {"figure": key_figure(report), "title": layout_of(report).title(key_figure(report))},
            "arm": chosen_arm(report),
            "conditions": {
                name: {
                    "photos": condition.photos,
                    layout_of(report).amounts: condition.amounts,
                    "effect": condition.effect,
                    "arms": {
                        arm: _arm_json(row, layout_of(report).network) for arm, row in condition.arms.items()
                    },
                    "pictures": [
                        {"rank": p.rank, "name": p.name, "arm": p.arm, "gain": p.gain}
                        for p in condition.pictures
                    ],
                }
                for name, condition in report.conditions.items()
            },
        }
    )


def _arm_json(row: ArmResult, network: str) -> dict[str, Any]:
    return {
        **asdict(row.comparison),
        "restorer_ms": row.restorer_ms,
        f"{network.replace(' ', '_')}_ms": row.network_ms,
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


def layout_of(report: GainReport) -> Layout:
    """How the figures of the report's task are shown."""
    return LAYOUTS[report.task]


def default_title(report: GainReport) -> str:
    """The heading where none is given."""
    return f"What restoration gives the {layout_of(report).network}"


def key_figure(report: GainReport) -> str:
    """The figure that tables and charts lead with: that of the steady class where all conditions have it."""
    layout = layout_of(report)
    steady = layout.steady_class
    known = steady and all(condition.amounts.get(steady, 0) for condition in report.conditions.values())
    return f"{layout.by_class}{steady}" if known else layout.key


def chosen_arm(report: GainReport) -> str:
    """The arm that a report is about: that of the task, or else the last one measured."""
    arms = list(dict.fromkeys(arm for c in report.conditions.values() for arm in c.arms))
    others = [arm for arm in arms if arm not in (NONE, CLEAN)] or [NONE]
    aim = layout_of(report).picture_arm
    return aim if aim in others else others[-1]


def columns(report: GainReport) -> list[str]:
    """Figures that a table shows, the key figure first."""
    return list(dict.fromkeys([key_figure(report), *layout_of(report).figures]))


def deltas(report: GainReport) -> list[str]:
    """Figures of which a table shows the difference to `none`, the key figure first."""
    return list(dict.fromkeys([key_figure(report), *layout_of(report).deltas]))


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


def to_markdown(report: GainReport, *, title: str | None = None) -> str:
    """A summary over all conditions, then a table for each, then how it was measured."""
    key, layout = key_figure(report), layout_of(report)
    arms = list(dict.fromkeys(arm for c in report.conditions.values() for arm in c.arms))
    lines = [
        f"# {title or default_title(report)}",
        "",
        f"{layout.title(key)}, difference to `{NONE}` with its 95 % interval:",
        "",
    ]
    lines += _table(
        ["arm", *report.conditions],
        [[f"`{arm}`", *(_summary_cell(c, arm, key) for c in report.conditions.values())] for arm in arms],
    )
    for name, condition in report.conditions.items():
        lines += ["", f"## {name}", "", _size(condition, layout), ""]
        lines += _table(
            [
                "arm",
                *(layout.title(f) for f in columns(report)),
                *(f"Δ {layout.title(f)} [95 %]" for f in deltas(report)),
                "gap closed",
                "PSNR",
                "SSIM",
                "restorer ms",
                f"{layout.network} ms",
            ],
            [_row(report, arm, row) for arm, row in condition.arms.items()],
        )
    lines += ["", "## How it was measured", ""]
    lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in report.protocol.items()]
    lines += [f"- versions: {', '.join(f'{k} {v}' for k, v in versions().items())}"]
    lines += [
        f"- {'; '.join(f'{name}: {meaning}' for name, meaning in layout.notes.items())}; "
        f"gap closed: share of the difference between `{CLEAN}` and `{NONE}` in {layout.title(key)}; "
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
        *("–" if own else difference(comparison.deltas[f]) for f in deltas(report)),
        "–" if own or arm == CLEAN else share(comparison.gap_closed.get(key)),
        number(row.psnr),
        number(row.ssim, ".3f"),
        "–" if arm in (NONE, CLEAN) else number(row.restorer_ms),
        number(row.network_ms),
    ]


def _size(condition: ConditionResult, layout: Layout) -> str:
    found = ", ".join(f"{count} {name}" for name, count in condition.amounts.items() if count)
    return f"{condition.photos} photos; {layout.amounts}: {found or 'none'}."


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
