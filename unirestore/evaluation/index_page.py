"""An index over the reports of many runs: one page that says what each found and leads to it."""

from __future__ import annotations

import json
import os
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unirestore.evaluation.arms import NONE
from unirestore.evaluation.page_style import page
from unirestore.evaluation.report import number
from unirestore.evaluation.report_layout import LAYOUTS

INDEX = "index.html"


def write_index(root: str | Path) -> Path:
    """Write `root/index.html` over every `report.json` below `root`, the newest first -> its path.

    A file that is no report is listed as such, and the rest goes on.

    Raises:
        FileNotFoundError: there is no report below `root`.
    """
    root = Path(root)
    found = sorted(root.rglob("report.json"), key=lambda path: (-path.stat().st_mtime, str(path)))
    if not found:
        raise FileNotFoundError(
            f"no report.json below {root}; tools/measure.py and tools/train.py write some"
        )
    body = "".join(_run(path, root) for path in found)
    lead = (
        f"{len(found)} measurement{'s' * (len(found) > 1)}, the newest first. Each row leads to a page with all arms, "
        "charts and pictures. Differences are paired by photo; the range beside each holds 95 % of the resamples."
    )
    path = root / INDEX
    partial = path.with_suffix(f".{os.getpid()}.part")  # runs that end together write one index
    partial.write_text(page("What was measured", lead, body), encoding="utf-8")
    os.replace(partial, path)
    return path


def _run(path: Path, root: Path) -> str:
    """The section of one run."""
    folder = path.parent.relative_to(root)
    when = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        rows = "".join(_row(stored, name, stored["conditions"][name]) for name in stored["conditions"])
        arm = str(stored["arm"])
        head, title = str(stored["key"]["title"]), str(stored.get("title") or folder)
        networks = [layout.network for layout in LAYOUTS.values()]
        who = ", ".join(str(stored["protocol"][key]) for key in networks if key in stored["protocol"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return (
            f"<section><div class='top'><h2>{escape(str(folder))}</h2><p class='soft'>{when}</p></div>"
            f"<p class='bad'>{escape(path.name)} cannot be read as a report of this version "
            f"({escape(type(error).__name__)}: {escape(str(error))}); measure again</p></section>"
        )
    link = quote((folder / "report.html").as_posix())
    cells = [escape(head), "photos", f"<code>{NONE}</code>"]
    cells += [f"<code>{escape(arm)}</code>", "gain", "gap closed"] if arm != NONE else []
    return (
        f"<section><div class='top'><h2><a href='{link}'>{escape(title)}</a></h2>"
        f"<p class='soft'>{escape(str(folder))}; {escape(who + '; ' if who else '')}{when}</p></div>"
        f"<div class='wide'><table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in cells)}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _row(stored: dict[str, Any], name: str, condition: dict[str, Any]) -> str:
    """What the run's arm gave on one condition; nothing but the photos as they are where there is no other arm."""
    figure, arms, arm = stored["key"]["figure"], condition["arms"], stored["arm"]
    values = [escape(name), escape(str(condition["photos"])), number(arms[NONE]["figures"][figure]["value"])]
    if arm in arms and arm != NONE:
        closed = (arms[arm].get("gap_closed") or {}).get(figure) or {"value": None}
        values += [
            number(arms[arm]["figures"][figure]["value"]),
            _range(arms[arm]["deltas"][figure], "+.1f"),
            "–" if closed["value"] is None else _range(closed, ".0f", " %", 100),
        ]
    elif arm != NONE:
        values += ["–"] * 3
    return f"<tr>{''.join(f'<td>{value}</td>' for value in values)}</tr>"


def _range(interval: dict[str, float | None], pattern: str, unit: str = "", factor: float = 1) -> str:
    value, low, high = (
        number(None if interval[key] is None else factor * interval[key], pattern)
        for key in ("value", "low", "high")
    )
    return f"{value}{unit} <small>[{low}, {high}]</small>"
