"""`unirestore degrade` and `unirestore dataset`: repeatable, replayable, resumable."""

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import types
import weakref

import cv2
import numpy as np
import pytest
from PIL import Image

from unirestore.cli import COMMANDS, main
from unirestore.degradations import Haze, load_recipe
from unirestore.degradations.dataset_builder import PairBuilder, run_on_ray
from unirestore.degradations.replay import dump_line, item_seed, pixel_hash, read_manifest, replay_photo


@pytest.fixture
def photos(tmp_path):
    """Five small photos: folders, a grey one, a JPEG, two names that differ in the suffix only."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, shape in {
        "a.png": (20, 31, 3),
        "b.jpg": (24, 24, 3),
        "sub/a.png": (18, 40, 3),
        "sub/c.png": (25, 17),
        "a.jpg": (21, 22, 3),
    }.items():
        pixels = cv2.resize(rng.integers(0, 256, (4, 5, 3), np.uint8), shape[1::-1])
        Image.fromarray(pixels if len(shape) == 3 else pixels[..., 0]).save(folder / name)
    return folder


def tree(folder):
    """Name -> SHA-256 of every file below a folder, without what is noted there about the set."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".parts" not in path.parts
    }


def degrade(*arguments):
    return main(["degrade", *map(str, arguments), "--quiet", "--workers", "1"])


def test_degrade_writes_every_photo_and_a_line_for_each(photos, tmp_path, capsys):
    assert degrade(photos, tmp_path / "out", "--recipe", "weather_camera", "--seed", 3) == 0
    lines = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert [line["file"] for line in lines] == ["a.jpg", "a.png", "b.jpg", "sub/a.png", "sub/c.png"]
    assert [line["out"] for line in lines] == ["a_jpg.png", "a_png.png", "b.png", "sub/a.png", "sub/c.png"]
    written = {name for name in tree(tmp_path / "out") if name != "manifest.jsonl"}
    assert written == {line["out"] for line in lines}, "nothing else is left behind"
    for line in lines:
        picture = np.asarray(Image.open(tmp_path / "out" / line["out"]).convert("RGB"))
        assert pixel_hash(picture) == line["output"] != line["input"]
        assert line["seed"] == item_seed(3, line["file"])
    assert "5 pictures" in capsys.readouterr().out


def test_replay_makes_the_same_bytes_again(photos, tmp_path, capsys):
    manifest = tmp_path / "m.jsonl"
    assert (
        degrade(photos, tmp_path / "one", "--recipe", "everything", "--seed", 9, "--manifest", manifest) == 0
    )
    assert degrade(photos, tmp_path / "two", "--replay", manifest) == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert "5 of 5 pictures made again" in capsys.readouterr().out


@pytest.mark.parametrize("picture_format", ["jpg", "webp"])
def test_lossy_formats_replay_too_at_their_quality(photos, tmp_path, picture_format):
    options = ("--format", picture_format, "--quality", 71, "--max-side", 16)
    assert degrade(photos, tmp_path / "one", "--recipe", "haze", *options) == 0
    assert degrade(photos, tmp_path / "two", "--replay", tmp_path / "one" / "manifest.jsonl") == 0
    first = tree(tmp_path / "one")
    first.pop("manifest.jsonl")
    assert first == tree(tmp_path / "two") and all(name.endswith(picture_format) for name in first)


def test_replay_tells_other_photos_and_other_results(photos, tmp_path, capsys):
    degrade(photos, tmp_path / "one", "--recipe", "Haze:3")
    manifest = tmp_path / "one" / "manifest.jsonl"
    lines = read_manifest(manifest)
    lines[0]["params"]["visibility"] = 33.0  # a manifest that somebody edited
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(photos / "b.jpg")
    assert degrade(photos, tmp_path / "two", "--replay", manifest) == 1
    told = capsys.readouterr()
    assert "a.jpg: made other pixels" in told.err and "b.jpg: this is another photo" in told.err
    assert "3 of 5" in told.out and len(tree(tmp_path / "two")) == 3


