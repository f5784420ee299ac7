"""The documentation says what is there: snippets run, paths and flags exist, tables equal the code."""

import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"(?:<!-- (?P<mark>[^\n]+?) -->\n)?```(?P<kind>\w*)\n(?P<code>.*?)^```", re.S | re.M)
FIGURES = re.compile(r"<!-- figures: ([\w-]+) -->\n(.*?)<!-- /figures -->", re.S)
OF_THE_READER = {"configs/mine.py"}
"""Paths that a page tells its reader to make."""


def fences(page, kind):
    return [
        (found["mark"] or "", found["code"])
        for found in FENCE.finditer(page.read_text())
        if found["kind"] == kind
    ]


def prose(page):
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


SNIPPETS = [(page, mark, code) for page in PAGES for mark, code in fences(page, "python")]
RUNNING = [entry for entry in SNIPPETS if entry[1].startswith("runs")]


def label(entry):
    page, _, code = entry
    return f"{page.relative_to(ROOT)}:{page.read_text()[: page.read_text().index(code)].count(chr(10)) + 1}"


@pytest.mark.parametrize("entry", SNIPPETS, ids=label)
def test_python_compiles(entry):
    compile(entry[2], label(entry), "exec")


def test_there_is_something_to_run():
    assert len(RUNNING) >= 5
    assert {mark for _, mark, _ in RUNNING} == {"runs", "runs: with weights"}


