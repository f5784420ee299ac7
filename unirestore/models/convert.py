"""Key table between the authors' checkpoints and ours, in both directions.

Source of the authors' names: the state dict of UniRestore (github.com/unirestore/UniRestore, MIT). Keys are
matched by prefix and by whole name parts; tensors are never changed, so converting there and back gives the
same state.
"""

from collections.abc import Mapping
from typing import TypeVar

PARTS: tuple[tuple[str, str], ...] = (
    ("cfrm.", "model.ae.vae.encoder.fr_blocks."),
    ("tfa.", "model.ae.vae.decoder.task_editors."),
    ("prompts.", "model.ae.vae.decoder.task_prompts."),
    ("vae.", "model.ae.vae."),
    ("prior.controller.", "model.controller."),
    ("prior.sc_tuner.adapters.", "model.base_model.csc_editors."),
    ("prior.unet.", "model.base_model.unet."),
    ("prior.null_text", "model.base_model.null_embeds"),
)
"""Prefixes, ours and theirs; the first that fits counts."""

NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "cfrm.": (
        (".intra_group_attention.", ".intra_group_attn.1."),
        (".inter_group_attention.", ".inter_group_attn.1."),
        (".conv_out.", ".pwconv."),
    ),
    "tfa.": (
        (".skip_in.", ".t_gate1."),
        (".skip_out.", ".t_gate2."),
        (".filter_gate.conv1.", ".filter_gate.1."),
        (".filter_gate.conv2.", ".filter_gate.3."),
        (".info_gate.conv1.", ".info_gate.1."),
        (".info_gate.conv2.", ".info_gate.3."),
        (".content_gate.conv1.", ".content_trans.1."),
        (".content_gate.conv2.", ".content_trans.3."),
        (".out_gate.", ".out_gate.0."),
        (".next_prompt.", ".prompt_trans.0."),
    ),
    "prior.controller.": ((".mid_block.", ".middle_block."), (".out_blocks.", ".fea_tran.")),
    "prior.sc_tuner.adapters.": ((".conv1.", ".tuner.0."), (".conv2.", ".tuner.2.")),
}
"""Names inside a part, ours and theirs, by our prefix."""

Value = TypeVar("Value")


def rename(key: str, to_authors: bool) -> str:
    """One key, ours to theirs or back. Raises KeyError where no prefix of the table fits."""
    source, target = (0, 1) if to_authors else (1, 0)
    for part in PARTS:
        if key.startswith(part[source]):
            rest = "." + key.removeprefix(part[source])  # the dot lets whole names match at the start as well
            for name in NAMES.get(part[0], ()):
                rest = rest.replace(name[source], name[target])
            return part[target] + rest[1:]
    raise KeyError(f"{key!r} belongs to no part that {'the authors have' if to_authors else 'we know'}")


def from_authors(state: Mapping[str, Value]) -> dict[str, Value]:
    """A state dict in the authors' keys -> ours. Raises KeyError for a foreign key."""
    return {rename(key, to_authors=False): value for key, value in state.items()}


def to_authors(state: Mapping[str, Value]) -> dict[str, Value]:
    """Our state dict -> the authors' keys. Raises KeyError for a key that they lack (candidate fusion)."""
    return {rename(key, to_authors=True): value for key, value in state.items()}
