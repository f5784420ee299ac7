"""The same bytes whatever instructions the processor has: every effect, in processes that use fewer of them."""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import unirestore.degradations.portable as portable_module
from unirestore.degradations import REGISTRY, load_recipe
from unirestore.degradations.compose import Group
from unirestore.degradations.portable import portable, rounded
from unirestore.degradations.replay import degrade_photo

EVERY_EFFECT = """
import hashlib, json
import numpy as np
from unirestore.degradations import REGISTRY, load_recipe
from unirestore.degradations.compose import Group
from unirestore.degradations.portable import portable
from unirestore.degradations.replay import degrade_photo

rng = np.random.default_rng(5)
coarse = rng.integers(0, 256, (9, 12, 3)).repeat(8, axis=0).repeat(8, axis=1)
photo = np.clip(coarse + rng.integers(-20, 20, (72, 96, 3)), 0, 255).astype(np.uint8)
depth = np.linspace(600, 2, 72, dtype=np.float32)[:, None].repeat(96, axis=1)
found = {}
for name, cls in sorted(REGISTRY.items()):
    if issubclass(cls, Group):
        continue
    recipe = load_recipe(name)
    if name == "Compression":
        recipe = load_recipe({"effect": name, "params": {"codec": "webp", "quality": 30}})
    _, line = degrade_photo(photo, recipe, name="a", seed=1, depth=depth)
    _, guessed = degrade_photo(photo, recipe, name="b", seed=1)
    with portable():  # floats hide nothing behind the rounding to levels
        exact = recipe.draw(2)(photo / np.float32(255), seed=2, depth=depth)
    found[name] = line["output"], guessed["output"], hashlib.sha256(exact.tobytes()).hexdigest()
print(json.dumps(found))
"""

FINE_PARTS = """
import hashlib, json
import cv2
import numpy as np
from unirestore.degradations.corruptions import DefocusBlurC
from unirestore.degradations.corruptions.frost import SHEETS, sheet
from unirestore.degradations.layers.perlin import smoke_texture
from unirestore.degradations.noise import segments
from unirestore.degradations.portable import portable

coarse = np.random.default_rng(5).random((12, 12, 3), dtype=np.float32)
found = {}
with portable():
    photo = cv2.resize(coarse, (384, 384), interpolation=cv2.INTER_LINEAR)  # many pixels between two segments
    for seed in range(12):
        rng = np.random.default_rng(seed)
        parts = smoke_texture((384, 384), rng), segments(photo, 20, rng)
        found[f"seed {seed}"] = [hashlib.sha256(part.tobytes()).hexdigest() for part in parts]
    for number in range(len(SHEETS)):
        found[f"sheet {number}"] = [hashlib.sha256(sheet(number).tobytes()).hexdigest()]
    for severity in range(1, 6):  # its kernel is made in a `portable()` of its own
        blurred = DefocusBlurC(severity=severity)(photo, seed=0)
        found[f"defocus {severity}"] = [hashlib.sha256(blurred.tobytes()).hexdigest()]
print(json.dumps(found))
"""


