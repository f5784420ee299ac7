"""PSNR and SSIM against scikit-image."""

import numpy as np
import pytest

from unirestore.evaluation.image_quality import psnr, ssim


def pair(shape=(37, 52, 3), noise=20, seed=0):
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, 256, shape, dtype=np.uint8)
    clean = np.cumsum(clean // 16, axis=1).astype(np.uint8)  # some structure
    noisy = np.clip(clean + rng.normal(0, noise, shape), 0, 255).astype(np.uint8)
    return noisy, clean


@pytest.mark.parametrize("noise", [2, 20, 80])
def test_equal_to_scikit_image(noise):
    metrics = pytest.importorskip("skimage.metrics")
    noisy, clean = pair(noise=noise)
    assert psnr(noisy, clean) == pytest.approx(metrics.peak_signal_noise_ratio(clean, noisy), abs=1e-9)
    expected = metrics.structural_similarity(
        clean,
        noisy,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    assert ssim(noisy, clean) == pytest.approx(expected, abs=1e-9)


def test_known_values():
    clean = np.full((16, 16, 3), 100, np.uint8)
    assert psnr(clean, clean) == float("inf") and ssim(clean, clean) == pytest.approx(1)
    assert psnr(clean + 10, clean) == pytest.approx(20 * np.log10(25.5))


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (10, 10)])
def test_pictures_smaller_than_the_window(size):
    noisy, clean = pair((*size, 3))
    assert np.isfinite(ssim(noisy, clean)) and ssim(clean, clean) == pytest.approx(1)


def test_different_sizes_are_refused():
    noisy, clean = pair()
    with pytest.raises(ValueError, match="one size"):
        psnr(noisy[:-1], clean)
    with pytest.raises(ValueError, match="float32"):
        ssim(noisy.astype(np.float32), clean)