def test_a_finished_folder_is_not_written_over_by_another_recipe(photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert degrade(photos, out, "--recipe", "Haze:2") == 0
    before, times = tree(out), {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert degrade(photos, out, "--recipe", "Haze:2") == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == times, "nothing to be done"
    capsys.readouterr()
    for other in (["--recipe", "Rain:2"], ["--recipe", "Haze:2", "--seed", 1]):
        assert degrade(photos, out, *other) == 2
        told = capsys.readouterr().err
        assert "holds a set that is made of something else" in told and "--anew" in told
    assert tree(out) == before
    assert degrade(photos, out, "--recipe", "Rain:2", "--anew") == 0
    assert tree(out) != before


def test_order_and_company_of_photos_do_not_matter(photos, tmp_path):
    degrade(photos, tmp_path / "all", "--recipe", "mixed", "--seed", 1)
    degrade(photos / "sub", tmp_path / "some", "--recipe", "mixed", "--seed", 1)
    both = [read_manifest(tmp_path / name / "manifest.jsonl") for name in ("all", "some")]
    assert both[1][0]["file"] == "a.png" and both[1][0]["seed"] == both[0][1]["seed"]


@pytest.mark.slow
def test_processes_and_the_command_itself_give_the_same_bytes(photos, tmp_path):
    degrade(photos, tmp_path / "one", "--recipe", "second_order", "--seed", 2)
    command = [sys.executable, "-m", "unirestore.cli", "degrade", str(photos), str(tmp_path / "two")]
    command += ["--recipe", "second_order", "--seed", "2", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    replay = ["degrade", str(photos), str(tmp_path / "three"), "--quiet", "--workers", "2"]
    assert main([*replay, "--replay", str(tmp_path / "two" / "manifest.jsonl")]) == 0
    builder = PairBuilder(source=str(photos), out=str(tmp_path / "four"), recipe="web", chunk=2)
    assert len(builder.run(workers=2)) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["IN", "OUT"], "--recipe missing"),
        (["--recipe", "web"], "IN, OUT missing"),
        (["IN", "OUT", "--recipe", "soup"], "no recipe 'soup'"),
        (["IN", "IN", "--recipe", "web"], "would be overwritten"),
        (["nowhere", "OUT", "--recipe", "web"], "no folder nowhere"),
        (["IN", "OUT", "--recipe", "web", "--depth", "nowhere"], "no folder nowhere"),
        (["IN", "OUT", "--replay", "nothing.jsonl"], "no manifest at nothing.jsonl"),
        (["IN", "OUT", "--replay", "nothing.jsonl", "--recipe", "web"], "--recipe: no say"),
        (["EMPTY", "OUT", "--recipe", "web"], "no photos in"),
    ],
)
def test_mistakes_are_told_in_one_line(photos, tmp_path, capsys, arguments, words):
    (tmp_path / "empty").mkdir()
    places = {"IN": photos, "OUT": tmp_path / "out", "EMPTY": tmp_path / "empty"}
    assert degrade(*(places.get(word, word) for word in arguments)) == 2
    told = capsys.readouterr().err
    assert words in told and "Traceback" not in told


def test_manifests_cannot_lead_out_of_the_folder(photos, tmp_path, capsys):
    degrade(photos, tmp_path / "one", "--recipe", "haze")
    manifest = tmp_path / "one" / "manifest.jsonl"
    for key in ("out", "file"):
        line = read_manifest(manifest)[0] | {key: "../../escaped.png"}
        bad = tmp_path / "bad.jsonl"
        bad.write_text(json.dumps(line) + "\n")
        assert degrade(photos, tmp_path / "two", "--replay", bad) == 2
        assert "leads out of" in capsys.readouterr().err
    assert not list(tmp_path.parent.rglob("escaped.png"))
    bad.write_text('{"file": "a"}\n')
    assert degrade(photos, tmp_path / "two", "--replay", bad) == 2
    assert "line 1: lacks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"params": None}, "params must be an object, got None"),
        ({"params": "x"}, "params must be an object"),
        ({"seed": None}, "seed must be an integer"),
        ({"seed": "7"}, "seed must be an integer"),
        ({"max_side": "q"}, "max_side must be null or an integer"),
        ({"quality": 0}, "quality must be null or an integer from 1 to 100"),
        ({"type": []}, "type must be text"),
        ({"file": 3}, "file must be text"),
        ({"depth": 3}, "depth must be null or text"),
    ],
)
def test_malformed_lines_are_told_with_their_number(photos, tmp_path, capsys, change, words):
    degrade(photos, tmp_path / "one", "--recipe", "Haze:2")
    manifest = tmp_path / "one" / "manifest.jsonl"
    lines = read_manifest(manifest)
    lines[2].update(change)
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert degrade(photos, tmp_path / "two", "--replay", manifest) == 2
    told = capsys.readouterr().err
    assert "manifest.jsonl, line 3: " in told and words in told


