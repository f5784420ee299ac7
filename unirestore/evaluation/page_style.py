"""What the HTML pages share: self-contained, no script, no other file, readable in light and in dark."""

from __future__ import annotations

from html import escape

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
h2 a { color:inherit; text-decoration-color:var(--accent); text-underline-offset:4px }
@media (max-width:720px) { main { padding:32px 16px 56px } .panels,.charts { grid-template-columns:1fr 1fr }
  .charts { grid-template-columns:1fr } h1 {
font-size:27px } }
"""


def page(title: str, lead: str, body: str) -> str:
    """A whole page: `title` and `lead` are text, `body` is HTML."""
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1><p class='lead'>{escape(lead)}</p></header>"
        f"{body}</main></body></html>\n"
    )
