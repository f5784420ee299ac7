"""What blur, compression, low light, noise and moire have in common: sizes, types, seeds, replay, severity."""

import json
from itertools import pairwise

import numpy as np
import pytest

from unirestore.degradations import (
    REGISTRY,
    SEVERITIES,
    Compression,
    DefocusBlur,
    GaussianNoise,
    GranularNoise,
    LowLight,
    Moire,
    MotionBlur,
    PoissonNoise,
    SegmentNoise,
    TemporalBlur,
    from_manifest,
)

KINDS = (
    MotionBlur,
    DefocusBlur,
    TemporalBlur,
    Compression,
    LowLight,
    GaussianNoise,
    PoissonNoise,
    GranularNoise,
    SegmentNoise,
    Moire,
)
EFFECTS = [
    *(kind(severity=4) for kind in KINDS),
    DefocusBlur(severity=4, focus=6.0, blades=6),
    TemporalBlur(severity=4, parallax=0.9, frames=5),
    Compression(codec="webp", scale=0.6, passes=2),
    GaussianNoise(sigma=0.1, grey=True),
    PoissonNoise(photons=20.0, grey=True),
]
IDS = [f"{type(effect).__name__}{number}" for number, effect in enumerate(EFFECTS)]


def photo(height=60, width=80, seed=0):
    """Sky over ground with boxes, a lamp and some texture; uint8 RGB."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None, None]
    image = np.where(rows < 0.45, (150, 175, 205), (95, 92, 90)) + 30 * rows + np.zeros((height, width, 3))
    for _ in range(14):
        y, x = rng.integers(0, max(1, height - 8)), rng.integers(0, max(1, width - 12))
        image[y : y + 8, x : x + 12] = rng.integers(0, 256, 3)
    image[height // 3 : height // 3 + 3, width // 3 : width // 3 + 3] = 255
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


def test_they_are_registered():
    assert {kind.__name__ for kind in KINDS} <= set(REGISTRY)


@pytest.mark.parametrize("effect", EFFECTS, ids=IDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (2, 3), (33, 47), (60, 80)])
def test_any_size_keeps_shape_and_dtype_and_the_input(effect, size):
    image = photo(*size)
    before = image.copy()
    out = effect(image, seed=1)
    assert out.shape == image.shape and out.dtype == np.uint8
    assert np.array_equal(image, before), "the input was written to"


@pytest.mark.parametrize("effect", EFFECTS, ids=IDS)
def test_photo_types_agree(effect):
    torch = pytest.importorskip("torch")
    image = photo()
    as_bytes = effect(image, seed=5)
    as_float = effect(image.astype(np.float32) / 255, seed=5)
    assert as_float.dtype == np.float32 and as_float.min() >= 0 and as_float.max() <= 1
    assert np.abs(as_float * 255 - as_bytes).max() <= 0.51
    planes = effect(torch.from_numpy(image).permute(2, 0, 1), seed=5)
    assert np.array_equal(planes.permute(1, 2, 0).numpy(), as_bytes)
    grey = effect(image[..., 0], seed=5)
    assert grey.shape == image.shape[:2] and grey.dtype == np.uint8


@pytest.mark.parametrize("effect", EFFECTS, ids=IDS)
def test_apply_leaves_its_float_input(effect):
    image = photo().astype(np.float32) / 255
    before = image.copy()
    effect(image, seed=3)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("effect", EFFECTS, ids=IDS)
def test_manifest_replays_the_same_bits(effect):
    image = photo()
    first = effect(image, seed=11)
    again, seed = from_manifest(json.loads(json.dumps(effect.to_manifest(11))))
    assert again == effect
    assert np.array_equal(first, again(image, seed=seed))
    if effect not in (Compression(severity=4), DefocusBlur(severity=4)):  # these two draw nothing
        assert not np.array_equal(first, effect(image, seed=12))


@pytest.mark.parametrize("kind", KINDS)
def test_sample_is_concrete_and_replays(kind):
    image = photo()
    seen = set()
    for number in range(12):
        effect = kind.sample(np.random.default_rng(number))
        assert effect == kind.sample(np.random.default_rng(number))
        assert all(value is not None for name, value in effect.parameters().items() if name != "severity")
        line = json.dumps(effect.to_manifest(number))
        seen.add(line)
        again, seed = from_manifest(json.loads(line))
        assert np.array_equal(effect(image, seed=number), again(image, seed=seed))
    assert len(seen) == 12
    for severity in SEVERITIES:
        assert kind.sample(np.random.default_rng(0), severity).severity == severity


@pytest.mark.parametrize("kind", KINDS)
def test_severity_lowers_psnr_step_by_step(kind):
    photos = [photo(96, 128, seed) for seed in range(6)]
    means = [
        np.mean([psnr(image, kind(severity=severity)(image, seed=n)) for n, image in enumerate(photos)])
        for severity in SEVERITIES
    ]
    assert all(a > b for a, b in pairwise(means)), means


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MotionBlur(length=0.9), r"length must lie in \[0, 0.5\], got 0.9"),
        (lambda: MotionBlur(wander=-1), "wander must be >= 0, got -1"),
        (lambda: DefocusBlur(radius=1), "radius must lie in .* got 1"),
        (lambda: DefocusBlur(blades=2), "blades must be 0 .* got 2"),
        (lambda: DefocusBlur(focus=-1), "focus must be >= 0, got -1"),
        (lambda: TemporalBlur(zoom=2), "zoom must lie in .* got 2"),
        (lambda: TemporalBlur(spin=90), "spin must lie in .* got 90"),
        (lambda: TemporalBlur(frames=2), "frames must be 0 .* got 2"),
        (lambda: TemporalBlur(bend=-1), "bend must be >= 0"),
        (lambda: Compression(codec="gif"), "codec must be one of .* got 'gif'"),
        (lambda: Compression(quality=0), "1..100, got 0"),
        (lambda: Compression(scale=2), "scale must lie in .* got 2"),
        (lambda: Compression(passes=0), "passes must be .* got 0"),
        (lambda: Compression(chroma="411"), "chroma must be one of .* got '411'"),
        (lambda: Compression(severity=7), "severity must be one of .* got 7"),
        (lambda: LowLight(stops=-1), "stops must be >= 0, got -1"),
        (lambda: LowLight(electrons=0), "electrons must be above 0, got 0"),
        (lambda: LowLight(bits=20), "bits must be .* got 20"),
        (lambda: LowLight(cast=(1, 1)), "cast must be three gains"),
        (lambda: GaussianNoise(sigma=25), "divide by 255"),
        (lambda: PoissonNoise(photons=0), "photons must be above 0, got 0"),
        (lambda: GranularNoise(size=20), "size must lie in .* got 20"),
        (lambda: GranularNoise(chroma=-1), "chroma must be >= 0"),
        (lambda: GranularNoise(sigma=2), "sigma must lie in"),
        (lambda: SegmentNoise(count=0), "count must be .* got 0"),
        (lambda: SegmentNoise(spread=-1), "spread must be >= 0"),
        (lambda: SegmentNoise(sigma=2), "sigma must lie in"),
        (lambda: SegmentNoise(kinds=("snow",)), "kinds must be some of"),
        (lambda: Moire(strength=2), "strength must lie in .* got 2"),
        (lambda: Moire(pitch=0), "pitch must lie in .* got 0"),
        (lambda: Moire(tilt=(1, 0)), "tilt must be two numbers"),
        (lambda: Moire(bow=1), "bow must lie in .* got 1"),
        (lambda: Moire(blur=-1), "blur must be >= 0, got -1"),
    ],
)
def test_bad_configurations_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