def test_replay_goes_on_past_what_fails(photos, tmp_path, capsys, monkeypatch):
    degrade(photos, tmp_path / "one", "--recipe", "Haze:2")
    manifest = tmp_path / "one" / "manifest.jsonl"
    lines = read_manifest(manifest)
    lines[0]["params"]["visibility"] = "far"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (photos / "b.jpg").write_bytes(b"no picture")
    (photos / "sub" / "a.png").unlink()
    assert degrade(photos, tmp_path / "two", "--replay", manifest) == 1
    told = capsys.readouterr()
    for words in ("do not make a", "b.jpg: cannot be read", "sub/a.png: no such image"):
        assert words in told.err
    assert "2 of 5 pictures" in told.out and len(tree(tmp_path / "two")) == 2

    def without_codec(*_):
        raise RuntimeError("codec 'avif' is not available")

    monkeypatch.setattr("unirestore.degradations.replay.replay_photo", without_codec)
    assert degrade(photos, tmp_path / "three", "--replay", manifest) == 1
    assert "a.png: codec 'avif' is not available" in capsys.readouterr().err


def test_an_empty_manifest_is_an_error(photos, tmp_path, capsys):
    (tmp_path / "m.jsonl").write_text("\n")
    assert degrade(photos, tmp_path / "two", "--replay", tmp_path / "m.jsonl") == 2
    assert "m.jsonl: the manifest is empty" in capsys.readouterr().err


def test_files_in_the_way_and_full_disks_are_one_line(photos, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()

    def told(*arguments):
        assert degrade(photos, *arguments) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and error.startswith("unirestore degrade: ")
        return error

    error = told(tmp_path / "file", "--recipe", "Haze:2")
    assert str(tmp_path / "file") in error and "a file stands where a folder is needed" in error
    error = told(tmp_path / "out", "--recipe", "Haze:2", "--manifest", tmp_path / "folder")
    assert str(tmp_path / "folder") in error and "name a file" in error
    degrade(photos, tmp_path / "one", "--recipe", "Haze:2")
    capsys.readouterr()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("unirestore.degradations.replay.save_picture", full)
    error = told(tmp_path / "two", "--replay", tmp_path / "one" / "manifest.jsonl")
    assert "a_jpg.png: No space left on device; make room" in error
    assert not tree(tmp_path / "two"), "no half of a picture stays"

    def without_codec(*_):
        raise RuntimeError("codec 'avif' is not available: install pillow-avif")

    monkeypatch.setattr("unirestore.cli.degrade.replay", without_codec)
    assert "codec 'avif'" in told(tmp_path / "two", "--replay", "m.jsonl")


def test_depth_beside_the_photos_is_used_and_needed_again(photos, tmp_path, capsys):
    depth = tmp_path / "depth"
    depth.mkdir()
    for name, metres in (("b", 5.0), ("a.png", 300.0), ("a.jpg", 20.0)):
        np.save(
            depth / f"{name}.npy",
            np.full({"b": (24, 24), "a.png": (20, 31), "a.jpg": (21, 22)}[name], metres, np.float32),
        )
    degrade(photos, tmp_path / "one", "--recipe", "Haze:4", "--depth", depth)
    manifest = tmp_path / "one" / "manifest.jsonl"
    lines = {line["file"]: line for line in read_manifest(manifest)}
    assert lines["b.jpg"]["depth"] == "b.npy" and lines["sub/c.png"]["depth"] is None
    assert [lines[name]["depth"] for name in ("a.jpg", "a.png")] == ["a.jpg.npy", "a.png.npy"]
    clean = np.asarray(Image.open(photos / "b.jpg"))
    expected = replay_photo(clean, lines["b.jpg"], np.full((24, 24), 5.0, np.float32))
    assert np.array_equal(expected, np.asarray(Image.open(tmp_path / "one" / "b.png")))
    assert degrade(photos, tmp_path / "two", "--replay", manifest) == 2
    assert "pass --depth" in capsys.readouterr().err
    assert degrade(photos, tmp_path / "two", "--replay", manifest, "--depth", depth) == 0


def test_a_depth_file_belongs_to_one_photo_and_fits_it(photos, tmp_path, capsys):
    depth = tmp_path / "depth"
    depth.mkdir()

    def told():
        assert degrade(photos, tmp_path / "out", "--recipe", "Haze:4", "--depth", depth) == 2
        return capsys.readouterr().err

    np.save(depth / "a.npy", np.full((20, 31), 9.0, np.float32))
    assert "several photos are called a; call the depth of a.jpg a.jpg.png" in told()
    (depth / "a.npy").unlink()
    np.save(depth / "b.npy", np.full((24, 31), 9.0, np.float32))
    assert "b.npy: the depth is 24 x 31, its photo is 24 x 24: other proportions" in told()
    np.save(depth / "b.npy", np.full((48, 48), 9.0, np.float32))
    with pytest.warns(UserWarning, match="depth of 48 x 48 is brought to its photo's 24 x 24"):
        assert degrade(photos, tmp_path / "out", "--recipe", "Haze:4", "--depth", depth) == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [("--seed", 0), ("--severity", 2), ("--format", "png"), ("--quality", 95), ("--max-side", 9)],
)
def test_replay_refuses_what_the_manifest_holds(photos, tmp_path, capsys, option, value):
    degrade(photos, tmp_path / "one", "--recipe", "Haze:2")
    manifest = tmp_path / "one" / "manifest.jsonl"
    assert degrade(photos, tmp_path / "two", "--replay", manifest, option, value) == 2
    assert f"{option}: no say in --replay" in capsys.readouterr().err


