"""NAFBlock, CFRM and TFA: values against the written-out equations, sizes against the paper's counts."""

import pytest
import torch
import torch.nn.functional as F

from unirestore.models.cfrm import CFRM, GroupAttention
from unirestore.models.nafblock import LayerNorm2d, NAFBlock
from unirestore.models.tfa import TaskFeatureAdapter, border_sums, instance_norm, mean_from_sums


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def stir(module: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return module


def test_layer_norm_normalises_the_channels_of_each_pixel():
    x = torch.randn(2, 6, 5, 4) * 3 + 1
    norm = stir(LayerNorm2d(6))
    mean = x.mean(1, keepdim=True)
    wanted = (x - mean) / (((x - mean) ** 2).mean(1, keepdim=True) + 1e-6).sqrt()
    wanted = wanted * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), wanted, rtol=1e-5, atol=1e-5)


def test_naf_block_starts_as_the_identity_and_learns_from_the_first_step():
    block = NAFBlock(6)
    x = torch.randn(2, 6, 5, 4)
    assert torch.equal(block(x), x)
    block(x).square().mean().backward()
    assert block.beta.grad.abs().sum() > 0 and block.gamma.grad.abs().sum() > 0


def test_naf_block_value():
    block = stir(NAFBlock(4))
    x = torch.randn(1, 4, 6, 7)
    y = block.conv2(block.conv1(block.norm1(x)))
    y = y[:, :4] * y[:, 4:]
    y = block.conv3(y * block.sca[1](y.mean((2, 3), keepdim=True)))
    x1 = x + y * block.beta
    z = block.conv4(block.norm2(x1))
    wanted = x1 + block.conv5(z[:, :4] * z[:, 4:]) * block.gamma
    torch.testing.assert_close(block(x), wanted)


def test_group_attention_follows_the_steps_of_the_paper():
    """The pooled form in the code (one multiplication of the big tensor) equals the two of the paper."""
    block = stir(GroupAttention(8, groups=4))
    x = torch.randn(2, 8, 6, 5)
    y = F.gelu(block.group_conv(block.group_norm(block.conv_in(x))))
    y = y * block.intra_group_attention(y.mean((2, 3), keepdim=True))
    scalars = block.inter_group_attention(y.mean((2, 3), keepdim=True))  # (B, 4, 1, 1)
    y = (y.unflatten(1, (4, 8)) * scalars[:, :, None]).flatten(1, 2)
    wanted = block.nafblock(x + block.conv_out(y))
    torch.testing.assert_close(block(x), wanted, rtol=1e-5, atol=1e-5)


def test_cfrm_has_the_papers_parameter_counts():
    with torch.device("meta"):
        levels = CFRM((128, 256, 512), (1, 1, 9), 16)
    assert [count(level) for level in levels] == [543_632, 2_135_824, 23_281_168]


def test_cfrm_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="3 widths and 2 depths"):
        CFRM((8, 8, 8), (1, 1), 4)
    with pytest.raises(ValueError, match="4 x 6 channels do not divide into 16 groups"):
        CFRM((6,), (1,), 16)


def test_tfa_has_the_papers_parameter_counts():
    with torch.device("meta"):
        modules = [
            TaskFeatureAdapter(512, width, following)
            for width, following in ((512, 256), (256, 128), (128, None))
        ]
    assert [count(module) for module in modules] == [15_602_944, 4_164_480, 1_263_232]


def test_tfa_value_with_two_prompt_tokens():
    adapter = stir(TaskFeatureAdapter(6, 4, 3, prompt_length=2))
    x, skip, prompt = torch.randn(2, 6, 5, 7), torch.randn(2, 4, 5, 7), torch.randn(2, 2, 4)

    def pooled(gate):
        y = gate.conv2(F.gelu(gate.conv1(F.instance_norm(skip))))
        return y.mean((2, 3)).reshape(2, 2, 4)

    f, i = pooled(adapter.filter_gate).softmax(-1), pooled(adapter.info_gate).softmax(-1)
    c = f * prompt + i * pooled(adapter.content_gate).tanh()
    o = adapter.out_gate(c.reshape(2, 8)).tanh()[:, :, None, None]
    s = skip + adapter.skip_out(o * adapter.skip_in(skip))
    wanted = x + adapter.conv_out(torch.cat((x, s), 1))
    out, following = adapter(x, skip, prompt)
    torch.testing.assert_close(out, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(following, F.gelu(adapter.next_prompt(c)), rtol=1e-4, atol=1e-5)
    assert following.shape == (2, 2, 3)


def test_last_tfa_gives_no_prompt_and_a_prompt_changes_the_result():
    adapter = stir(TaskFeatureAdapter(6, 4))
    x, skip = torch.randn(1, 6, 4, 4), torch.randn(1, 4, 4, 4)
    first, following = adapter(x, skip, torch.zeros(1, 1, 4))
    second, _ = adapter(x, skip, torch.full((1, 1, 4), 5.0))
    assert following is None
    assert (first - second).abs().max() > 1e-3
    with pytest.raises(ValueError, match="at least 1, got 0"):
        TaskFeatureAdapter(6, 4, prompt_length=0)


def test_instance_norm_takes_a_single_pixel():
    assert torch.equal(instance_norm(torch.full((1, 3, 1, 1), 7.0)), torch.zeros(1, 3, 1, 1))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (7, 4)])
def test_mean_of_a_convolution_equals_convolving_and_averaging(size):
    conv = torch.nn.Conv2d(3, 5, 3, padding=1)
    x = torch.randn(2, 3, *size)
    found = mean_from_sums(border_sums(x), x.shape[2] * x.shape[3], conv)
    torch.testing.assert_close(found, conv(x).mean((2, 3)), rtol=1e-4, atol=1e-5)
