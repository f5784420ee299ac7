"""The key table works both ways, and covers what the authors' stages save."""

import pytest
import torch

from unirestore.models import UniRestore
from unirestore.models.convert import from_authors, rename, to_authors

STAGE_KEYS = {  # the authors' key, ours
    "model.ae.vae.encoder.fr_blocks.2.8.sca.1.weight": "cfrm.2.8.sca.1.weight",
    "model.ae.vae.encoder.fr_blocks.0.1.intra_group_attn.1.bias": "cfrm.0.1.intra_group_attention.bias",
    "model.ae.vae.encoder.fr_blocks.2.9.pwconv.weight": "cfrm.2.9.conv_out.weight",
    "model.ae.vae.encoder.mid_block.resnets.0.norm1.bias": "vae.encoder.mid_block.resnets.0.norm1.bias",
    "model.ae.vae.decoder.task_editors.1.content_trans.3.weight": "tfa.1.content_gate.conv2.weight",
    "model.ae.vae.decoder.task_editors.0.prompt_trans.0.bias": "tfa.0.next_prompt.bias",
    "model.ae.vae.decoder.task_prompts.seg": "prompts.seg",
    "model.controller.middle_block.resnets.0.conv1.bias": "prior.controller.mid_block.resnets.0.conv1.bias",
    "model.controller.fea_tran.3.conv_shortcut.bias": "prior.controller.out_blocks.3.conv_shortcut.bias",
    "model.base_model.csc_editors.11.tuner.2.weight": "prior.sc_tuner.adapters.11.conv2.weight",
    "model.base_model.null_embeds": "prior.null_text",
    "model.base_model.unet.conv_in.weight": "prior.unet.conv_in.weight",
}


def test_known_keys_both_ways():
    assert list(from_authors(STAGE_KEYS)) == list(STAGE_KEYS.values())
    assert list(to_authors(dict.fromkeys(STAGE_KEYS.values()))) == list(STAGE_KEYS)


def test_every_key_of_sd_turbo_goes_there_and_back():
    with torch.device("meta"):
        state = UniRestore.build("sd_turbo").state_dict()
    theirs = to_authors(state)
    assert len(theirs) == len(state) == 1591
    assert list(from_authors(theirs)) == list(state)


def test_foreign_keys_are_named():
    with pytest.raises(KeyError, match="optimizer"):
        rename("optimizer.step", to_authors=False)
    with pytest.raises(KeyError, match="fusion"):
        to_authors({"fusion.norm.weight": None})