def test_infinite_parameters_are_refused(photos, tmp_path):
    for params in ({"visibility": float("inf")}, {"airlight": [0.5, float("nan"), 0.5]}):
        with pytest.raises(ValueError, match="infinity and NaN have no place"):
            builder(photos, tmp_path / "out", recipe={"effect": "Haze", "params": params})
    with pytest.raises(ValueError, match="a parameter of Haze is infinite or NaN"):
        builder(photos, tmp_path / "out", recipe=Haze(visibility=float("inf"))).run()


def test_list_and_version(capsys):
    assert main(["degrade", "--list"]) == 0
    told = capsys.readouterr().out
    assert "second_order" in told and "Haze" in told
    _, _, effects = (line.partition(": ")[2].split(", ") for line in told.splitlines())
    assert "Identity" in effects and all(load_recipe(name).draw(0) for name in effects)
    for arguments, words in (
        (["--version"], "unirestore"),
        (["--help"], "dataset"),
        (["dataset", "-h"], "--ray"),
    ):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
        assert words in capsys.readouterr().out
    assert {"degrade", "dataset"} <= set(COMMANDS)


def builder(photos, out, **more):
    arguments = {"recipe": "mixed", "seed": 4, "chunk": 2, "copies": 2, **more}
    return PairBuilder(source=str(photos), out=str(out), **arguments)


def test_folders_hold_pairs_and_a_data_card(photos, tmp_path):
    out = tmp_path / "pairs"
    lines = builder(photos, out).run()
    assert len(lines) == 10 and len({line["out"] for line in lines}) == 10
    for line in lines:
        clean = np.asarray(Image.open(out / line["clean"]).convert("RGB"))
        degraded = np.asarray(Image.open(out / line["out"]).convert("RGB"))
        assert pixel_hash(clean) == line["input"] and pixel_hash(degraded) == line["output"]
    card = (out / "README.md").read_text()
    assert (
        "10 pairs from 5 photos" in card and "`mixed`, seed 4" in card and "| JpegCompression | 10 |" in card
    )
    assert "No pixel is displaced" in card


def test_shards_are_webdataset_tars_and_depend_on_the_photos_alone(photos, tmp_path):
    lines = builder(photos, tmp_path / "one", layout="shards", chunk=4).run()
    builder(photos, tmp_path / "two", layout="shards", chunk=4).run()
    first, second = (tree(tmp_path / name / "shards") for name in ("one", "two"))
    assert first == second and sorted(first) == [f"pairs-{n:06d}.tar" for n in range(3)]
    seen = 0
    for shard in sorted((tmp_path / "one" / "shards").iterdir()):
        with tarfile.open(shard) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}
        keys = list(dict.fromkeys(name.split(".")[0] for name in members))
        assert [f"{key}.{end}" for key in keys for end in ("clean.png", "degraded.png", "json")] == list(
            members
        )
        for key in keys:
            line = json.loads(members[f"{key}.json"])
            picture = np.asarray(Image.open(io.BytesIO(members[f"{key}.degraded.png"])))
            clean = np.asarray(Image.open(io.BytesIO(members[f"{key}.clean.png"])))
            assert pixel_hash(picture) == line["output"] and line == lines[seen]
            assert np.array_equal(replay_photo(clean, line), picture)
            seen += 1
    assert seen == 10
    assert main(["degrade", str(photos), str(tmp_path / "three"), "--quiet", "--workers", "1", "--replay",
                 str(tmp_path / "one" / "manifest.jsonl")]) == 0  # fmt: skip
    assert len(tree(tmp_path / "three")) == 10


