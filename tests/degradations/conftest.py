"""Real photos that the tests of degradations share."""

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def kodak(shared):
    """Six Kodak photos at a third of their size, cut to at most 192 pixels a side, uint8 RGB; skips without them."""
    folder = shared / "data" / "kodak24"
    photos = [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))[:6]]
    if not photos:
        pytest.skip(f"no Kodak photos at {folder}")
    small = [cv2.resize(p, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA) for p in photos]
    return [np.ascontiguousarray(p[:192, :192, ::-1]) for p in small]
