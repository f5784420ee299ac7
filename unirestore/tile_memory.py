"""Which tile the memory there is allows: an account of what `tiling.restore_tiled` holds at its peak.

OUR ADDITION. Everything large is a multiple of a layer's width, so the account is made of the config and holds for
every preset. The multiples were measured on a CPU in float32 at the widths of `sd_turbo`, as the resident high-water
of a fresh process (`benchmarks/tiling.py --memory`), and rounded up:

    decoder's last blocks    5.5 tensors of the second width at the tile's pixels (5.0 to 5.3 measured)
    prior                    70 tensors of the UNet's first width at the wide tile's latents (66)
    rest of the encoder      16 tensors of the third width there (15)

Half precision is counted as half of that. Weights are not counted: they are there already. The transformed filters of
the accelerated network count as what they are: all of them where they are kept, else the largest. Apache-2.0.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from .models.sizes import round_up
from .models.unirestore import LATENT_STRIDE, UniRestore
from .models.winograd import SMALLEST, SMALLEST_ANEW, Filters

SHARE = 0.8
"""Of the free memory that a photo may take; the rest is for what the system does meanwhile."""
WIDE = 96
"""Latents along the side of a wide tile, at least; see `tiling.py`."""
FIRST, STEP, LAST = 256, 64, 1024
"""Tiles that are tried, in pixels as the network sees them."""
LARGE = 4 * 2**20
"""Bytes of a block of memory from which it is handed back as soon as it is free, see `hand_back`."""
_M_MMAP_THRESHOLD = -3  # malloc.h


def choose_tile(model: UniRestore, height: int, width: int, memory: float | None = None) -> int | None:
    """The largest tile, in pixels, with which a photo fits into `memory`; None: it fits whole.

    Args:
        memory: bytes beside the weights; None: four fifths of what is free on the model's device, transformed filters
            that are there let go.

    Returns:
        A multiple of 64 times `working_scale`; the smallest, 256 times that, also where even that does not fit.
    """
    memory = _memory_there(model) if memory is None else memory
    if memory_needed(model, height, width, None) <= memory:
        return None
    scale = model._scale(None)
    for tile in range(LAST, FIRST, -STEP):
        if memory_needed(model, height, width, scale * tile) <= memory:
            return scale * tile
    return scale * FIRST


def keeps_filters(model: UniRestore, height: int, width: int, memory: float | None = None) -> bool:
    """Whether a photo fits whole into `memory`, as for `choose_tile`, together with all transformed filters that it
    needs, so that the next photo of its size finds them made."""
    memory = _memory_there(model) if memory is None else memory
    return memory_needed(model, height, width, None, kept=True) <= memory


def memory_needed(model: UniRestore, height: int, width: int, tile: int | None, *, kept: bool = False) -> int:
    """Bytes beside the weights at the peak of restoring one photo, in tiles or (None) whole.

    Args:
        kept: the accelerated network keeps its transformed filters, see `models.winograd.filters_kept`; else it makes
            them for each use. No matter for other networks.
    """
    config, scale = model.config, model._scale(None)
    bytes_each = torch.finfo(model.dtype).bits // 8
    first, second, third, last = config.block_out_channels
    size = [round_up(-(-length // scale), model.size_multiple) for length in (height, width)]
    area = size[0] * size[1]
    latents = area // LATENT_STRIDE**2
    if tile is None:
        tile_area, wide_area = area, latents
    else:
        sides = [min(tile // scale, length) for length in size]
        wide = max(tile // scale // LATENT_STRIDE, WIDE)
        tile_area = sides[0] * sides[1]
        wide_area = min(wide, size[0] // LATENT_STRIDE) * min(wide, size[1] // LATENT_STRIDE)

    skips = area * (first / 4 + second / 16 + third / 64)  # elements
    photo = (
        2 * 3 * area + 3 * height * width + latents * last
    )  # photo, padded; the picture; the decoder's start
    working = 5.5 * tile_area * (second if config.patch_size == 1 else max(third, 4 * first) / 4)
    low = wide_area * max(16 * third, 70 * _prior_width(model))
    strips = 0.0  # float32, two bytes more in half precision: of the row of tiles at work
    if tile is not None:
        strips = 1.5 * skips * sides[0] / size[0] * 4 / bytes_each
    if model.fusion is not None:
        known = len(config.candidates)
        photo += 3 * height * width * (2 * known + 1) + 3 * area * (known + 1)
        working += tile_area * scale**2 * (3 * 2 * (known + 2) + 2 * (known + 7) + 15)
    sizes = [
        filters.size()
        for filters, level in _filters(model)
        if wide_area >> 2 * level >= (SMALLEST if kept else SMALLEST_ANEW)
    ]
    filters = sum(sizes) if kept else max(sizes, default=0)
    return int(bytes_each * (skips + photo + max(working, low, working / 2 + strips)) + filters)


def _prior_width(model: UniRestore) -> int:
    return (model.config.prior_config or {}).get("channels", (320,))[0] if model.config.prior == "unet" else 0


def _filters(model: UniRestore) -> Iterator[tuple[Filters, int]]:
    """The network's transformed filters, and how often their features are halved from the latent's size on."""
    for name, module in model.named_modules():
        if isinstance(module, Filters):
            yield module, _level(model, name)


def _level(model: UniRestore, name: str) -> int:
    """Of a module of the prior; 0 for all that is not below the latent's size."""
    path = name.split(".")  # as prior.unet.down_blocks.2.resnets.0.filters1
    if path[0] != "prior" or model.config.prior != "unet":
        return 0
    last = len(model.get_submodule(".".join(path[:2])).down_blocks) - 1
    if path[2] == "mid_block":
        return last
    return last - int(path[3]) if path[2] == "up_blocks" else int(path[3])


def _memory_there(model: nn.Module) -> float:
    """What a photo may take: a share of what is free once transformed filters are let go."""
    held = sum(
        module.size()
        for module in model.modules()
        if isinstance(module, Filters) and module.transformed is not None
    )
    return SHARE * (free_memory(model.device) + held)


def hand_back() -> None:
    """Gives the system what this process has freed and kept for later; from then on each large block as soon as it is
    freed.

    The C library of Linux would keep blocks of up to 32 MiB, with gaps between them that grow to 700 MiB at `sd_turbo`.
    Elsewhere nothing happens.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, LARGE)
        library.malloc_trim(0)


def free_memory(device: torch.device) -> float:
    """Bytes that are free on a device; of the machine and of the container it runs in, whichever is less."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    free = [_free_by_kernel()]
    group = Path("/sys/fs/cgroup")
    limit, used = _number(group / "memory.max", 0), _number(group / "memory.current", 0)
    if limit is not None and used is not None:
        free.append(limit - used + (_number(group / "memory.stat", "inactive_file") or 0))  # files let go
    return max(min((value for value in free if value is not None), default=4 * 2**30), 0)


def _free_by_kernel() -> float | None:
    kilobytes = _number(Path("/proc/meminfo"), "MemAvailable:")
    if kilobytes is not None:
        return 1024 * kilobytes
    if "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _number(file: Path, name: str | int) -> int | None:
    """The number behind `name` in a file of the kernel, the only one there (0); None: absent, or no limit."""
    try:
        words = file.read_text().split()
        return int(words[0] if name == 0 else words[words.index(name) + 1])
    except (OSError, ValueError, IndexError):
        return None
