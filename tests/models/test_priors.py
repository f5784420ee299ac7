"""The schedule and the sampler against diffusers' DDIM, the UNet loop against its UNet, the steering."""

import pytest
import torch
from diffusers import DDIMScheduler

from unirestore.models.controller import Controller
from unirestore.models.priors import NoPrior, Prior, UNetPrior, alphas_cumprod
from unirestore.models.sc_tuner import SCTuner

SMALL = {"channels": (8, 16), "layers": 1, "groups": 4, "text_channels": None}
STEER = {
    "channels": (8, 8),
    "attention": (True, False),
    "heads": 2,
    "layers": 1,
    "groups": 4,
    "out_channels": 8,
}


def sd_scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
    )


class Halving(Prior):
    """A prior with a known answer, to watch the sampler alone."""

    def predict_noise(self, noisy, timestep, condition=None):
        return 0.5 * noisy + 0.001 * timestep * condition


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_sampler_equals_diffusers_ddim(steps):
    latent, noise = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 3, 5)
    scheduler = sd_scheduler()
    scheduler.set_timesteps(steps)
    prior = Halving()
    z = scheduler.add_noise(latent, noise, torch.tensor([999, 999]))
    for t in scheduler.timesteps:
        z = scheduler.step(prior.predict_noise(z, t, latent), t, z).prev_sample
    torch.testing.assert_close(prior.restore(latent, noise, steps), z, rtol=1e-4, atol=1e-4)


def test_schedule_values():
    torch.testing.assert_close(alphas_cumprod(), sd_scheduler().alphas_cumprod)
    assert float(alphas_cumprod()[999]) == pytest.approx(0.0046601, rel=1e-3)  # SD's published terminal value


def test_noise_there_and_back_for_one_timestep_per_image():
    z, noise, t = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2), torch.tensor([0, 249, 999])
    prior = Halving()
    noisy = prior.add_noise(z, noise, t)
    torch.testing.assert_close(noisy[1:2], prior.add_noise(z[1:2], noise[1:2], 249))
    torch.testing.assert_close(prior.predict_clean(noisy, noise, t), z, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [0, 5, 1.5])
def test_steps_outside_one_to_four_are_refused(steps):
    with pytest.raises(ValueError, match="1 to 4"):
        Halving().restore(torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1), steps)


@pytest.mark.parametrize("text", [None, 12])
def test_bare_unet_equals_diffusers_forward(text):
    prior = UNetPrior(
        **{**SMALL, "text_channels": text}, text_tokens=5, heads=(2, 2), controller=STEER
    ).eval()
    if text:
        prior.null_text.normal_()
    z, t = torch.randn(2, 4, 4, 6), torch.tensor([7, 900])
    with torch.no_grad():
        condition = None if text is None else prior.null_text.expand(2, -1, -1)
        wanted = prior.unet(z, t, encoder_hidden_states=condition).sample
        torch.testing.assert_close(prior.predict_noise(z, t), wanted)


def test_condition_steers_the_unet():
    prior = UNetPrior(**SMALL, controller=STEER).eval()
    z = torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        first, second = (prior.predict_noise(z, 999, condition) for condition in (z, z + 1))
    assert (first - second).abs().max() > 1e-5
    assert prior.size_multiple == 2


def test_sc_tuner_channels_and_levels_follow_the_unets_skips():
    with torch.device("meta"):
        prior = UNetPrior()
    widths = [adapter.proj.out_channels for adapter in prior.sc_tuner.adapters]
    assert widths == [320] * 4 + [640] * 3 + [1280] * 5
    assert prior.sc_tuner.levels == (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)
    assert sum(p.numel() for p in prior.sc_tuner.parameters()) == 22_147_200
    assert sum(p.numel() for p in prior.controller.parameters()) == 52_494_080


def test_sc_tuner_value():
    tuner = SCTuner((4,), (1,), 3)
    skip, controls = torch.randn(1, 4, 2, 2), [torch.zeros(1, 3, 4, 4), torch.randn(1, 3, 2, 2)]
    adapter = tuner.adapters[0]
    x = skip + adapter.proj(controls[1])
    wanted = x + adapter.conv2(torch.nn.functional.gelu(adapter.conv1(x)))
    torch.testing.assert_close(tuner([skip], controls)[0], wanted)
    with pytest.raises(ValueError, match="2 skip widths and 1 levels"):
        SCTuner((4, 4), (0,), 3)


def test_controller_levels_and_silent_start():
    controller = Controller(**STEER)
    for module in controller.modules():
        if hasattr(module, "conv2"):
            assert not module.conv2.weight.any()
        if hasattr(module, "to_out"):
            assert not module.to_out[0].weight.any()
    out = controller(torch.randn(2, 4, 8, 6), torch.tensor([3, 999]))
    assert [tuple(x.shape) for x in out] == [(2, 8, 8, 6), (2, 8, 4, 3)]


def test_mismatches_are_refused():
    with pytest.raises(ValueError, match="2 widths and 1 attention"):
        Controller(channels=(8, 8), attention=(False,))
    with pytest.raises(ValueError, match="last level has no attention"):
        Controller(channels=(8, 8), attention=(False, True))
    with pytest.raises(ValueError, match="Controller has 2 levels and the UNet 3"):
        UNetPrior(**{**SMALL, "channels": (8, 8, 8)}, controller=STEER)


def test_no_prior_passes_the_latent():
    z = torch.randn(1, 4, 3, 3)
    assert NoPrior().restore(z, torch.randn_like(z)) is z
    with pytest.raises(RuntimeError, match='prior="none"'):
        NoPrior().predict_noise(z, 999)
    with pytest.raises(NotImplementedError):
        Prior().predict_noise(z, 999)
