"""Installation of ``unirestore``.

The core (models, degradations, data, evaluation, training losses) needs torch and a few small packages.
Everything of OpenMMLab is the extra ``mm``: the maintained ``onedl-*`` forks, which keep the import names
``mmengine``, ``mmcv``, ``mmdet`` and ``mmseg`` and therefore cannot live beside the upstream distributions.
No compiler is needed: :mod:`unirestore.mm.ops` supplies ``mmcv._ext`` from torchvision.

Tested versions of everything below are pinned in ``constraints.txt``::

    pip install -c constraints.txt -e '.[mm,metrics]'
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

CORE = [
    "torch>=2.4",
    "torchvision>=0.19",
    "diffusers>=0.30",
    "huggingface_hub",
    "einops",
    "safetensors>=0.4",
    "numpy>=1.26",
    "opencv-python-headless>=4.9",
    "pillow>=10",
    "tqdm",
    "rich",
]
EXTRAS = {
    "mm": [
        "onedl-mmengine>=0.10.12",
        "onedl-mmcv>=2.3.6",
        "onedl-mmdetection>=3.5.1",
        "onedl-mmsegmentation>=1.4.2",
        # mmseg imports both without declaring them
        "ftfy",
        "regex",
    ],
    "metrics": ["pycocotools>=2.0.8", "scikit-image>=0.22", "scipy"],
    # monocular depth for degradations; building data sets on a cluster
    "depth": ["transformers>=4.45"],
    "ray": ["ray[data]>=2.30"],
    # H.264, VP9 and MPEG-4 frames in `Compression`
    "video": ["av>=12"],
    "bench": [
        "imagecorruptions",
        "albumentations",
        "kornia",
    ],  # benchmarks/degradation_speed.py, nothing else
    # HEIC photos in `unirestore restore`
    "heic": ["pillow-heif"],
    "docs": ["mkdocs>=1.6,<2"],
    "test": ["pytest>=8", "pytest-cov>=5", "coverage>=7.10", "pytest-xdist>=3.6", "hypothesis>=6.100"],
    "dev": ["ruff>=0.6", "pre-commit"],
}
EXTRAS["all"] = sorted(
    {requirement for name, group in EXTRAS.items() if name != "bench" for requirement in group}
)


def version() -> str:
    """``__version__`` of the package, read as text so that nothing is imported at build time."""
    text = (HERE / "unirestore" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE).group(1)


def readme() -> str:
    path = HERE / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


setup(
    name="unirestore",
    version=version(),
    description="Image restoration for people and frozen detectors: one network, a prompt per task",
    long_description=readme(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["unirestore", "unirestore.*"]),
    package_data={"unirestore": ["**/*.json", "**/*.safetensors", "**/*.html", "**/*.md"]},
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["unirestore = unirestore.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
)
