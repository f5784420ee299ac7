"""Builds a data set of pairs from a folder of clean photos: all cores, resumable, byte for byte repeatable.

    builder = PairBuilder(source="photos", out="pairs", recipe="second_order", seed=7, layout="shards")
    builder.run(workers=8)

The photos are cut into chunks; `PairBuilder.make_chunk(n)` makes chunk n and depends on nothing but the photos
and the arguments, so that chunks can be made in any order, by processes here (`run`) or by Ray Data on many
machines (`run_on_ray`), and a run that was stopped continues with the chunks that are missing.

What is written to `out`:
  - layout "degraded": the degraded photos under the names of the clean ones;
  - layout "folders": `clean/` and `degraded/`;
  - layout "shards": `shards/pairs-000000.tar` in the WebDataset form: `key.clean.png`, `key.degraded.png`,
    `key.json`;
  - `manifest.jsonl` (see `replay.py`) and, for the last two, `README.md`, the data card.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from unirestore.data.images import IMAGE_SUFFIXES
from unirestore.version import __version__

from .base import require
from .data_card import data_card
from .recipes import load_recipe
from .replay import FORMATS, degrade_photo, dump_line, load_photo, read_manifest, save_picture, write_picture
from .workers import in_processes

LAYOUTS = ("degraded", "folders", "shards")
PARTS = ".parts"  # one manifest for each chunk that is done; removed when all are


@dataclass(frozen=True, kw_only=True)
class PairBuilder:
    """What a data set is made of; see the module header.

    Args:
        source: folder of clean photos, searched recursively.
        out: folder to write to; made where absent.
        recipe: name, `.json` file or node, see `recipes.load_recipe`.
        severity: 1 to 5 for effects that name none, or None.
        seed: of the whole set.
        copies: degraded versions of each photo.
        layout: "degraded", "folders" or "shards".
        picture_format: "png" (lossless), "jpg" or "webp".
        quality: of the lossy formats.
        chunk: pairs in a chunk, which is one shard; None takes 64 for shards and 8 for folders.
        depth: folder with the depth of each photo under its name, 16-bit `.png` or `.npy`; photos without one
            get the guessed depth. None: guessed for all.
        max_side: photos are made smaller to at most this many pixels a side; None leaves them.
        manifest: file of the manifest; None is `manifest.jsonl` in `out`.

    Raises:
        ValueError or FileNotFoundError that says what is wrong.
    """

    source: str
    out: str
    recipe: Any
    severity: int | None = None
    seed: int = 0
    copies: int = 1
    layout: str = "folders"
    picture_format: str = "png"
    quality: int = 95
    chunk: int | None = None
    depth: str | None = None
    max_side: int | None = None
    manifest: str | None = None

    def __post_init__(self) -> None:
        for name in ("source", "depth"):
            folder = getattr(self, name)
            if folder is not None and not Path(folder).is_dir():
                raise FileNotFoundError(f"no folder {folder} ({name})")
        require(self.layout in LAYOUTS, f"layout must be one of {LAYOUTS}, got {self.layout!r}")
        require(
            self.picture_format in FORMATS,
            f"picture_format must be one of {sorted(FORMATS)}, got {self.picture_format!r}",
        )
        if self.chunk is None:
            object.__setattr__(self, "chunk", 64 if self.layout == "shards" else 8)
        for name, least in (("copies", 1), ("chunk", 1), ("seed", 0), ("quality", 1)):
            value = getattr(self, name)
            require(
                isinstance(value, int) and value >= least,
                f"{name} must be an integer >= {least}, got {value!r}",
            )
        require(
            self.max_side is None or self.max_side >= 1, f"max_side must be at least 1, got {self.max_side}"
        )
        load_recipe(self.recipe, severity=self.severity)  # says now what is wrong with it
        inside = Path(self.out).resolve()
        require(
            inside != Path(self.source).resolve(),
            f"out is the source folder {self.source}; the clean photos would be overwritten",
        )

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Names of the clean photos below `source`, sorted; what lies in `out` does not count."""
        root, out = Path(self.source), Path(self.out).resolve()
        found = (p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        names = sorted(p.relative_to(root).as_posix() for p in found if out not in p.resolve().parents)
        require(
            bool(names),
            f"no photos in {self.source} (looked for {', '.join(IMAGE_SUFFIXES)} in it and below)",
        )
        return tuple(names)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Photo -> its name in `out` without a suffix, no two alike.

        Files that differ in their suffix only keep it (`x_jpg`); names that are still alike get a hash.
        """
        stems = Counter(str(Path(name).with_suffix("")).lower() for name in self.files)
        return _distinct(
            {
                name: Path(name).with_suffix("").as_posix()
                if stems[str(Path(name).with_suffix("")).lower()] == 1
                else name.replace(".", "_")
                for name in self.files
            }
        )

    @cached_property
    def keys(self) -> dict[str, str]:
        """Photo -> its key in the shards, before the number of the copy; no two alike."""
        flat = {name: out.replace("/", "_").replace(".", "_") for name, out in self.outputs.items()}
        return _distinct(flat)

    @property
    def pairs(self) -> int:
        """How many pairs there will be."""
        return len(self.files) * self.copies

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.pairs // self.chunk)

    @property
    def manifest_path(self) -> Path:
        """Where the manifest goes."""
        return Path(self.manifest) if self.manifest else Path(self.out) / "manifest.jsonl"

    def chunk_done(self, number: int) -> bool:
        """Whether chunk `number` has been made already (and not removed since)."""
        part = self._part(number)
        if not part.is_file():
            return False
        lines = read_manifest(part, partial=True)
        if self.layout == "shards":
            return self._shard(number).is_file()
        wanted = [line[key] for line in lines for key in ("out", "clean") if key in line]
        there = all((Path(self.out) / name).is_file() for name in wanted)
        return there and len(lines) == len(self._items(number))

    def make_chunk(self, number: int) -> int:
        """Make chunk `number` unless it is there; returns how many pairs it holds. Safe to call again."""
        require(0 <= number < self.chunks, f"chunk {number} of {self.chunks}")
        if self.chunk_done(number):
            return len(self._items(number))
        recipe = load_recipe(self.recipe, severity=self.severity)
        shard = self._shard(number) if self.layout == "shards" else None
        lines = []
        if shard is None:
            for name, copy in self._items(number):
                clean, degraded, line = self._pair(recipe, name, copy)
                write_picture(Path(self.out) / line["out"], degraded, self.quality)
                if self.layout == "folders" and copy == 0:
                    write_picture(Path(self.out) / line["clean"], clean, self.quality)
                lines.append(line)
        else:
            shard.parent.mkdir(parents=True, exist_ok=True)
            partial = shard.with_suffix(".tar.part")
            with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
                for name, copy in self._items(number):
                    clean, degraded, line = self._pair(recipe, name, copy)
                    key = f"{self.keys[name]}_{copy:03d}"
                    kind = self.picture_format
                    _add(tar, f"{key}.clean.{kind}", self._encoded(clean))
                    _add(tar, f"{key}.degraded.{kind}", self._encoded(degraded))
                    line["out"] = f"shards/{shard.name}#{key}.degraded.{kind}"
                    _add(tar, f"{key}.json", dump_line(line).encode())
                    lines.append(line)
            partial.replace(shard)
        part = self._part(number)
        part.parent.mkdir(parents=True, exist_ok=True)
        partial = part.with_suffix(".part")
        partial.write_text("".join(map(dump_line, lines)), encoding="utf-8")
        partial.replace(part)
        return len(lines)

    def run(self, workers: int = 1, step: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
        """Make every chunk that is missing, with `workers` processes; returns the lines of the manifest.

        `step` is called with a word on each chunk that is done.
        """
        require(
            isinstance(workers, int) and workers >= 1, f"workers must be an integer >= 1, got {workers!r}"
        )
        for _ in self._made(min(workers, self.chunks)):
            if step is not None:
                step(f"{self.pairs} pairs")
        return self.finish()

    def finish(self) -> list[dict[str, Any]]:
        """Join the manifests of the chunks and write the data card. Raises ValueError when a chunk is missing."""
        missing = [n for n in range(self.chunks) if not self.chunk_done(n)]
        require(
            not missing, f"{len(missing)} of {self.chunks} chunks are missing, the first is {missing[:1]}"
        )
        lines = [line for n in range(self.chunks) for line in read_manifest(self._part(n))]
        path = self.manifest_path
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        partial.write_text("".join(map(dump_line, lines)), encoding="utf-8")
        partial.replace(path)
        if self.layout != "degraded":
            (Path(self.out) / "README.md").write_text(data_card(self, lines), encoding="utf-8")
        return lines

    def clear(self) -> None:
        """Forget which chunks are done; the pictures stay."""
        shutil.rmtree(Path(self.out) / PARTS, ignore_errors=True)

    def _made(self, workers: int) -> Iterator[int]:
        if workers == 1:
            yield from map(self.make_chunk, range(self.chunks))
            return
        kept = "the chunks that are finished are kept, and the same command continues"
        yield from in_processes(self.make_chunk, range(self.chunks), workers, kept=kept)

    def _items(self, number: int) -> list[tuple[str, int]]:
        first, last = number * self.chunk, min((number + 1) * self.chunk, self.pairs)
        return [(self.files[n // self.copies], n % self.copies) for n in range(first, last)]

    def _pair(self, recipe: Any, name: str, copy: int) -> tuple[Any, Any, dict[str, Any]]:
        depth = self._depth_of(name)
        image, metres = load_photo(Path(self.source) / name, depth, self.max_side)
        degraded, line = degrade_photo(image, recipe, name=name, seed=self.seed, copy=copy, depth=metres)
        stem, suffix = self.outputs[name], FORMATS[self.picture_format]
        number = f"_{copy:03d}" if self.copies > 1 else ""
        folder = "degraded/" if self.layout == "folders" else ""
        line.update(file=name, out=f"{folder}{stem}{number}{suffix}", copy=copy, max_side=self.max_side)
        line["depth"] = None if depth is None else depth.relative_to(Path(self.depth)).as_posix()
        line["quality"] = None if self.picture_format == "png" else self.quality
        line["unirestore"] = __version__
        if self.layout == "folders":
            line["clean"] = f"clean/{stem}{suffix}"
        return image, degraded, line

    def _depth_of(self, name: str) -> Path | None:
        if self.depth is None:
            return None
        base = Path(self.depth) / Path(name).with_suffix("")
        return next((p for s in (".png", ".npy") if (p := base.with_name(base.name + s)).is_file()), None)

    def _encoded(self, image: Any) -> bytes:
        file = io.BytesIO()
        save_picture(file, image, self.picture_format, self.quality)
        return file.getvalue()

    def _shard(self, number: int) -> Path:
        return Path(self.out) / "shards" / f"pairs-{number:06d}.tar"

    def _part(self, number: int) -> Path:
        """The manifest of a chunk, under a name that holds all arguments: other arguments, other chunks."""
        return Path(self.out) / PARTS / f"{self._identity}-{number:06d}.jsonl"

    @cached_property
    def _identity(self) -> str:
        recipe = load_recipe(self.recipe, severity=self.severity)
        what = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "manifest"}
        what |= {"recipe": getattr(recipe, "spec", repr(recipe)), "files": self.files}
        names = self.keys if self.layout == "shards" else self.outputs
        if tagged := [photo for photo, name in names.items() if name.endswith(_tag(photo))]:
            what["tagged"] = tagged  # chunks from before names were told apart are made again
        text = json.dumps(what, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_on_ray(builder: PairBuilder) -> list[dict[str, Any]]:
    """The same set by Ray Data: chunks are rows, `make_chunk` is mapped over them; returns the manifest's lines.

    `source` and `out` must be folders that every node sees. Call `ray.init(...)` first to choose a cluster.

    Raises:
        ModuleNotFoundError that says how to install Ray.
    """
    try:
        import ray.data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Ray is not installed: pip install 'unirestore[ray]'") from error

    def make(row: dict[str, Any]) -> dict[str, Any]:
        return {"pairs": builder.make_chunk(int(row["item"]))}

    rows = ray.data.from_items(list(range(builder.chunks)), override_num_blocks=builder.chunks)
    rows.map(make).materialize()
    return builder.finish()


def _distinct(names: dict[str, str]) -> dict[str, str]:
    """The names of photos, where those that are alike (upper and lower case are) end in a hash of the photo's.

    Raises:
        ValueError when two are alike even so.
    """
    often = Counter(name.lower() for name in names.values())
    unique = {
        photo: name if often[name.lower()] == 1 else name + _tag(photo) for photo, name in names.items()
    }
    often = Counter(name.lower() for name in unique.values())
    alike = [photo for photo, name in unique.items() if often[name.lower()] > 1]
    require(not alike, f"{alike[:4]} would be written under one name; rename all but one of them")
    return unique


def _tag(photo: str) -> str:
    """What tells a photo from another whose name would be alike: a hash of its whole name below the source."""
    return "-" + hashlib.sha256(photo.encode(errors="surrogateescape")).hexdigest()[:8]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """A member without date or owner, so that the shard depends on the pictures alone."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))
