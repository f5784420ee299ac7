"""The package as a whole: what its import pulls in, and its public names."""

import os
import subprocess
import sys

import pytest

import unirestore

MM_PACKAGES = ("mmengine", "mmcv", "mmdet", "mmseg")


def run_python(code: str, **environment: str) -> str:
    """Standard output of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_pulls_in_no_mm_package():
    code = f"import sys, unirestore; print([m for m in sys.modules if m.split('.')[0] in {MM_PACKAGES}])"
    assert run_python(code) == "[]"


@pytest.mark.slow
def test_core_rooms_pull_in_no_mm_package():
    """With the mm packages made unimportable, every module outside the rooms mm and training imports."""
    code = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('mmengine', 'mmcv', 'mmdet', 'mmseg'):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Refuse())
import unirestore
for module in pkgutil.walk_packages(unirestore.__path__, 'unirestore.', onerror=lambda name: None):
    if module.name.split('.')[1] in ('mm', 'training'):
        continue
    importlib.import_module(module.name)
print([m for m in sys.modules if m.split('.')[0] in ('mmengine', 'mmcv', 'mmdet', 'mmseg')])
"""
    assert run_python(code) == "[]"


@pytest.mark.slow
def test_mm_room_without_mmcv_says_how_to_install_it():
    code = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == 'mmcv' else real(name, package)
try:
    import unirestore.mm
except ModuleNotFoundError as error:
    print(error)
"""
    assert "pip install 'unirestore[mm]'" in run_python(code)


def test_unknown_name_lists_the_public_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'UniRestored'.*UniRestore"):
        unirestore.UniRestored  # noqa: B018


def test_public_names():
    assert unirestore.__all__ == ["__version__", "RestorationPipeline", "UniRestore"]
    assert set(unirestore.__all__) <= set(dir(unirestore))
    assert unirestore.UniRestore is unirestore.models.UniRestore
    assert unirestore.__version__.count(".") == 2