@pytest.mark.parametrize("layout", ["folders", "shards"])
def test_a_stopped_run_continues_and_ends_the_same(photos, tmp_path, layout, monkeypatch):
    whole, cut = (builder(photos, tmp_path / name, layout=layout) for name in ("whole", "cut"))
    expected = whole.run()
    cut.make_chunk(3)
    cut.make_chunk(0)
    with pytest.raises(ValueError, match=r"3 of 5 chunks are missing, the first is \[1\]"):
        cut.finish()
    made = []
    original = PairBuilder._pair

    def counting(self, recipe, name, copy, photo):
        made.append((name, copy))
        return original(self, recipe, name, copy, photo)

    monkeypatch.setattr(PairBuilder, "_pair", counting)
    assert cut.run() == expected and len(made) == 6
    assert cut.run() == expected and len(made) == 6, "a finished set is not made again"
    one, two = (
        {k: v for k, v in tree(tmp_path / name).items() if not k.startswith(".parts")}
        for name in ("whole", "cut")
    )
    assert one == two
    victim = next(iter(sorted((tmp_path / "cut").rglob("*.tar" if layout == "shards" else "*.png"))))
    victim.unlink()
    assert cut.run() == expected and victim.is_file(), "what was removed is made again"
    count = len(made)
    other = builder(photos, tmp_path / "cut", layout=layout, seed=5)
    for begin in (other.run, lambda: other.make_chunk(0)):
        with pytest.raises(ValueError, match=r"seed 4 then and 5 now; choose another folder, or begin anew"):
            begin()
    with pytest.raises(ValueError, match=r"recipe .*haze.* now"):
        builder(photos, tmp_path / "cut", layout=layout, recipe="haze").run()
    assert len(made) == count
    other.clear()
    assert len(other.run()) == 10 and len(made) == count + 10, (
        "after `clear`, other arguments are another set"
    )


@pytest.mark.parametrize("layout", ["folders", "shards"])
def test_photos_that_have_changed_are_noticed(photos, tmp_path, layout):
    first = builder(photos, tmp_path / "out", layout=layout)
    before = first.run()
    Image.fromarray(np.full((20, 31, 3), 77, np.uint8)).save(photos / "a.png")
    assert first.changed() == ["a.png"]
    after = first.run()
    assert [a["file"] for a, b in zip(after, before, strict=True) if a != b] == ["a.png", "a.png"]
    assert first.changed() == []
    fresh = builder(photos, tmp_path / "fresh", layout=layout).run()
    assert fresh == after
    (photos / "b.jpg").unlink()
    with pytest.raises(ValueError, match=r"photos \"5 \(names .* now"):
        builder(photos, tmp_path / "out", layout=layout).run()


def test_halves_of_a_stopped_runs_files_are_removed(photos, tmp_path):
    out = tmp_path / "out"
    (out / "shards").mkdir(parents=True)
    (out / ".parts").mkdir()
    for name in (".a.jpg.part", "shards/pairs-000007.tar.part", ".parts/.000003.json.11.part", "mine.part"):
        (out / name).write_text("half")
    builder(photos, out, layout="shards").run()
    assert [path.name for path in out.rglob("*.part")] == ["mine.part"], "what is not ours stays"


def test_the_command_tells_another_set_and_changed_photos(photos, tmp_path, capsys):
    def dataset(*more):
        return main(["dataset", str(photos), str(tmp_path / "out"), "--quiet", "--workers", "1", *more])

    assert dataset("--recipe", "Haze:2") == 0
    assert dataset("--recipe", "Haze:2", "--seed", "1") == 2
    assert "seed 0 then and 1 now" in capsys.readouterr().err
    assert dataset("--recipe", "Haze:2", "--seed", "1", "--anew") == 0
    capsys.readouterr()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(photos / "b.jpg")
    assert dataset("--recipe", "Haze:2", "--seed", "1") == 0
    assert "b.jpg changed since" in capsys.readouterr().err


def test_a_broken_photo_is_named(photos, tmp_path):
    (photos / "sub" / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"sub/a\.png: cannot be read"):
        builder(photos, tmp_path / "out").run()


