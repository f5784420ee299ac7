"""The EXIF tags of a photo file as bytes: orientation read and set to upright, everything else left where it is.

Pillow writes tags anew when it takes the orientation out, and what camera makers note in their own layout, by absolute
offsets, cannot be read after that. Here two fields are changed in place (Exif 3.0, sections 4.5 and 4.6.5.1.F): the
orientation becomes 1, and the pointer to the preview becomes 0, because a preview would still show the photo as it
was. Apache-2.0.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import Image

ORIENTATION = 0x0112
PREFIX = b"Exif\0\0"
SUB_FOLDERS = (0x8769, 0x8825)
"""Tags that point to tables of their own: EXIF and GPS."""
OF_THE_PIXELS = frozenset(
    # TIFF 6.0: size, type, compression, strips, tiles, colour map and samples of the pixels in this very file
    (*range(254, 267), 273, ORIENTATION, *range(277, 282), 284, *range(290, 294), 301, *range(317, 326))
) | {330, *range(332, 348), *range(512, 533), 700, 34377, 34675, 37724}
"""Tags of a TIFF that are no words about the photo, or that are kept elsewhere (XMP 700, ICC profile 34675)."""
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:=["']|>))[2-8](["'<])""")


def read_tags(image: Image.Image) -> tuple[int, bytes | None]:
    """Orientation (1 to 8) of an opened, not yet loaded file, and its tags as EXIF bytes that say 1; None for none.

    Tags that cannot be read count as none.
    """
    stored = image.info.get("exif") or _from_text(image.info.get("Raw profile type exif"))
    try:
        if stored:
            return upright(stored.removeprefix(PREFIX))
        tags = image.getexif()
        orientation = tags.get(ORIENTATION, 1)
        return orientation if orientation in range(1, 9) else 1, _written(tags)
    # an unreadable table may end in any of these
    except (SyntaxError, ValueError, TypeError, KeyError, AttributeError, IndexError, OSError, struct.error):
        return 1, None


def upright(tags: bytes) -> tuple[int, bytes]:
    """Orientation of EXIF bytes (without `PREFIX`), and the same bytes that say 1 and have no preview.

    Raises ValueError or struct.error where they are no such table.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tags[:4])
    if order is None:
        raise ValueError("EXIF tags begin with neither II nor MM")
    changed, orientation = bytearray(tags), 1
    (start,) = struct.unpack_from(f"{order}I", tags, 4)
    (count,) = struct.unpack_from(f"{order}H", tags, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", tags, place)
        if tag == ORIENTATION and kind == 3 and values == 1:
            (found,) = struct.unpack_from(f"{order}H", tags, place + 8)
            orientation = found if found in range(1, 9) else 1
            struct.pack_into(f"{order}H", changed, place + 8, 1)
    if start + 6 + 12 * count <= len(tags):
        struct.pack_into(f"{order}I", changed, start + 2 + 12 * count, 0)
    return orientation, bytes(changed)


def tables(tags: bytes) -> dict[int, Any]:
    """EXIF bytes -> tag -> value for a TIFF, the tables of `SUB_FOLDERS` as dicts; nothing of the pixels."""
    exif = Image.Exif()
    exif.load(PREFIX + tags.removeprefix(PREFIX))
    found = {tag: value for tag, value in exif.items() if tag not in OF_THE_PIXELS and tag not in SUB_FOLDERS}
    return found | {tag: dict(exif.get_ifd(tag)) for tag in SUB_FOLDERS if tag in exif}


def upright_xmp(packet: bytes | str | None) -> bytes | None:
    """An XMP packet whose orientation, where it says one, is 1; None for none."""
    packet = packet.encode() if isinstance(packet, str) else packet
    return _XMP_ORIENTATION.sub(rb"\g<1>1\2", packet) if packet else None


def _written(tags: Image.Exif) -> bytes | None:
    """The words about the photo among the tags of a TIFF, as EXIF bytes."""
    kept = Image.Exif()
    for tag, value in tags.items():
        if tag in SUB_FOLDERS:
            kept.get_ifd(tag).update(tags.get_ifd(tag))
            kept[tag] = 0  # the place is filled in by `tobytes`
        elif tag not in OF_THE_PIXELS:
            kept[tag] = value
    return kept.tobytes().removeprefix(PREFIX) if len(kept) else None


def _from_text(profile: str | None) -> bytes | None:
    """EXIF bytes that ImageMagick has put into a PNG as text: a name, a length, hexadecimal digits."""
    if not profile:
        return None
    try:
        return bytes.fromhex("".join(profile.split("\n")[3:]))
    except ValueError:
        return None
