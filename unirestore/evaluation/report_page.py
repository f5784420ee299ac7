"""The report as one self-contained HTML page, see `page_style`."""

from __future__ import annotations

import base64
from html import escape
from math import isfinite

from unirestore.evaluation.arms import CLEAN, NONE
from unirestore.evaluation.chart import axis_range, bars
from unirestore.evaluation.gain import ConditionResult, GainReport
from unirestore.evaluation.page_style import page
from unirestore.evaluation.pictures import Picture
from unirestore.evaluation.report import (
    chosen_arm,
    columns,
    difference,
    key_figure,
    layout_of,
    number,
    share,
    versions,
)
from unirestore.evaluation.report_layout import legend


def render_page(report: GainReport, *, title: str) -> str:
    """The whole page as a string."""
    key = key_figure(report)
    arm = chosen_arm(report)
    deltas = [
        row.comparison.deltas[figure]
        for figure in charted(report)
        for condition in report.conditions.values()
        for name, row in condition.arms.items()
        if name != NONE
    ]
    low, high = axis_range(deltas)
    sections = [
        _section(report, name, condition, arm, low, high) for name, condition in report.conditions.items()
    ]
    body = f"{_cards(report, arm, key)}{''.join(sections)}{_protocol(report, key)}"
    return page(title, _lead(report), body)


def charted(report: GainReport) -> tuple[str, str]:
    """The two figures that the charts show: the key figure and one that weighs the classes by their amounts."""
    return key_figure(report), layout_of(report).second


def _lead(report: GainReport) -> str:
    photos = ", ".join(f"{name} ({c.photos} photos)" for name, c in report.conditions.items())
    network = layout_of(report).network
    before = report.protocol.get(network)
    who = f"{before}, with frozen weights," if before else f"The same {network}"
    return (
        f"{who} looks at each photo as it is and after each restorer. Conditions: {photos}. Differences are "
        "paired by photo; the range beside each holds 95 % of the resamples."
    )


def _cards(report: GainReport, arm: str, key: str) -> str:
    cards, title = [], layout_of(report).title(key)
    for name, condition in report.conditions.items():
        if arm not in condition.arms or arm == NONE:
            continue
        row = condition.arms[arm].comparison
        delta = row.deltas[key]
        tone = ("good" if delta.value > 0 else "bad") if delta.excludes_zero else ""
        gap = row.gap_closed.get(key)
        closed = (
            f"; closes {number(100 * gap.value, '.0f')} % of the gap" if gap and isfinite(gap.value) else ""
        )
        before = condition.arms[NONE].comparison.figures[key].value
        cards.append(
            f"<div class='card'><span class='where'>{escape(name)}</span>"
            f"<b class='{tone}'>{number(delta.value, '+.1f')}</b>"
            f"<span class='soft'>{escape(title)} with <code>{escape(arm)}</code>: "
            f"{number(before)} to {number(row.figures[key].value)}, "
            f"range {number(delta.low, '+.1f')} to {number(delta.high, '+.1f')}"
            f"{closed}</span></div>"
        )
    return f"<div class='cards'>{''.join(cards)}</div>"


def _section(
    report: GainReport, name: str, condition: ConditionResult, arm: str, low: float, high: float
) -> str:
    layout = layout_of(report)
    found = ", ".join(f"{count} {label}" for label, count in condition.amounts.items() if count)
    charts = ""
    for figure in charted(report):
        values = {n: row.comparison.deltas[figure] for n, row in condition.arms.items() if n != NONE}
        label = f"{layout.title(figure)} gained in {name}"
        chart = bars(values, low=low, high=high, label=label, emphasis=arm)
        charts += f"<div><h3>{escape(layout.title(figure))} gained over <code>none</code></h3>{chart}</div>"
    return (
        f"<section><div class='top'><h2>{escape(name)}</h2>"
        f"<p class='soft'>{condition.photos} photos; {layout.amounts}: {escape(found) or 'none'}</p></div>"
        f"<div class='wide'>{_table(report, condition, arm)}</div>"
        f"<div class='charts'>{charts}</div>"
        f"{_strips(report, condition.pictures)}</section>"
    )