@pytest.mark.parametrize("entry", RUNNING, ids=label)
def test_python_runs(entry, tmp_path, monkeypatch):
    from unirestore.degradations import REGISTRY, mixture
    from unirestore.models import WEIGHTS

    _, mark, code = entry
    monkeypatch.chdir(tmp_path)
    tables = (REGISTRY, mixture.MIXTURES, mixture.WEATHER)  # a snippet may add to them
    before = [set(table) for table in tables]
    if mark == "runs: with weights":
        if "tiny" not in WEIGHTS:
            pytest.skip("the weights `tiny` do not ship yet")
        from PIL import Image

        from unirestore.data import render_scene

        Image.fromarray(render_scene(1, size=64).image).save("foggy.jpg")
    module = types.ModuleType("snippet")
    monkeypatch.setitem(sys.modules, "snippet", module)
    try:
        exec(compile(code, label(entry), "exec"), module.__dict__)
    finally:
        for table, known in zip(tables, before, strict=True):
            for name in set(table) - known:
                del table[name]
    if mark == "runs: with weights":
        assert module.for_people.shape == module.for_detector.shape == (1, 3, 64, 64)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_paths_exist(page):
    text = page.read_text()
    paths = set(
        re.findall(r"(?<![\w/.:-])(?:configs|tools|unirestore|docs|tests|benchmarks)/[\w./-]*\w", text)
    )
    if not (ROOT / "unirestore/weights").is_dir():
        paths = {path for path in paths if not path.startswith("unirestore/weights")}
    missing = [path for path in sorted(paths - OF_THE_READER) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_and_their_anchors_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        file = page if not path else (page.parent / path).resolve()
        assert file.is_file(), target
        if anchor:
            assert anchor in {slug(title) for title in re.findall(r"^#+ (.+)$", prose(file), re.M)}, target


def slug(title):
    """Anchor of a heading, as GitHub and mkdocs make it of plain words."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower())).strip("-")


def commands(page):
    """Lines of the shell blocks, continued lines joined, comments off; commands inside the text too."""
    for _, code in fences(page, "sh") + fences(page, ""):
        for line in code.replace("\\\n", " ").splitlines():
            yield line.partition(" #")[0].strip()
    yield from re.findall(r"`((?:python|make) [^`]+)`", prose(page))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_exist_with_their_flags(page):
    makefile = (ROOT / "Makefile").read_text()
    for line in commands(page):
        words = line.split()
        if words[:1] == ["make"]:
            assert re.search(rf"^{re.escape(words[1])}:", makefile, re.M), line
        scripts = [word for word in words if re.fullmatch(r"(tools|benchmarks)/\w+\.py", word)]
        for script in scripts:
            source = (ROOT / script).read_text()
            flags = [word for word in words[words.index(script) :] if word.startswith("--")]
            unknown = [flag for flag in flags if f'"{flag}"' not in source]
            assert not unknown, f"{script} has no {unknown}: {line}"


def test_the_navigation_lists_every_page_once():
    listed = re.findall(r":\s+(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_pages_build_strictly(tmp_path):
    if shutil.which("mkdocs", path=Path(sys.executable).parent) is None:
        pytest.skip("mkdocs is not installed: pip install -e '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_figure_without_the_command_that_makes_it(page):
    """A block of figures is closed, and its own section names the command and the seed."""
    text = page.read_text()
    blocks = list(FIGURES.finditer(text))
    assert len(blocks) == text.count("<!-- figures:") == text.count("<!-- /figures -->")
    assert len({block[1] for block in blocks}) == len(blocks)
    for block in blocks:
        if not re.search(r"\d", block[2]):
            continue  # not measured yet
        section = re.split(r"^#+ ", text[: block.start()], flags=re.M)[-1] + block[2]
        command = re.search(r"make \w|python (tools|benchmarks)/|measuring\.md#", section)
        assert command, f"figures {block[1]!r} stand without their command"
        assert re.search(r"seed|random", section, re.I), f"figures {block[1]!r} stand without their seed"


def test_shipped_weights_have_a_finished_card():
    from unirestore.models import WEIGHTS

    for name in WEIGHTS:
        card = DOCS / "model_cards" / f"{name}.md"
        assert card.is_file(), f"{card} is missing"
        assert "TODO" not in card.read_text(), f"{card} is not finished"


def rows(page, first):
    """Rows of all tables of a page whose head begins with `first`."""
    found, inside = [], False
    for line in (DOCS / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else None
        inside = cells is not None and (inside or cells[0] == first)
        if inside and cells[0] != first and not set(cells[0]) <= set("-: "):
            found.append(cells)
    return found


def test_parameter_counts_are_those_of_the_code():
    import torch

    from unirestore import UniRestore
    from unirestore.models import PARAMETER_GROUPS

    with torch.device("meta"):
        model = UniRestore.build("sd_turbo")
    table = {name: int(count.replace(",", "")) for name, count in rows("how_it_works.md", "part")}
    assert table == {
        group: sum(value.numel() for value in model.parameter_group(group).values())
        for group in PARAMETER_GROUPS
    }


def test_severities_are_those_of_the_code():
    from unirestore.degradations import Haze, JpegCompression, Rain, SensorNoise

    documented = [
        (re.search(r"`(\w+)`", cells[0])[1], tuple(float(value) for value in cells[1:]))
        for cells in rows("degradations.md", "severity")
    ]
    kinds = (Haze, Rain, SensorNoise, JpegCompression)
    expected = [(name, tuple(values)) for kind in kinds for name, values in kind.presets.items()]
    assert sorted(documented) == sorted(expected)


def test_every_degradation_arm_and_key_is_described():
    import inspect

    from unirestore.degradations import REGISTRY
    from unirestore.evaluation.arms import CLASSICAL_ARMS

    page = (DOCS / "degradations.md").read_text()
    own = [name for name, kind in REGISTRY.items() if kind.__module__.startswith("unirestore.")]
    assert [name for name in own if name not in page] == []
    described = {cells[0].strip("`") for cells in rows("measuring.md", "arm")}
    assert set(CLASSICAL_ARMS) | {"clean", "ir", "det"} == described

    pytest.importorskip("mmdet")
    from unirestore.mm import RestorationMixin

    keys = {cells[0].strip("`") for cells in rows("plug_into_mmdet.md", "key")}
    signature = inspect.signature(RestorationMixin.__init__).parameters
    assert keys == set(signature) - {"self", "kwargs"}


def test_baselines_are_the_blends_that_the_table_says():
    import inspect

    from unirestore.classical import chain, mix

    table: dict[str, str] = {}
    for cells in rows("measuring.md", "arm"):  # the tables of figures, further down, list the same arms
        table.setdefault(cells[0].strip("`"), cells[1])
    photo, dcp, clahe = inspect.signature(mix).parameters["weights"].default
    assert table["mix"] == f"{photo} photo + {dcp} `dcp` + {clahe} `clahe`"
    strength = inspect.signature(chain).parameters["strength"].default
    assert table["chain"].startswith(f"{round(1 - strength, 6)} photo + {strength} dark channel prior")


def test_the_picture_is_made_of_scenes(tmp_path):
    """The script runs, and what it draws beside the captions is the scene itself."""
    import importlib.util

    import numpy as np

    from unirestore import UniRestore
    from unirestore.data import render_scene

    spec = importlib.util.spec_from_file_location("make_figure", ROOT / "tools/make_figure.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main(["--restorer", "none", "--size", "64", "--out", str(tmp_path / "f.png")]).is_file()
    figure = tool.build_figure(UniRestore.build("tiny").eval(), "det", 64, 1)
    assert figure.shape == (2 * (64 + tool.CAPTION), 3 * 64 + 2 * tool.GAP, 3)
    top = tool.CAPTION
    assert np.array_equal(figure[top : top + 64, :64], render_scene(tool.ROWS[0][0], size=64).image)
    assert (ROOT / "docs/assets/scenes.jpg").stat().st_size < 400_000


@pytest.mark.slow
def test_the_config_for_own_photos_trains_and_measures(tmp_path):
    """The config of the page, with its paths filled in, two steps long and small."""
    pytest.importorskip("mmdet")
    from unirestore.data import write_scenes

    (code,) = [code for _, mark, code in SNIPPETS if mark == "config: own photos"]
    write_scenes(tmp_path / "street", 4, seed=3, size=96)
    for old, new in {
        '"_base_/adaptation.py"': repr(str(ROOT / "configs/_base_/adaptation.py")),
        '"data/street"': repr(str(tmp_path / "street")),
        '"yolox_nano_coco.pth"': "None",
        'restorer="tiny"': 'restorer=dict(preset="tiny")',
        "_steps = 500": "_steps = 2",
        "size=320, long_side=640": "size=64, long_side=96",
        "input_size=640": "input_size=96",
        "    size=640,\n    limit=100,": "    size=96,\n    limit=3,\n    resamples=20,",
    }.items():
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    config = tmp_path / "mine.py"
    config.write_text(code)
    command = [sys.executable, "tools/train.py", str(config), "--work-dir", str(tmp_path / "out")]
    command += ["--cfg-options", "train_dataloader.num_workers=0"]
    command += ["train_dataloader.persistent_workers=False"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    report = (tmp_path / "out" / "report.md").read_text()
    assert all(f"## {name}" in report for name in ("haze", "rain", "clean"))
    assert (tmp_path / "out" / "restorer" / "config.json").is_file()
