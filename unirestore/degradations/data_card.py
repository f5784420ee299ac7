"""The data card of a set of pairs: what is in it, how it was made, and how to make it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from unirestore.version import __version__

from .recipes import load_recipe

if TYPE_CHECKING:
    from .dataset_builder import PairBuilder

_READ = {
    "folders": """A pair is `degraded/NAME` with the clean photo that `manifest.jsonl` names beside it.""",
    "shards": """Each shard is a tar in the WebDataset form. With the `webdataset` package:

```python
import webdataset
pairs = webdataset.WebDataset("shards/pairs-{{000000..{last:06d}}}.tar", shardshuffle=False).decode("rgb8")
pairs = pairs.to_tuple("degraded.{kind}", "clean.{kind}", "json")
```""",
}


def effects_in(entry: Mapping[str, Any]) -> list[str]:
    """Names of the effects in a manifest line, groups opened."""
    children = entry["params"].get("effects")
    if not children:
        return [entry["type"]]
    scale = [entry["type"]] if entry["type"] == "AtScale" else []
    return scale + [name for child in children for name in effects_in(child)]


def data_card(builder: PairBuilder, lines: Iterable[Mapping[str, Any]]) -> str:
    """Markdown for the set that `builder` made and `lines` describe; they are gone through once."""
    recipe = load_recipe(builder.recipe, severity=builder.severity)
    counts, pairs, moved, photos = Counter(), 0, 0, set()
    for line in lines:
        pairs, moved = pairs + 1, moved + bool(line["moves_pixels"])
        counts.update(set(effects_in(line)))
        photos.add(line["file"])
    rows = "\n".join(f"| {name} | {n} | {n / pairs:.1%} |" for name, n in counts.most_common())
    geometry = (
        f"{moved} of the {pairs} degraded photos have displaced content (`moves_pixels` in the manifest); boxes "
        "and label maps of the clean photos fit them only after `Degradation.warp_boxes` and `warp_map`."
        if moved
        else "No pixel is displaced: boxes and label maps of the clean photos fit the degraded ones."
    )
    depth = "guessed from the photos" if builder.depth is None else "read from files where there are some"
    side = "" if builder.max_side is None else f", made smaller to at most {builder.max_side} pixels a side"
    read = _READ[builder.layout].format(last=builder.chunks - 1, kind=builder.picture_format)
    return f"""# Pairs of degraded and clean photos

{pairs} pairs from {len(photos)} photos{side}, {builder.copies} per photo, as {builder.picture_format}.
Made by unirestore {__version__} with the recipe `{getattr(recipe, "name", recipe)}`, seed {builder.seed}.
The degradations are synthetic; the clean photos and their licence are those of the source.

## What was done to them

| effect | pairs | share |
|---|---:|---:|
{rows}

{geometry} Depth, which weather needs, was {depth}.

## How to read them

{read}

## How to make them again

Each line of `manifest.jsonl` holds the effect with all its numbers, its seed and the SHA-256 of the pixels before and
after; `unirestore degrade PHOTOS OUT --replay manifest.jsonl` makes the degraded photos again and checks them.
"""
