"""Builds a data set of pairs from a folder of clean photos: all cores, resumable, byte for byte repeatable.

    builder = PairBuilder(source="photos", out="pairs", recipe="second_order", seed=7, layout="shards")
    builder.run(workers=8)

The photos are cut into chunks; `PairBuilder.make_chunk(n)` makes chunk n and depends on nothing but the photos
and the arguments, so that chunks can be made in any order, by processes here (`run`) or by Ray Data on many
machines (`run_on_ray`), and a run that was stopped continues with the chunks that are missing. `.parts/set.json`
says what the set in `out` is made of: other arguments are refused there, and chunks whose photos have changed since
(size or time of the file) are made again.

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
import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from unirestore.data.images import DEPTH_SUFFIXES, IMAGE_SUFFIXES, depth_names
from unirestore.version import __version__
from unirestore.workers import in_processes

from .base import require
from .data_card import data_card
from .recipes import load_recipe
from .replay import FORMATS, degrade_photo, dump_line, load_photo, save_picture, write_picture

LAYOUTS = ("degraded", "folders", "shards")
_KEY = 72  # bytes of a key: a plain tar holds names of 100, and `_000.degraded.webp` comes behind it
PARTS = ".parts"  # what the set is made of, and the lines of each chunk that is done


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
        skip_broken: True leaves out photos that cannot be read (`skipped()` tells which); False stops at the first.

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
    skip_broken: bool = False

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
        require(self.quality <= 100, f"quality must lie in 1..100, got {self.quality}")
        require(
            self.max_side is None or self.max_side >= 1, f"max_side must be at least 1, got {self.max_side}"
        )
        load_recipe(self.recipe, severity=self.severity)  # says now what is wrong with it
        out, source = Path(self.out).resolve(), Path(self.source).resolve()
        require(
            out != source, f"out is the source folder {self.source}; the clean photos would be overwritten"
        )
        require(
            out not in source.parents,
            f"the photos ({self.source}) lie inside out ({self.out}); choose a folder beside them, "
            f"such as {source.with_name('pairs')}",
        )

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Names of the clean photos below `source`, sorted; what lies in `out`, or in a `depth` below, is none."""
        root = Path(self.source)
        others = {Path(folder).resolve() for folder in (self.out, self.depth) if folder is not None}
        others.discard(root.resolve())  # depth beside the photos
        found = (p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        names = sorted(
            p.relative_to(root).as_posix() for p in found if others.isdisjoint(p.resolve().parents)
        )
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
        """Photo -> its key in the shards, before the number of the copy; no two alike, at most 72 bytes."""
        flat = {name: out.replace("/", "_").replace(".", "_") for name, out in self.outputs.items()}
        keys = _distinct(flat).items()
        return _distinct({name: key if len(key.encode()) <= _KEY else _cut(key, name) for name, key in keys})

    @cached_property
    def depth_files(self) -> dict[str, Path]:
        """Photo -> its file below `depth`, for those that have one.

        Raises:
            ValueError where one file could belong to two photos.
        """
        if self.depth is None:
            return {}
        root, found = Path(self.depth), {}
        for name, own in depth_names(self.files).items():
            paths = [root / f"{own}{suffix}" for suffix in DEPTH_SUFFIXES]
            there = next((path for path in paths if path.is_file()), None)
            stem = Path(name).with_suffix("").as_posix()
            shared = [] if own == stem else [s for s in DEPTH_SUFFIXES if (root / f"{stem}{s}").is_file()]
            require(
                there is not None or not shared,
                f"{root / stem}{shared[0] if shared else ''}: several photos are called {stem}; call the depth of "
                f"{name} {own}.png (or .npy)",
            )
            if there is not None:
                found[name] = there
        return found

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
        """Whether chunk `number` has been made already, of the photos as they are now, and not removed since."""
        part = self._read_part(number)
        if (
            part is None
            or part["photos"] != self._stamps(number)
            or (part["skipped"] and not self.skip_broken)
        ):
            return False
        if self.layout == "shards":
            return self._shard(number).is_file()
        wanted = [line[key] for line in part["lines"] for key in ("out", "clean") if key in line]
        return all((Path(self.out) / name).is_file() for name in wanted)

    def changed(self) -> list[str]:
        """Photos that are not what they were when their pictures were made; `run` makes those again."""
        parts = ((self._read_part(number), self._stamps(number)) for number in range(self.chunks))
        return [name for part, now in parts if part for name in now if part["photos"].get(name) != now[name]]

    def skipped(self) -> dict[str, str]:
        """Photo -> why it could not be read, for those that `skip_broken` has left out."""
        parts = (self._read_part(number) or {"skipped": {}} for number in range(self.chunks))
        return {name: why for part in parts for name, why in part["skipped"].items()}

    def make_chunk(self, number: int) -> int:
        """Make chunk `number` unless it is there; returns how many pairs it holds. Safe to call again."""
        require(0 <= number < self.chunks, f"chunk {number} of {self.chunks}")
        self._claim()
        if self.chunk_done(number):
            return len(self._items(number))
        recipe = load_recipe(self.recipe, severity=self.severity)
        shard = self._shard(number) if self.layout == "shards" else None
        lines, skipped, stamps = [], {}, self._stamps(number)
        if shard is None:
            for clean, degraded, line in self._made_pairs(recipe, number, skipped):
                write_picture(Path(self.out) / line["out"], degraded, self.quality)
                if self.layout == "folders" and line["copy"] == 0:
                    write_picture(Path(self.out) / line["clean"], clean, self.quality)
                lines.append(line)
        else:
            shard.parent.mkdir(parents=True, exist_ok=True)
            partial = shard.with_suffix(".tar.part")
            with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT, encoding="utf-8") as tar:
                for clean, degraded, line in self._made_pairs(recipe, number, skipped):
                    key = f"{self.keys[line['file']]}_{line['copy']:03d}"
                    kind = self.picture_format
                    _add(tar, f"{key}.clean.{kind}", self._encoded(clean))
                    _add(tar, f"{key}.degraded.{kind}", self._encoded(degraded))
                    line["out"] = f"shards/{shard.name}#{key}.degraded.{kind}"
                    _add(tar, f"{key}.json", dump_line(line).encode())
                    lines.append(line)
            partial.replace(shard)
        _write(self._part(number), [json.dumps({"photos": stamps, "skipped": skipped, "lines": lines})])
        return len(lines)

    def run(self, workers: int = 1, step: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
        """`build`, and the lines of the manifest, which for a large set fill the memory."""
        self.build(workers, step)
        return list(self.lines())

    def build(self, workers: int = 1, step: Callable[[str], None] | None = None) -> int:
        """Make every chunk that is missing, with `workers` processes; returns how many pairs there are.

        `step` is called with a word on each chunk that is done.
        """
        require(
            isinstance(workers, int) and workers >= 1, f"workers must be an integer >= 1, got {workers!r}"
        )
        self.prepare()
        for _ in self._made(min(workers, self.chunks)):
            if step is not None:
                step(f"{self.pairs} pairs")
        return self.finish()

    def prepare(self) -> None:
        """Before any chunk: refuse what does not fit the set in `out`, and remove halves of a stopped run's files.

        Raises:
            ValueError that says how the set in `out` differs.
        """
        self._claim()
        for picture in [p for s in FORMATS.values() for p in Path(self.out).rglob(f".*{s}.part")]:
            picture.unlink(missing_ok=True)
        for folder, pattern in (("shards", "pairs-*.tar.part"), (PARTS, ".*.part")):
            for partial in (Path(self.out) / folder).glob(pattern):
                partial.unlink(missing_ok=True)

    def finish(self) -> int:
        """Join the manifests of the chunks and write the data card, holding one chunk at a time.

        Returns:
            How many pairs there are.

        Raises:
            ValueError when a chunk is missing or no photo can be read.
        """
        missing = [n for n in range(self.chunks) if not self.chunk_done(n)]
        require(
            not missing, f"{len(missing)} of {self.chunks} chunks are missing, the first is {missing[:1]}"
        )
        require(
            any(True for _ in self.lines()),
            f"none of the {len(self.files)} photos in {self.source} can be read",
        )
        _write(self.manifest_path, map(dump_line, self.lines()))
        if self.layout != "degraded":
            (Path(self.out) / "README.md").write_text(data_card(self, self.lines()), encoding="utf-8")
        return sum(1 for _ in self.lines())

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines of the manifest, of the chunks that are done, in the order of the photos."""
        for number in range(self.chunks):
            yield from (self._read_part(number) or {"lines": []})["lines"]

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

    def _made_pairs(
        self, recipe: Any, number: int, skipped: dict[str, str]
    ) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
        """The pairs of chunk `number`; photos that are left out are put into `skipped`."""
        for name, copy in self._items(number):
            try:
                photo = load_photo(Path(self.source) / name, self.depth_files.get(name), self.max_side)
            except (ValueError, OSError) as error:
                if not self.skip_broken:
                    raise
                skipped[name] = str(error)
                continue
            yield self._pair(recipe, name, copy, photo)

    def _pair(self, recipe: Any, name: str, copy: int, photo: Any) -> tuple[Any, Any, dict[str, Any]]:
        depth = self.depth_files.get(name)
        image, metres = photo
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
        dump_line(line)  # says now what no manifest can hold
        return image, degraded, line

    def _encoded(self, image: Any) -> bytes:
        file = io.BytesIO()
        save_picture(file, image, self.picture_format, self.quality)
        return file.getvalue()

    def _shard(self, number: int) -> Path:
        return Path(self.out) / "shards" / f"pairs-{number:06d}.tar"

    def _part(self, number: int) -> Path:
        """What is known of a chunk that is done."""
        return Path(self.out) / PARTS / f"{number:06d}.json"

    def _read_part(self, number: int) -> dict[str, Any] | None:
        """`photos` (name -> stamp), `skipped` (name -> why) and `lines` of a chunk, or None."""
        try:
            part = json.loads(self._part(number).read_text(encoding="utf-8"))
            return part if {"photos", "skipped", "lines"} <= set(part) else None
        except (FileNotFoundError, ValueError):
            return None

    def _stamps(self, number: int) -> dict[str, list[int]]:
        """Photo -> size and time (ns) of its file and of its depth's, for the photos of a chunk."""
        stamps = {}
        for name in dict.fromkeys(name for name, _ in self._items(number)):
            files = [Path(self.source) / name, self.depth_files.get(name)]
            stats = [path.stat() for path in files if path is not None]
            stamps[name] = [value for stat in stats for value in (stat.st_size, stat.st_mtime_ns)]
        return stamps

    def _claim(self) -> None:
        """Write down what the set in `out` is made of, or compare it. Raises ValueError where it is another."""
        path = Path(self.out) / PARTS / "set.json"
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            _write(path, [json.dumps(self._what, indent=1)])
            return
        other = [key for key, value in self._what.items() if there.get(key) != value]
        told = ", ".join(
            f"{key} {_short(there.get(key))} then and {_short(self._what[key])} now" for key in other
        )
        require(
            not other,
            f"{self.out} holds a set that is made of something else: {told}; choose another folder, or begin anew "
            "(--anew; `clear()` from Python)",
        )

    @cached_property
    def _what(self) -> dict[str, Any]:
        """All that the set depends on beside the content of the photos, as JSON gives it back."""
        recipe = load_recipe(self.recipe, severity=self.severity)
        beside = ("source", "out", "manifest", "skip_broken", "recipe", "depth")
        what = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in beside}
        names = hashlib.sha256(json.dumps([*self.files, *self.keys.values()]).encode()).hexdigest()[:12]
        what |= {
            "recipe": getattr(recipe, "spec", None) or repr(recipe),
            "depth": None if self.depth is None else f"of {len(self.depth_files)} photos",
            "photos": f"{len(self.files)} (names {names})",
            "unirestore": __version__,
        }
        return json.loads(json.dumps(what, default=str))


