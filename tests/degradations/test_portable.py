"""The same bytes whatever instructions the processor has: every effect, in processes that use fewer of them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import cv2
import numpy as np
import pytest

from unirestore.degradations.portable import portable, rounded

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
@pytest.mark.parametrize("script, least", [(EVERY_EFFECT, 40), (FINE_PARTS, 17)], ids=["effects", "parts"])
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


def test_portable_restores_what_it_switched_off_also_after_an_error():
    before = cv2.useOptimized(), cv2.getNumThreads()
    with pytest.raises(KeyError), portable():
        with portable():
            assert not cv2.useOptimized()
        assert not cv2.useOptimized()  # the outer block still holds
        raise KeyError
    assert (cv2.useOptimized(), cv2.getNumThreads()) == before


def test_rounded_is_the_nearest_float_of_the_exact_value():
    values = np.linspace(-4, 4, 9, dtype=np.float32)
    out = rounded(np.exp, values)
    assert out.dtype == np.float32
    exact = [np.float32(np.longdouble(np.e) ** np.longdouble(v)) for v in values.tolist()]
    np.testing.assert_array_equal(out, exact)
