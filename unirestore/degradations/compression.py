"""Compression by the codecs of the web and of video, with the resizing and re-saving that go with it.

`JpegCompression` in `camera.py` is one plain JPEG. `Compression` adds WebP, AV1 (as AVIF, that is as a still) and the
frame of a video (H.264, VP9, MPEG-4), shrinking before and enlarging after, and several generations whose
block grids do not coincide. Which codecs exist depends on the installation (`available_codecs`), and so does what
`sample` draws; a draw names its codec, and the same bits on two machines need the same codec library on both.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import ClassVar

import cv2
import numpy as np

from .base import DEFAULT_SEVERITY, SEVERITIES, Degradation, Scene, require

STILL = ("jpeg", "webp", "avif")
VIDEO = {  # name -> (encoders to try, constant rate factor at quality 0, further options)
    "h264": (("libx264",), 51, {"preset": "veryfast"}),
    "vp9": (("libvpx-vp9",), 63, {"deadline": "realtime", "cpu-used": "6", "b:v": "0"}),
    "mpeg4": (("mpeg4",), 31, {}),
}
# No HEVC: x265 as PyAV ships it (18.1) aborts the process when an encoder is closed.
CODECS = (*STILL, *VIDEO)
STAND_INS = ("jpeg", "webp")  # of every OpenCV; drawn for a codec that is not installed
CLIP = 3  # frames; the last one is predicted from those before, as most frames of a film are
CHROMA = {"420": 0x221111, "422": 0x211111, "444": 0x111111}  # OpenCV's JPEG sampling factors


@cache
def _missing(codec: str) -> str:
    """What is missing for `codec`, in words with the remedy; "" where nothing is."""
    if codec == "avif":
        if cv2.haveImageWriter("a.avif") or _pillow_avif():
            return ""
        return "neither this OpenCV nor this Pillow writes AVIF; install pillow>=11.3"
    if codec in VIDEO:
        if importlib.util.find_spec("av") is None:
            return "PyAV is not installed; `pip install av`"
        if _encoder(codec) is None:
            return f"this PyAV has none of the encoders {VIDEO[codec][0]}; install the wheel from PyPI"
    elif not cv2.haveImageWriter(f"a.{codec}"):
        return f"this OpenCV does not write {codec}; install opencv-python-headless"
    return ""


def available_codecs() -> tuple[str, ...]:
    """Those of `CODECS` that this installation can run."""
    return tuple(codec for codec in CODECS if not _missing(codec))


def _pillow_avif() -> bool:
    from PIL import features

    return "avif" in features.modules and bool(features.check("avif"))


@cache
def _encoder(codec: str) -> str | None:
    import av

    for name in VIDEO[codec][0]:
        if name in av.codecs_available:
            try:
                av.codec.Codec(name, "w")
            except Exception:
                continue
            return name
    return None


def coded(image: np.ndarray, codec: str, quality: int, chroma: str = "420") -> np.ndarray:
    """(H, W, 3) uint8 RGB written with `codec` at `quality` (1 to 100) and read back.

    Raises RuntimeError that names what is missing when this installation has no such codec.
    """
    if _missing(codec):
        raise RuntimeError(f"codec {codec!r} is not available: {_missing(codec)}")
    if codec in VIDEO:
        return _last_frame(image, codec, quality)
    if codec == "avif" and not cv2.haveImageWriter("a.avif"):
        return _pillow_round_trip(image, quality)
    options = {
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, CHROMA[chroma]],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        "avif": [getattr(cv2, "IMWRITE_AVIF_QUALITY", 0), quality, getattr(cv2, "IMWRITE_AVIF_SPEED", 0), 9],
    }[codec]
    suffix = ".jpg" if codec == "jpeg" else f".{codec}"
    written, code = cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]), options)
    if not written:
        raise RuntimeError(f"OpenCV could not write {codec} of shape {image.shape}")
    return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])


def _pillow_round_trip(image: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "AVIF", quality=quality, speed=9, max_threads=1)
    stream.seek(0)
    return np.asarray(Image.open(stream).convert("RGB"))


def _last_frame(image: np.ndarray, codec: str, quality: int) -> np.ndarray:
    """The last frame of a clip of `CLIP` frames in which the photo drifts by a pixel a frame."""
    import av

    height, width = image.shape[:2]
    down, right = -height % 16 + (16 if height <= 16 else 0), -width % 16 + (16 if width <= 16 else 0)
    _, zero, options = VIDEO[codec]
    rate = str(max(1, round(zero * (1 - quality / 100))))
    context = av.CodecContext.create(_encoder(codec), "w")
    context.width, context.height, context.pix_fmt = width + right, height + down, "yuv420p"
    context.framerate, context.time_base = 25, Fraction(1, 25)
    context.thread_count, context.gop_size, context.max_b_frames = 1, CLIP, 0
    if codec == "mpeg4":  # has no rate factor, but fixed quantisers of 1 to 31
        context.flags |= av.codec.context.Flags.qscale
        context.global_quality = int(rate) * 118  # FF_QP2LAMBDA
        context.options = {"qmin": rate, "qmax": rate}
    else:
        context.options = {"crf": rate, **options}
    packets = []
    for number in range(CLIP):
        moved = np.roll(image, CLIP - 1 - number, axis=1)  # the last frame is the photo itself
        moved = cv2.copyMakeBorder(moved, 0, down, 0, right, cv2.BORDER_REPLICATE)
        frame = av.VideoFrame.from_ndarray(moved, format="rgb24")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    decoder = av.CodecContext.create({"vp9": "vp9"}.get(codec, codec), "r")
    decoder.thread_count = 1
    if context.extradata:
        decoder.extradata = context.extradata
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return np.ascontiguousarray(frames[-1].to_ndarray(format="rgb24")[:height, :width])


@dataclass(frozen=True, kw_only=True)
class Compression(Degradation):
    """Writes the photo with a codec of the web or of video and reads it back, once or several times.

    Formula: B = enlarge(D(E(shrink(I)))), E and D the codec's coder and decoder, repeated `passes` times with
    the block grid moved in between.
    Source: JPEG (ITU-T T.81), WebP (RFC 6386 / libwebp), AVIF (AV1), H.264 (ITU-T H.264) and others by their
    libraries; resize and re-save as the web-style degradation of RealRestorer (scale .5 to .9, quality 60 to
    95, one in five 40 to 60) and of Wang et al., "Real-ESRGAN", ICCVW 2021.

    Args:
        codec: one of `CODECS`: "jpeg", "webp", "avif", "h264", "vp9", "mpeg4".
        quality: 1 to 100 on the codec's own scale; for video, 1 - (constant rate factor / largest), in percent.
        scale: of the picture that is written, above 0 and up to 1.
        passes: how often it is written.
        chroma: colour resolution of JPEG: "420", "422" or "444".
    """

    codec: str = "jpeg"
    quality: int | None = None
    scale: float = 1.0
    passes: int = 1
    chroma: str = "420"

    QUALITIES: ClassVar[dict[str, tuple[int, ...]]] = {  # at severity 1 to 5
        "jpeg": (80, 60, 40, 25, 12),
        "webp": (80, 55, 28, 10, 1),
        "avif": (60, 45, 33, 22, 12),
        "h264": (55, 44, 34, 25, 14),
        "vp9": (52, 42, 32, 22, 10),
        "mpeg4": (90, 80, 68, 50, 15),
    }

    def __post_init__(self) -> None:
        # The presets depend on the codec; the base class then finds the quality filled in.
        if self.quality is None and self.codec in self.QUALITIES and self.severity in (None, *SEVERITIES):
            level = (self.severity or DEFAULT_SEVERITY) - 1
            object.__setattr__(self, "quality", self.QUALITIES[self.codec][level])
        super().__post_init__()

    def check(self) -> None:
        require(self.codec in CODECS, f"codec must be one of {CODECS}, got {self.codec!r}")
        require(
            isinstance(self.quality, int) and 1 <= self.quality <= 100,
            f"quality must be an integer in 1..100, got {self.quality!r}",
        )
        require(0 < self.scale <= 1, f"scale must lie in (0, 1], got {self.scale}")
        require(
            isinstance(self.passes, int) and 1 <= self.passes <= 10,
            f"passes must be an integer in 1..10, got {self.passes!r}",
        )
        require(self.chroma in CHROMA, f"chroma must be one of {tuple(CHROMA)}, got {self.chroma!r}")

    @classmethod
    def sample(
        cls,
        rng: np.random.Generator,
        severity: int | None = None,
        codecs: Sequence[str] | None = None,
    ) -> Compression:
        """Random concrete parameters; within a few steps of the codec's preset where `severity` is given.

        Args:
            rng: source of randomness.
            severity: 1 to 5, or None for the whole range.
            codecs: what to draw from alike, of `CODECS`, installed or not. None: all of them, one of `STAND_INS` in
                place of a codec that is not installed. So two installations draw alike but for the codecs that
                one of them lacks; a manifest has the codec that was drawn.

        Raises:
            ValueError for codecs that are not known, or none.
        """
        among = CODECS if codecs is None else tuple(codecs)
        unknown = sorted(set(among) - set(CODECS))
        require(bool(among) and not unknown, f"codecs must be of {CODECS}, got {among}")
        codec, stand_in = among[int(rng.random() * len(among))], STAND_INS[int(rng.random() * len(STAND_INS))]
        if codecs is None and _missing(codec):
            codec = stand_in
        steps = cls.QUALITIES[codec]
        if severity is None:
            quality = round(float(np.interp(rng.uniform(0, 4), range(5), steps)))
            scale = float(rng.uniform(0.5, 0.9)) if rng.random() < 0.4 else 1.0
            passes = int(rng.choice([1, 1, 1, 2, 3]))
        else:
            quality = steps[severity - 1] + int(rng.integers(-3, 4))
            scale, passes = 1.0, 1
        return cls(
            severity=severity,
            codec=codec,
            quality=max(1, quality),
            scale=scale,
            passes=passes,
            chroma=str(rng.choice(["420", "420", "420", "444"])),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = image.shape[:2]
        eight = np.clip(np.rint(image * np.float32(255)), 0, 255).astype(np.uint8)
        size = (max(1, round(width * self.scale)), max(1, round(height * self.scale)))
        if size != (width, height):
            eight = cv2.resize(eight, size, interpolation=cv2.INTER_AREA)
        offsets = rng.integers(0, 8, (self.passes, 2))
        for number in range(self.passes):
            top, left = (0, 0) if number == 0 else offsets[number]
            framed = cv2.copyMakeBorder(eight, int(top), 0, int(left), 0, cv2.BORDER_REPLICATE)
            eight = coded(framed, self.codec, self.quality, self.chroma)[top:, left:]
        if size != (width, height):
            eight = cv2.resize(eight, (width, height), interpolation=cv2.INTER_CUBIC)
        return eight.astype(np.float32) * np.float32(1 / 255)