def _hashes(script: str, **environment: str) -> dict[str, list[str]]:
    """What -> hashes of what `script` prints, from a process of its own with these variables set."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="the switches are those of x86-64"
)
@pytest.mark.parametrize("script, least", [(EVERY_EFFECT, 40), (FINE_PARTS, 22)], ids=["effects", "parts"])
def test_the_same_bytes_with_fewer_instructions(script, least):
    """OpenCV, numpy and BLAS told to use what every x86-64 processor has, against all that this one has."""
    core = getattr(np, "_core", None) or np.core
    bare = _hashes(
        script,
        OPENCV_CPU_DISABLE="AVX512-SKX,AVX2,FMA3,AVX,FP16,SSE4.2,SSE4.1,POPCNT,SSSE3",
        OPENCV_IPP="disabled",
        NPY_DISABLE_CPU_FEATURES=" ".join(core._multiarray_umath.__cpu_dispatch__),
        OPENBLAS_CORETYPE="Nehalem",
    )
    full = _hashes(script)
    assert len(full) >= least
    assert [name for name in full if full[name] != bare[name]] == []


# Where a function of numpy may stand outside of `rounded`, and a product of matrices: numbers in double precision.
IN_DOUBLE = {
    "blur.py": "shake_path aperture_kernel _mean apply",
    "corruptions/frost.py": "_blades _relief _feather",
    "corruptions/kernels.py": "motion_taps",
    "depth.py": "ground_plane",
    "draws.py": "_poisson_quantiles",
    "dusk.py": "apply",
    "kernel_blur.py": "kernel sinc_kernel",
    "layers/lens.py": "spread_table make_lens aperture_picture",
    "layers/masks.py": "draw_shape stroke_path",
    "layers/reflection.py": "doubled ray_cosines",
    "layers/room.py": "_colour",
    "layers/shadow.py": "caster frame surface_points",
    "layers/silhouettes.py": "_tree _foliage",
    "light.py": "_decode _encode",
    "lowlight.py": "_electrons",
    "moire.py": "harmonic screen_position",
    "noise.py": "apply",
    "rain.py": "streak_field windscreen",
    "scattering.py": "low_band",
    "smoke.py": "apply",
    "snow.py": "flake_layers",
    "spray.py": "apply",
    "tone.py": "apply _curve",
}
NO_PIXELS = ("statistics.py", "distance.py")  # they measure; nothing is drawn by them
FUNCTIONS = [  # of numpy
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power", "hypot", "cbrt"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh"),
]
PRODUCTS = ["dot", "matmul", "einsum", "inner", "vdot", "tensordot"]


def _is_raw(node: ast.AST) -> bool:
    """Whether it calls a function whose last bit depends on the processor, as numpy gives it."""
    if isinstance(node, ast.BinOp):
        whole = isinstance(node.right, ast.Constant) and isinstance(node.right.value, int)
        power = isinstance(node.op, ast.Pow) and not whole and not isinstance(node.left, ast.Constant)
        return power or isinstance(node.op, ast.MatMult)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    return ast.unparse(node.func.value) == "np" and node.func.attr in FUNCTIONS + PRODUCTS


def _raw_calls(source: str) -> set[str]:
    """Names of the functions in which such a call stands, but for single numbers (`float(...)`, `sample`)."""
    found = set()

    def visit(node: ast.AST, place: str) -> None:
        if isinstance(node, ast.FunctionDef):
            place = node.name
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "float":
            return
        if _is_raw(node):
            found.add(place)
        for child in ast.iter_child_nodes(node):
            visit(child, place)

    visit(ast.parse(source), "module")
    return found - {"sample"}


def test_functions_that_processors_round_differently_stand_where_they_are_known_to_be_double():
    """A new one belongs into `rounded`, or into the list when its numbers are doubles."""
    assert _raw_calls("def f(x):\n    return np.exp(x) @ x, rounded(np.exp, x)") == {"f"}
    assert _raw_calls("def f(x):\n    return rounded(np.exp, x), float(np.cos(2)), x**2, 2**x") == set()
    root = Path(portable_module.__file__).parent
    found = {path.relative_to(root).as_posix(): _raw_calls(path.read_text()) for path in root.rglob("*.py")}
    known = {name: set(places.split()) for name, places in IN_DOUBLE.items()}
    found = {name: places for name, places in found.items() if places and name not in NO_PIXELS}
    assert found == known


def test_no_effect_takes_a_function_of_single_precision_from_numpy(monkeypatch):
    """Every effect, with numpy's functions watched: none but those in `rounded` gives a float32 array."""
    seen = set()

    def watched(name, function):
        def call(*values, **options):
            out = function(*values, **options)
            if isinstance(out, np.ndarray) and out.size > 1 and out.dtype == np.float32:
                frame = sys._getframe(1)
                seen.add(f"np.{name} in {Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            return out

        return call

    for name in [*FUNCTIONS, *PRODUCTS]:
        monkeypatch.setattr(np, name, watched(name, getattr(np, name)))
    np.exp(np.zeros(2, np.float32))
    assert seen.pop().startswith("np.exp in test_portable.py")  # the watch works
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    for name, cls in sorted(REGISTRY.items()):
        for seed in range(0 if issubclass(cls, Group) else 6):
            recipe = load_recipe(
                {"effect": name, "params": {"codec": "webp"}} if name == "Compression" else name
            )
            degrade_photo(photo, recipe, name="a", seed=seed)
    assert seen == set()


def test_portable_restores_what_it_switched_off_also_after_an_error():
    before = cv2.useOptimized(), cv2.getNumThreads(), cv2.ipp.useIPP()
    with pytest.raises(KeyError), portable():
        with portable():
            assert not cv2.useOptimized()
        assert not cv2.useOptimized() and not cv2.ipp.useIPP()  # the outer block still holds
        raise KeyError
    assert (cv2.useOptimized(), cv2.getNumThreads(), cv2.ipp.useIPP()) == before


def test_rounded_is_the_nearest_float_of_the_exact_value():
    values = np.linspace(-4, 4, 9, dtype=np.float32)
    out = rounded(np.exp, values)
    assert out.dtype == np.float32
    exact = [np.float32(np.longdouble(np.e) ** np.longdouble(v)) for v in values.tolist()]
    np.testing.assert_array_equal(out, exact)