def run_on_ray(builder: PairBuilder) -> int:
    """The same set by Ray Data: chunks are rows, `make_chunk` is mapped over them; returns how many pairs there are.

    There are as many tasks as chunks, but no more than four for each processor, because every task is sent the
    names of all photos. A task that is lost is begun again and passes over the chunks that it has made. `source`
    and `out` must be folders that every node sees. Call `ray.init(...)` first to choose a cluster.

    Raises:
        ModuleNotFoundError that says how to install Ray.
    """
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Ray is not installed: pip install 'unirestore[ray]'") from error

    def make(row: dict[str, Any]) -> dict[str, Any]:
        return {"pairs": builder.make_chunk(int(row["item"]))}

    builder.prepare()
    if not ray.is_initialized():
        ray.init()
    tasks = min(builder.chunks, 4 * max(1, int(ray.cluster_resources().get("CPU", 1))))
    rows = ray.data.from_items(list(range(builder.chunks)), override_num_blocks=tasks)
    rows.map(make).materialize()
    return builder.finish()


def _write(path: Path, text: Iterable[str]) -> None:
    """Write a text file whole or not at all; processes that write the same one do not meet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(text)
    partial.replace(path)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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


def _cut(key: str, photo: str) -> str:
    """The beginning of a key, and the hash of its photo."""
    tag = _tag(photo)
    return key.encode()[: _KEY - len(tag)].decode(errors="ignore") + tag


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """A member without date or owner, so that the shard depends on the pictures alone."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))