def _table(report: GainReport, condition: ConditionResult, arm: str) -> str:
    key, shown, layout = key_figure(report), columns(report), layout_of(report)
    gaps = any(row.comparison.gap_closed for row in condition.arms.values())
    quality = any(row.psnr is not None for row in condition.arms.values())
    head = [
        "arm",
        *map(layout.title, shown),
        f"gain in {layout.title(key)}",
        *(["gap closed"] if gaps else []),
        *(["PSNR", "SSIM"] if quality else []),
        "restorer ms",
        f"{layout.network} ms",
    ]
    body = []
    for name, row in condition.arms.items():
        comparison = row.comparison
        cells = [f"<td>{escape(name)}</td>"]
        cells += [
            f"<td{' class=key' if f == key else ''}>{number(comparison.figures[f].value)}</td>" for f in shown
        ]
        cells.append(f"<td>{_toned(comparison.deltas[key]) if name != NONE else '–'}</td>")
        if gaps:
            closed = "–" if name in (NONE, CLEAN) else share(comparison.gap_closed.get(key))
            cells.append(f"<td>{_small_range(closed)}</td>")
        if quality:
            cells += [f"<td>{number(row.psnr)}</td>", f"<td>{number(row.ssim, '.3f')}</td>"]
        restorer = "–" if name in (NONE, CLEAN) else number(row.restorer_ms, ".0f")
        cells += [f"<td>{restorer}</td>", f"<td>{number(row.network_ms, '.0f')}</td>"]
        kind = "chosen" if name == arm else "ceiling" if name == CLEAN else ""
        body.append(f"<tr class='{kind}'>{''.join(cells)}</tr>")
    return (
        f"<table><thead><tr>{''.join(f'<th>{escape(h)}</th>' for h in head)}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _toned(delta) -> str:
    tone = ("good" if delta.value > 0 else "bad") if delta.excludes_zero else ""
    value, _, bounds = difference(delta).partition(" ")
    return f"<span class='{tone}'>{value}</span> <small>{bounds}</small>"


def _small_range(text: str) -> str:
    value, bracket, bounds = text.partition(" [")
    return f"{value} <small>[{bounds}</small>" if bracket else text


def _strips(report: GainReport, pictures: list[Picture]) -> str:
    if not pictures:
        return ""
    layout = layout_of(report)
    words = {
        "best": "Most gained",
        "median": "Middling",
        "worst": "Least gained",
    }
    strips = []
    for picture in pictures:
        panels = "".join(
            f"<figure><img alt='{escape(picture.name, quote=True)}: {escape(panel.title)}' "
            f"src='data:image/jpeg;base64,{base64.b64encode(panel.jpeg).decode()}'>"
            f"<figcaption><b>{escape(panel.title)}</b> {escape(panel.caption)}</figcaption></figure>"
            for panel in picture.panels
        )
        strips.append(
            f"<div class='strip'><p><b>{words[picture.rank]}</b> "
            f"<span class='soft'>{escape(picture.name)}: {number(picture.gain, '+.1f')} points of "
            f"the photo's own {layout.own} with {escape(picture.arm)}</span></p>"
            f"<div class='panels' style='--n:{len(picture.panels)}'>{panels}</div></div>"
        )
    keys = "".join(
        (f"<span><i class='{kind}' style='color:{colour};border-color:{colour}'></i>" if colour else "<span>")
        + f"{escape(text)}</span>"
        for colour, kind, text in legend(report.task, report.classes)
    )
    return (
        f"<h3>Photos on which the {layout.network} gained most, middling and least</h3>"
        f"<div class='legend'>{keys}</div>{''.join(strips)}"
    )


def _protocol(report: GainReport, key: str) -> str:
    lines = {name.replace("_", " "): str(value) for name, value in report.protocol.items()}
    lines |= {
        f"effect, {name}": str(condition.effect)
        for name, condition in report.conditions.items()
        if condition.effect
    }
    layout = layout_of(report)
    lines |= layout.notes
    lines["gap closed"] = f"share of the difference in {layout.title(key)} between clean and none"
    lines["times"] = "median per photo on the machine that measured"
    lines["versions"] = ", ".join(f"{name} {version}" for name, version in versions().items())
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in lines.items())
    return f"<section><h2>How it was measured</h2><dl>{items}</dl></section>"
