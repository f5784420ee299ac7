"""`PairBuilder`: no two photos share a name, and a killed worker ends the run with a word."""

import os
import signal
import subprocess
import sys
import tarfile
from concurrent.futures import BrokenExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unirestore.cli import main
from unirestore.data import read_depth
from unirestore.degradations import Haze
from unirestore.degradations.dataset_builder import PairBuilder
from unirestore.degradations.depth_model import write_depth_folder
from unirestore.workers import in_processes


def builder(folder, names, **more):
    """A builder over small photos of these names, each of its own colour."""
    for number, name in enumerate(names):
        path = folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), 20 + 30 * number, np.uint8)).save(path)
    return PairBuilder(source=str(folder / "photos"), out=str(folder / "out"), recipe=Haze(), **more)


@pytest.mark.parametrize("layout", ["degraded", "folders"])
def test_suffixes_and_names_that_clash_lose_no_photo(tmp_path, layout):
    made = builder(tmp_path, ["x.png", "x.jpg", "x_png.png", "X_JPG.png", "y.png"], layout=layout)
    lines = made.run()
    written = [p for p in (tmp_path / "out").rglob("*.png") if "clean" not in p.parts]
    assert len(written) == len(lines) == 5
    assert len({line["out"].lower() for line in lines}) == 5
    if layout == "folders":
        assert len(list((tmp_path / "out" / "clean").iterdir())) == 5
    names = made.outputs
    assert names["y.png"] == "y" and names["x.png"].startswith("x_png-")
    assert names["x_png.png"].startswith("x_png-") and names["x_png.png"] != names["x.png"]
    assert names == PairBuilder(source=made.source, out=str(tmp_path / "else"), recipe=Haze()).outputs


def test_shard_keys_that_clash_lose_no_photo(tmp_path):
    made = builder(tmp_path, ["a/b.png", "a_b.png", "a.b.png", "c/d.png"], layout="shards", copies=2)
    lines = made.run()
    with tarfile.open(tmp_path / "out" / "shards" / "pairs-000000.tar") as tar:
        keys = {name.split(".")[0] for name in tar.getnames()}
        assert len(tar.getnames()) == 24
    assert len(keys) == 8 == len({line["out"] for line in lines})
    assert made.keys["c/d.png"] == "c_d", "names that do not clash stay"
    assert made.outputs["a/b.png"] == "a/b", "the folders tell them apart"


def test_names_that_are_alike_even_so_are_refused(tmp_path):
    made = builder(tmp_path, ["x.png", "x.jpg", "x_png.png"])
    name = made.outputs["x.png"]
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "photos" / f"{name}.png")
    with pytest.raises(ValueError, match="would be written under one name"):
        builder(tmp_path, ["x.png"]).run()


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


@needs_kill
def test_a_killed_process_is_told_and_not_waited_for():
    assert list(in_processes(abs, [-1, 2, -3], 2, kept="", ordered=True)) == [1, 2, 3]
    assert sorted(in_processes(abs, [-1, 2, -3], 2, kept="")) == [1, 2, 3]
    with pytest.raises(
        RuntimeError, match=r"worker process was killed, perhaps because memory .*; all is kept"
    ):
        list(in_processes(signal.raise_signal, [signal.SIGKILL] * 3, 2, kept="all is kept"))
    with pytest.raises(ValueError, match="negative"):
        list(in_processes(bytes, [-1] * 9, 2, kept=""))


class Counting:
    """Says how often it was pickled."""

    def __init__(self):
        self.pickled = 0

    def __getstate__(self):
        self.pickled += 1
        return {}

    def __call__(self, item):
        return item + 1


def test_what_the_processes_share_is_sent_once_and_not_with_every_item():
    function = Counting()
    assert list(in_processes(function, range(7), 2, kept="", ordered=True)) == list(range(1, 8))
    assert function.pickled == 1


SCRIPT = """
import os, signal, sys
from pathlib import Path
from unirestore.data import read_depth
from unirestore.degradations import Haze
from unirestore.degradations.dataset_builder import PairBuilder

class Deadly:
    spec = "deadly"

    def __init__(self, flag, done):
        self.flag, self.done = flag, done

    def draw(self, seed):
        if Path(self.flag).exists() and list(Path(self.done).glob(".parts/[0-9]*.json")):
            os.kill(os.getpid(), signal.SIGKILL)
        return Haze()

if __name__ == "__main__":
    source, out, flag = sys.argv[1:]
    made = PairBuilder(source=source, out=out, recipe=Deadly(flag, out), chunk=1)
    print(len(made.run(workers=2)))
"""


