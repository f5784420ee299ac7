"""The report as one self-contained HTML page: no script, no other file, readable in light and in dark."""

from __future__ import annotations

import base64
from html import escape
from math import isfinite

from unirestore.evaluation.arms import CLEAN, NONE
from unirestore.evaluation.chart import axis_range, bars
from unirestore.evaluation.gain import ConditionResult, GainReport
from unirestore.evaluation.pictures import Picture
from unirestore.evaluation.report import (
    columns,
    difference,
    key_figure,
    layout_of,
    number,
    share,
    versions,
)
from unirestore.evaluation.report_layout import legend

_STYLE = """
:root { --paper:#f6f5f1; --sheet:#ffffff; --ink:#1d2329; --soft:#626c76; --line:#dedcd4; --bar:#b4bcc4;
  --accent:#0f7a6c; --good:#0f7a6c; --bad:#b5432a; --whisker:#1d2329; }
@media (prefers-color-scheme: dark) { :root { --paper:#14181c; --sheet:#1b2126; --ink:#e6e9eb; --soft:#98a3ad;
  --line:#2f373e; --bar:#55616c; --accent:#35b7a4; --good:#4cc9b6; --bad:#f08a6c; --whisker:#e6e9eb; } }
* { box-sizing:border-box } html { -webkit-text-size-adjust:100% }
body { margin:0; background:var(--paper); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif }
main { max-width:1240px; margin:0 auto; padding:56px 28px 80px }
h1 { font-size:34px; line-height:1.15; letter-spacing:-.02em; margin:0 0 10px; max-width:36ch }
h2 { font-size:22px; letter-spacing:-.01em; margin:0 }
h3 { font-size:15px; margin:34px 0 10px }
p { margin:0 } .soft { color:var(--soft) } .lead { color:var(--soft); max-width:72ch }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(230px,1fr)); gap:14px; margin:32px 0 8px }
.card { background:var(--sheet); border:1px solid var(--line); border-radius:10px; padding:18px 20px }
.card b { display:block; font-size:36px; line-height:1.15; letter-spacing:-.02em; font-weight:650;
  font-variant-numeric:tabular-nums }
.card .where { font-weight:600 } .card .soft { font-size:14px }
.good { color:var(--good) } .bad { color:var(--bad) }
section { margin-top:56px; padding-top:26px; border-top:2px solid var(--ink) }
.top { display:flex; flex-wrap:wrap; gap:4px 16px; align-items:baseline; justify-content:space-between }
.wide { overflow-x:auto; margin-top:18px; background:var(--sheet); border:1px solid var(--line);
border-radius:10px } table { border-collapse:collapse; width:100%; font-size:14px;
font-variant-numeric:tabular-nums } th,td { padding:9px 13px; text-align:right; white-space:nowrap;
border-bottom:1px solid var(--line) } th { font-weight:500; color:var(--soft); font-size:13px }
th:first-child,td:first-child { text-align:left } tbody tr:last-child td { border-bottom:0 } td:first-child {
font-weight:600 } td.key { font-weight:650 } tr.ceiling td { color:var(--soft) } tr.chosen td {
background:color-mix(in srgb,var(--accent) 9%,transparent) } td small { color:var(--soft); font-size:13px }
svg { display:block; width:100%; height:auto; margin-top:6px;
  font:12.5px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif }
svg .bar { fill:var(--bar) } svg .accent { fill:var(--accent) } svg .axis { stroke:var(--ink);
stroke-width:1.2 } svg .grid { stroke:var(--line) } svg .whisker { stroke:var(--whisker); stroke-width:1.5;
fill:none } svg text { fill:var(--ink) } svg .tick { fill:var(--soft); text-anchor:middle } svg .name {
text-anchor:end } svg .value { font-weight:650; font-variant-numeric:tabular-nums } svg .range {
fill:var(--soft); font-weight:400 } .strip { margin-top:20px } .strip>p { font-size:14px; margin-bottom:8px }
.panels { display:grid; grid-template-columns:repeat(var(--n),1fr); gap:8px }
figure { margin:0 } img { display:block; width:100%; border-radius:6px }
figcaption { font-size:13px; color:var(--soft); margin-top:5px; line-height:1.35 }
figcaption b { color:var(--ink) }
.legend { display:flex; flex-wrap:wrap; gap:4px 20px; font-size:13px; color:var(--soft) }
.legend i { display:inline-block; width:16px; height:11px; border:2px solid; border-radius:2px;
margin-right:7px;
  vertical-align:-1px; background:#3a434b }
.legend i.dash { border:1px dashed } .legend i.solid { background:currentColor }
.charts { display:grid; grid-template-columns:repeat(auto-fit,minmax(420px,1fr)); gap:8px 36px }
.charts h3 { margin-bottom:4px }
dl { display:grid; grid-template-columns:minmax(120px,max-content) 1fr; gap:5px 22px; font-size:14px;
margin:16px 0 0 } dt { color:var(--soft) } dd { margin:0; overflow-wrap:anywhere }
@media (max-width:720px) { main { padding:32px 16px 56px } .panels,.charts { grid-template-columns:1fr 1fr }
  .charts { grid-template-columns:1fr } h1 {
font-size:27px } }
"""


def render_page(report: GainReport, *, title: str) -> str:
    """The whole page as a string."""
    key = key_figure(report)
    arm = _chosen(report)
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
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1><p class='lead'>{escape(_lead(report))}</p></header>"
        f"{_cards(report, arm, key)}{''.join(sections)}{_protocol(report, key)}</main></body></html>\n"
    )


def charted(report: GainReport) -> tuple[str, str]:
    """The two figures that the charts show: the key figure and one that weighs the classes by their amounts."""
    return key_figure(report), layout_of(report).second


def _chosen(report: GainReport) -> str:
    """The arm that the page is about: that of the task, or else the last one measured."""
    arms = list(dict.fromkeys(arm for c in report.conditions.values() for arm in c.arms))
    others = [arm for arm in arms if arm not in (NONE, CLEAN)] or [NONE]
    aim = layout_of(report).picture_arm
    return aim if aim in others else others[-1]


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
