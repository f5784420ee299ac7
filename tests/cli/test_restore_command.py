"""`unirestore restore` and `unirestore compare`: which files, which names, resuming, failures, streams, shares."""

import argparse
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from unirestore import RestorationPipeline, UniRestore
from unirestore.cli import main
from unirestore.cli.restore import add_model_arguments, jobs_of, restorer_of, share_of
from unirestore.data import photo_files


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A saved very small restorer."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    small = dict(block_out_channels=(8, 8, 8, 8), cfrm_depths=(0, 0, 0), candidates=("clahe",))
    UniRestore.build("tiny", **small, candidate_weights=(0.5, 0.5)).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.jpg", "a.png", "C.PNG", "sub/d.webp"):
        Image.fromarray(rng.integers(0, 256, (24, 31, 3), np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.fixture
def restore(weights):
    return lambda *arguments: main(["restore", *map(str, arguments), "--model", weights, "--quiet"])


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file(restore, photos, weights, tmp_path, capsys):
    assert restore(photos / "a.png", tmp_path / "out.png", "--task", "det", "--strength", "0.5") == 0
    assert "1 of 1 photos restored" in capsys.readouterr().out
    wanted = RestorationPipeline.from_pretrained(weights)(photos / "a.png", "det", strength=0.5)
    with Image.open(tmp_path / "out.png") as found:
        assert np.array_equal(np.asarray(found), np.asarray(wanted))
    (tmp_path / "folder").mkdir()
    assert restore(photos / "a.png", tmp_path / "folder") == 0
    assert names(tmp_path / "folder") == ["a.png"]


def test_a_folder_a_pattern_and_sub_folders(restore, photos, tmp_path):
    assert restore(photos, tmp_path / "flat") == 0
    assert names(tmp_path / "flat") == ["C.PNG", "a.png", "b.jpg"]
    assert restore(photos, tmp_path / "deep", "--recursive") == 0
    assert names(tmp_path / "deep") == ["C.PNG", "a.png", "b.jpg", "sub/d.webp"]
    assert restore(photos / "*.png", tmp_path / "some") == 0
    assert names(tmp_path / "some") == ["a.png"]


def test_finished_photos_are_passed_over_and_results_are_no_photos(restore, photos, capsys):
    out = photos / "restored"
    assert restore(photos, out) == 0
    before = {name: (out / name).stat().st_mtime_ns for name in names(out)}
    (out / "a.png").unlink()
    capsys.readouterr()
    assert restore(photos, out, "--recursive") == 0  # OUT lies inside of IN
    assert "2 of 4 photos restored" in capsys.readouterr().out
    after = {name: (out / name).stat().st_mtime_ns for name in names(out)}
    assert set(after) == {*before, "sub/d.webp"}
    assert after["b.jpg"] == before["b.jpg"] and after["a.png"] != before["a.png"]
    assert restore(photos, out, "--overwrite") == 0
    assert (out / "b.jpg").stat().st_mtime_ns != before["b.jpg"]


def test_one_bad_photo_is_named_and_stops_nothing(restore, photos, tmp_path, capsys):
    (photos / "aa.jpg").write_bytes((photos / "b.jpg").read_bytes()[:300])
    assert restore(photos, tmp_path / "out") == 1
    told = capsys.readouterr()
    assert "aa.jpg" in told.err and "3 of 4 photos restored" in told.out and "1 failed" in told.out
    assert names(tmp_path / "out") == ["C.PNG", "a.png", "b.jpg"]


def test_json_lines(restore, photos, tmp_path, capsys):
    (photos / "aa.jpg").write_text("no")
    assert restore(photos / "a.png", tmp_path / "out" / "a.png") == 0
    capsys.readouterr()
    assert restore(photos, tmp_path / "out", "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == {"restored": 2, "there": 1, "failed": 1}
    status = {os.path.basename(line["in"]): line["status"] for line in lines[:-1]}
    assert status == {"C.PNG": "restored", "a.png": "there", "aa.jpg": "failed", "b.jpg": "restored"}
    assert "aa.jpg" in next(line["error"] for line in lines[:-1] if line["status"] == "failed")


@pytest.mark.slow
def test_streams(weights, photos, tmp_path):
    command = [sys.executable, "-m", "unirestore.cli", "restore", "--model", weights]
    stored = (photos / "a.png").read_bytes()
    done = subprocess.run([*command, "-", "-"], input=stored, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    wanted = np.asarray(RestorationPipeline.from_pretrained(weights)(photos / "a.png"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(done.stdout))), wanted)
    assert done.stderr == b""


def test_an_empty_stream_and_a_terminal(restore, photos, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert restore("-", "-") == 2
    told = capsys.readouterr()
    assert "standard input is empty" in told.err and told.out == ""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert restore(photos / "a.png", "-") == 2
    told = capsys.readouterr()
    assert "would go to the terminal" in told.err and told.out == ""


def test_stream_to_a_file_and_file_to_a_stream(restore, photos, tmp_path, monkeypatch, capsysbinary):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((photos / "a.png").read_bytes())))
    assert restore("-", tmp_path / "a.jpg", "--json") == 0
    assert Image.open(tmp_path / "a.jpg").format == "JPEG"
    assert json.loads(capsysbinary.readouterr().out)["status"] == "restored"
    assert restore(photos / "a.png", "-") == 0
    assert Image.open(io.BytesIO(capsysbinary.readouterr().out)).size == (31, 24)


@pytest.mark.parametrize(
    "arguments, told",
    [
        (("nowhere", "out"), "no such file or folder"),
        (("a.png", "a.png"), "is the photo"),
        (("a.png", "b.xyz"), "must end in"),
        ((".", "."), "is the folder"),
        ((".", "a.png"), "is a file"),
        (("sub/e", "out"), "no photo there"),
        (("a.png", "out.png", "--task", "seg"), "unknown task 'seg'"),
        (("a.png", "out.png", "--tile", "huge"), "--tile is a number"),
        (("a.png", "out.png", "--quality", "0"), "--quality lies in"),
        (("a.png", "out.png", "--jobs", "0"), "--jobs is at least"),
        (("a.png", "out.png", "--max-megapixels", "0"), "--max-megapixels is at least"),
        (("a.png", "out.png", "--strength", "2"), "strength must lie"),
        (("a.png", "-", "--json"), "cannot both go to standard output"),
        (("nowhere", "-"), "no such photo"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(restore, photos, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(photos)
    (photos / "sub" / "e").mkdir()
    assert restore(*arguments) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert names(photos) == ["C.PNG", "a.png", "b.jpg", "notes.txt", "sub/d.webp"]


def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(
    restore, photos, tmp_path, monkeypatch, capsys
):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photo_files.os, "fsync", full)
    assert restore(photos, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "C.PNG: No space left" in error and "it continues" in error and names(tmp_path / "out") == []


def test_a_photo_that_may_not_be_read_stops_nothing(restore, photos, tmp_path, monkeypatch, capsys):
    read = type(tmp_path).read_bytes

    def forbidden(self):
        if self.name == "a.png":
            raise PermissionError(13, "Permission denied", str(self))
        return read(self)

    monkeypatch.setattr(type(tmp_path), "read_bytes", forbidden)
    assert restore(photos, tmp_path / "out") == 1
    assert "a.png" in capsys.readouterr().err and names(tmp_path / "out") == ["C.PNG", "b.jpg"]


def test_two_photos_that_would_become_one_are_refused(photos, tmp_path):
    Image.new("RGB", (3, 3)).save(photos / "sub" / "a.png")
    with pytest.raises(ValueError, match=r"a\.png and .*would both become"):
        jobs_of(str(photos / "**" / "a.png"), str(tmp_path / "out"))


def test_photos_that_are_too_large_can_be_allowed(restore, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert restore(photos / "a.png", tmp_path / "out") == 1
    assert "--max-megapixels" in capsys.readouterr().err
    assert restore(photos / "a.png", tmp_path / "out", "--max-megapixels", "1") == 0


def test_what_a_shell_makes_of_a_pattern(restore, photos, tmp_path):
    given = [photos / name for name in ("sub", "notes.txt", "b.jpg", "a.png")]
    assert restore(*given, tmp_path / "out") == 0
    assert names(tmp_path / "out") == ["a.png", "b.jpg"]
    assert restore(photos / "a.png", photos / "gone.png", tmp_path / "out") == 2
    Image.new("RGB", (3, 3)).save(photos / "sub" / "a.png")
    with pytest.raises(ValueError, match="would both become"):
        jobs_of([str(photos / "a.png"), str(photos / "sub" / "a.png")], str(tmp_path / "out"))
    assert restore("-", photos / "a.png", tmp_path / "b.png") == 2


@pytest.mark.parametrize("source", [["*.jpg"], ["a.png", "b.jpg"], ["sub/../*.jpg"]])
def test_photos_are_never_overwritten(restore, photos, monkeypatch, capsys, source):
    monkeypatch.chdir(photos)
    before = {name: (photos / name).read_bytes() for name in names(photos)}
    assert restore(*source, ".", "--overwrite") == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert {name: (photos / name).read_bytes() for name in names(photos)} == before


def test_photos_below_out_are_photos(photos):
    jobs = jobs_of(str(photos / "sub"), str(photos))
    assert [job.target for job in jobs] == [str(photos / "d.webp")]


@pytest.mark.parametrize("world", [2, 3, 7])
def test_ranks_share_the_photos(photos, tmp_path, monkeypatch, world):
    jobs = jobs_of(str(photos), str(tmp_path), recursive=True)
    monkeypatch.setenv("WORLD_SIZE", str(world))
    taken = []
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        taken += share_of(jobs)
    assert sorted(job.source for job in taken) == sorted(job.source for job in jobs)


def test_two_ranks_restore_a_folder_together(restore, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, count in ((0, 2), (1, 1)):
        monkeypatch.setenv("RANK", str(rank))
        assert restore(photos, tmp_path / "out") == 0
        assert f"{count} of {count} photos restored" in capsys.readouterr().out
    assert names(tmp_path / "out") == ["C.PNG", "a.png", "b.jpg"]


def test_a_rank_does_not_stop_the_others(restore, photos, tmp_path, monkeypatch, capsys):
    (photos / "aa.jpg").write_text("no")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert restore(photos, tmp_path / "out") == 0  # torchrun ends all when one ends with another status
    told = capsys.readouterr()
    assert "aa.jpg" in told.err and "process 0 of 2: " in told.out and "1 failed" in told.out
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("RANK", "0")
    assert restore(photos, tmp_path / "out") == 1


@pytest.mark.parametrize("device, own", [("cuda", "cuda:3"), ("cuda:0", "cuda:0"), ("cpu", "cpu")])
def test_a_rank_has_a_gpu_of_its_own(monkeypatch, device, own):
    monkeypatch.setenv("LOCAL_RANK", "3")
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    assert restorer_of(parser.parse_args(["--device", device])).device == own


@pytest.mark.slow
def test_jobs_give_the_same_files(restore, photos, tmp_path):
    assert restore(photos, tmp_path / "one", "--recursive") == 0
    assert restore(photos, tmp_path / "two", "--recursive", "--jobs", "2") == 0
    assert names(tmp_path / "one") == names(tmp_path / "two")
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_compare_puts_both_side_by_side(weights, photos, tmp_path, capsys):
    (photos / "aa.jpg").write_text("no")
    grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("L", (40, 30), 99).save(photos / "grey.png", icc_profile=grey)
    assert main(["compare", str(photos), str(tmp_path / "out"), "--model", weights, "--quiet"]) == 1
    told = capsys.readouterr()
    assert "aa.jpg" in told.err and "4 of 5 comparisons" in told.out
    with Image.open(tmp_path / "out" / "grey.png") as sheet, Image.open(tmp_path / "out" / "a.png") as other:
        pixels = np.asarray(sheet)
        assert "icc_profile" not in sheet.info  # one of grey would not fit colours
        assert sheet.mode == "RGB" and sheet.width >= 80 and sheet.height > 30
        assert (pixels[-30:, :40] == 99).all()  # the photo, at the left, under its name
        assert other.size[0] >= 62


def test_compare_leaves_restored_pictures_alone(weights, photos, tmp_path, capsys):
    (tmp_path / "restored.png").write_bytes(b"mine")
    arguments = [
        "compare",
        str(photos / "a.png"),
        str(tmp_path / "restored.png"),
        "--model",
        weights,
        "--quiet",
    ]
    assert main(arguments) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "restored.png").read_bytes() == b"mine"
    assert main([*arguments, "--task", "seg", "--overwrite"]) == 2  # told once, not of every photo
    assert main([*arguments, "--overwrite"]) == 0
    assert Image.open(tmp_path / "restored.png").width >= 62