@pytest.mark.parametrize("layout", ["degraded", "folders", "shards"])
def test_broken_photos_are_left_out_on_request(photos, tmp_path, layout):
    (photos / "sub" / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"sub/a\.png: cannot be read"):
        builder(photos, tmp_path / "out", layout=layout).run()
    lenient = builder(photos, tmp_path / "out", layout=layout, skip_broken=True)  # continues what stopped
    assert len(lenient.run()) == 8 and list(lenient.skipped()) == ["sub/a.png"]
    with pytest.raises(ValueError, match=r"sub/a\.png: cannot be read"):
        builder(photos, tmp_path / "out", layout=layout).run()
    Image.fromarray(np.full((9, 9, 3), 5, np.uint8)).save(photos / "sub" / "a.png")
    assert len(lenient.run()) == 10 and not lenient.skipped(), "a photo that was mended is made"


def test_skipping_ends_with_their_names_and_exit_status_1(photos, tmp_path, capsys):
    (photos / "sub" / "a.png").write_bytes(b"no picture")
    assert degrade(photos, tmp_path / "out", "--recipe", "Haze:2") == 2
    assert degrade(photos, tmp_path / "out", "--recipe", "Haze:2", "--skip-broken") == 1
    told = capsys.readouterr()
    assert "sub/a.png: cannot be read" in told.err and "1 photos left out" in told.err
    assert "4 pictures" in told.out
    for path in photos.rglob("*.*"):
        path.write_bytes(b"")
    assert degrade(photos, tmp_path / "none", "--recipe", "Haze:2", "--skip-broken") == 2
    assert "none of the 5 photos" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quality": 500}, r"quality must lie in 1\.\.100, got 500"),
        ({"layout": "zip"}, "layout must be one of"),
        ({"picture_format": "gif"}, "picture_format"),
        ({"copies": 0}, "copies must be an integer >= 1, got 0"),
        ({"chunk": 0}, "chunk must be"),
        ({"seed": -1}, "seed must be"),
        ({"max_side": 0}, "max_side"),
        ({"recipe": {"effect": "Hail"}}, "unknown effect"),
        ({"source": "nowhere"}, "no folder nowhere"),
    ],
)
def test_bad_arguments_are_refused(photos, tmp_path, change, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        PairBuilder(**{"source": str(photos), "out": str(tmp_path / "out"), "recipe": Haze(), **change})


def test_ray_makes_the_same_set(photos, tmp_path):
    ray = pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
    expected = builder(photos, tmp_path / "one", layout="shards").run()
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", ignore_reinit_error=True)
    try:
        made = builder(photos, tmp_path / "two", layout="shards")
        assert run_on_ray(made) == 10 and list(made.lines()) == expected
    finally:
        ray.shutdown()
    assert tree(tmp_path / "one" / "shards") == tree(tmp_path / "two" / "shards")


@pytest.mark.parametrize(("cpus", "tasks"), [(1, 4), (16, 10)])
def test_ray_gets_few_tasks_however_many_chunks_there_are(photos, tmp_path, monkeypatch, cpus, tasks):
    blocks = []

    class Rows:
        def __init__(self, items, override_num_blocks):
            self.items = items
            blocks.append(override_num_blocks)

        def map(self, function):
            self.done = (function({"item": item}) for item in self.items)
            return self

        def materialize(self):
            return list(self.done)

    ray = types.ModuleType("ray")
    ray.data = types.ModuleType("ray.data")
    ray.data.from_items = Rows
    ray.is_initialized, ray.cluster_resources = (lambda: True), (lambda: {"CPU": float(cpus)})
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", ray.data)
    assert run_on_ray(builder(photos, tmp_path / "out", chunk=1, recipe="Haze:2")) == 10
    assert blocks == [tasks]


def test_the_manifest_is_joined_one_chunk_at_a_time(photos, tmp_path, monkeypatch):
    made = builder(photos, tmp_path / "out", chunk=1, recipe="Haze:2")
    made.prepare()
    for number in range(made.chunks):
        made.make_chunk(number)
    alive, most = weakref.WeakSet(), []

    class Line(dict):
        __hash__ = object.__hash__

    def watched(self, number, read=PairBuilder._read_part):
        part = read(self, number)
        part["lines"] = [Line(line) for line in part["lines"]]
        alive.update(part["lines"])
        most.append(len(alive))
        return part

    monkeypatch.setattr(PairBuilder, "_read_part", watched)
    assert made.finish() == 10 and max(most) <= 3
    assert (tmp_path / "out" / "manifest.jsonl").read_text() == "".join(map(dump_line, made.lines()))


def test_without_ray_it_says_how_to_get_it(photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'unirestore\[ray\]'"):
        run_on_ray(builder(photos, tmp_path / "out"))