@needs_kill
@pytest.mark.slow
def test_a_run_whose_worker_was_killed_continues(tmp_path):
    names = [f"{n}.png" for n in range(6)]
    made = builder(tmp_path, names)
    script, flag = tmp_path / "deadly.py", tmp_path / "flag"
    script.write_text(SCRIPT)
    flag.touch()
    command = [sys.executable, str(script), made.source, made.out, str(flag)]
    root = str(Path(__file__).parents[2])
    options = {"capture_output": True, "text": True, "timeout": 600}
    options["env"] = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    first = subprocess.run(command, **options)
    assert first.returncode == 1 and "a worker process was killed" in first.stderr
    assert "are kept, and the same command continues" in first.stderr
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / ".parts").glob("[0-9]*.json")}
    assert 1 <= len(kept) < 6
    flag.unlink()
    second = subprocess.run(command, **options)
    assert second.returncode == 0 and second.stdout.strip() == "6", second.stderr
    assert all(p.stat().st_mtime_ns == when for p, when in kept.items()), (
        "what was finished is not made again"
    )


def test_the_command_says_it_in_one_line(tmp_path, capsys, monkeypatch):
    made = builder(tmp_path, ["x.png"])

    def killed(*_):
        raise BrokenExecutor("a worker process was killed")

    monkeypatch.setattr(PairBuilder, "build", killed)
    assert main(["degrade", made.source, made.out, "--recipe", "haze", "--quiet"]) == 1
    assert capsys.readouterr().err == "unirestore degrade: a worker process was killed\n"


def test_depth_of_photos_that_differ_in_their_suffix_is_written_apart(tmp_path):
    made = builder(tmp_path, ["a.png", "a.bmp", "b.png"])
    written = tmp_path / "depth"

    def model(photo):
        return np.full(photo.shape[:2], 1 + photo[0, 0, 0] / 100, np.float32)

    assert write_depth_folder(model, made.source, written) == 3
    assert sorted(p.name for p in written.iterdir()) == ["a.bmp.png", "a.png.png", "b.png"]
    assert read_depth(written / "a.png.png")[0, 0] != read_depth(written / "a.bmp.png")[0, 0]
    builder(tmp_path, ["a.png", "a.bmp", "b.png"], depth=str(written)).run()


def test_long_names_have_short_keys_in_shards(tmp_path):
    deep = "/".join(["a-folder-of-forty-characters-in-its-name"] * 3)
    names = [f"{deep}/one.png", f"{deep}/two.png", f"{'é' * 60}.png", "short.png"]
    made = builder(tmp_path, names, layout="shards")
    lines = made.run()
    assert [line["file"] for line in lines] == sorted(names)
    with tarfile.open(tmp_path / "out" / "shards" / "pairs-000000.tar") as tar:
        members = [member for member in tar if not member.pax_headers]
    assert len(members) == 12 and all(len(m.name.encode()) <= 100 and "/" not in m.name for m in members)
    keys = {member.name.split(".")[0] for member in members}
    assert len(keys) == 4 and made.keys["short.png"] == "short" and "short_000" in keys
    assert sum(key.startswith("a-folder-of-forty-characters-in-its-name_a-folder") for key in keys) == 2


def test_out_may_not_hold_the_photos(tmp_path):
    made = builder(tmp_path, ["x.png"])
    with pytest.raises(
        ValueError, match=r"the photos \(.*photos\) lie inside out \(.*\); choose a folder beside"
    ):
        PairBuilder(source=made.source, out=str(tmp_path), recipe=Haze())


def test_what_lies_in_out_or_in_the_depth_folder_is_no_photo(tmp_path):
    photos = tmp_path / "photos"
    builder(tmp_path, ["x.png", "sub/y.png"])
    (photos / "depth" / "sub").mkdir(parents=True)
    depth = np.full((16, 16), 500, np.uint16)
    for name in ("x", "sub/y"):
        Image.fromarray(depth).save(photos / "depth" / f"{name}.png")
    options = {"source": str(photos), "recipe": Haze(), "depth": str(photos / "depth")}
    made = PairBuilder(out=str(photos / "out"), **options)
    assert len(made.run()) == 2 and set(made.depth_files) == set(made.files) == {"x.png", "sub/y.png"}
    assert PairBuilder(out=str(photos / "out"), **options).files == made.files
