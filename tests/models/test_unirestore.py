"""The whole network: sizes, determinism, tasks, noise, gradients, guards."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unirestore.classical import CANDIDATES
from unirestore.models import PARAMETER_GROUPS, UniRestore
from unirestore.models.sizes import pad_to, round_up

LENGTHS = st.integers(1, 70)


@pytest.fixture(autouse=True)
def _no_grad(request):
    """Inference unless a test is marked otherwise by its name."""
    with torch.set_grad_enabled("gradient" in request.node.name):
        yield


@settings(max_examples=25, deadline=None)
@given(height=LENGTHS, width=LENGTHS, batch=st.integers(1, 2))
def test_any_size_comes_back_and_equals_the_crop_of_the_padded_picture(plain, height, width, batch):
    images = torch.rand(batch, 3, height, width)
    with torch.no_grad():
        out = plain(images)
        padded = plain(
            pad_to(images, round_up(height, plain.size_multiple), round_up(width, plain.size_multiple))
        )
        features = plain(images, output="features")
    assert out.shape == images.shape and out.isfinite().all()
    torch.testing.assert_close(out, padded[..., :height, :width])
    assert [x.shape[-2:] for x in features] == [(-(-height // s), -(-width // s)) for s in (8, 4, 2)]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 1), (17, 33)])
def test_tiny_takes_small_and_odd_pictures(tiny, size):
    images = torch.rand(1, 3, *size)
    assert tiny(images, "det").shape == images.shape


def test_padding_reflects_and_repeats_where_it_cannot():
    x = torch.arange(3.0).reshape(1, 1, 1, 3)
    assert pad_to(x, 2, 5)[0, 0, 0].tolist() == [0, 1, 2, 1, 0]
    assert pad_to(x, 1, 6)[0, 0, 0].tolist() == [0, 1, 2, 2, 2, 2]
    assert torch.equal(pad_to(x, 2, 3)[0, 0, 0], pad_to(x, 2, 3)[0, 0, 1])


def test_untrained_tiny_is_the_fixed_mix_of_its_candidates():
    model = UniRestore.build("tiny").eval()
    images = torch.randint(0, 256, (2, 3, 40, 56)) / 255
    weights = torch.tensor(model.config.candidate_weights)
    seen = torch.stack(
        [
            images,
            *(
                torch.stack(
                    [
                        torch.from_numpy(CANDIDATES[name](x.permute(1, 2, 0).mul(255).round().byte().numpy()))
                        for x in images
                    ]
                ).permute(0, 3, 1, 2)
                / 255
                for name in model.config.candidates
            ),
        ]
    )
    mix = (weights[:, None, None, None, None] * seen).sum(0) / weights.sum()
    encoding = model.encode(images)
    own = model.decode(model.denoise(encoding.latent), encoding.skips, "ir", size=(40, 56), image_only=True)
    torch.testing.assert_close(model(images), 0.99 * mix + 0.01 * own, rtol=1e-4, atol=1e-4)


def test_given_candidates_replace_the_computed_ones(tiny):
    images = torch.rand(2, 3, 20, 24)
    stack = tiny.stack_candidates(images)
    assert stack.shape == (2, len(tiny.config.candidates), 3, 20, 24)
    assert torch.equal(tiny(images, candidates=stack), tiny(images))
    assert not torch.allclose(tiny(images, candidates=torch.zeros_like(stack)), tiny(images), atol=1e-3)
    with pytest.raises(ValueError, match=r"candidates must be .* got \(2, 1, 3, 20, 24\)"):
        tiny(images, candidates=stack[:, :1])


def test_same_call_same_result_and_an_image_does_not_depend_on_its_batch(tiny):
    images = torch.rand(3, 3, 32, 48)
    first = tiny(images)
    torch.rand(7)  # the global generator plays no part
    assert torch.equal(first, tiny(images))
    torch.testing.assert_close(tiny(images[1:2]), first[1:2], rtol=1e-4, atol=1e-5)


def test_noise_and_generator(plain):
    images = torch.rand(2, 3, 37, 50)  # latent 5 x 7 inside a padded 6 x 8
    noise = torch.randn(2, 4, 5, 7)
    by_noise = plain(images, noise=noise)
    assert torch.equal(by_noise, plain(images, noise=noise))
    assert not torch.allclose(by_noise, plain(images), atol=1e-4)
    assert not torch.allclose(plain(images, noise=0.0), plain(images), atol=1e-4)
    drawn = [plain(images, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.allclose(drawn[0], drawn[2], atol=1e-4)
    latent = plain.encode(images).latent
    assert torch.equal(plain.denoise(latent, noise=torch.zeros(1, 4, 6, 8)), plain.denoise(latent, noise=0))
    for wrong in (torch.zeros(2, 4, 7, 9), torch.zeros(3, 4, 5, 7), torch.zeros(2, 3, 6, 8)):
        with pytest.raises(ValueError, match="does not fit the latent"):
            plain.denoise(latent, noise=wrong)
    with pytest.raises(ValueError, match="not both"):
        plain(images, noise=noise, generator=torch.Generator())


def test_fixed_noise_is_seed_zero_of_the_latent_size(plain):
    latent = plain.encode(torch.rand(2, 3, 32, 32)).latent
    noise = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain.denoise(latent), plain.denoise(latent, noise=noise))


def test_steps_change_the_latent_and_no_prior_keeps_it(plain, make_micro):
    latent = plain.encode(torch.rand(1, 3, 32, 32)).latent
    assert not torch.allclose(plain.denoise(latent), plain.denoise(latent, num_inference_steps=4), atol=1e-3)
    bare = make_micro(prior="none")
    assert bare.size_multiple == 8 and torch.equal(bare.denoise(latent), latent)
    assert bare(torch.rand(1, 3, 9, 1)).shape == (1, 3, 9, 1)


def test_posterior_is_sampled_only_when_asked(make_micro):
    model = make_micro(sample_posterior=True)
    images = torch.rand(1, 3, 32, 32)
    draws = [model.encode(images, generator=torch.Generator().manual_seed(seed)).latent for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    mean, logvar = model.posterior(images, repair=True)
    generator = torch.Generator().manual_seed(0)
    wanted = (
        mean + (0.5 * logvar).exp() * torch.randn(mean.shape, generator=generator)
    ) * model.config.scaling_factor
    torch.testing.assert_close(draws[0], wanted)


def snapshot(model):
    return {
        (name, key): id(value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if not key.startswith("_")
    }


def test_interleaved_calls_equal_straight_ones_and_leave_no_state(tiny):
    images = [torch.rand(1, 3, 32, 48), torch.rand(2, 3, 24, 40)]
    tasks = ("ir", "det")
    straight = [tiny(x, task) for x, task in zip(images, tasks, strict=True)]
    before = snapshot(tiny)
    encodings = [tiny.encode(x) for x in images]
    latents = [tiny.denoise(encodings[k].latent) for k in (1, 0)][::-1]
    for k in (1, 0):
        out = tiny.decode(latents[k], encodings[k].skips, tasks[k], images[k])
        assert torch.equal(out, straight[k])
    assert snapshot(tiny) == before


def test_only_the_prompt_tells_tasks_apart(tiny):
    images = torch.rand(1, 3, 32, 32)
    assert (tiny(images, "ir") - tiny(images, "det")).abs().max() > 1e-6
    kept = tiny.prompts["det"].data.clone()
    tiny.prompts["det"].data.copy_(tiny.prompts["ir"].data)
    assert torch.equal(tiny(images, "ir"), tiny(images, "det"))
    tiny.prompts["det"].data.copy_(kept)


def test_ablations_leave_their_part_out(make_micro):
    images = torch.rand(1, 3, 32, 32)
    no_tfa = make_micro(tfa=False)
    assert not no_tfa.parameter_group("tfa") and not no_tfa.parameter_group("prompts")
    assert torch.equal(no_tfa(images, "ir"), no_tfa(images, "det"))
    with pytest.raises(ValueError, match="tfa=False"):
        no_tfa.add_task("seg")
    no_cfrm = make_micro(cfrm=False)
    assert torch.equal(no_cfrm.encode(images).latent, no_cfrm.encode(images, repair=False).latent)
    assert UniRestore.build("tiny", tfa=False).fusion.film is None


def test_added_task_starts_at_zero_or_as_a_copy(make_micro):
    model = make_micro()
    images = torch.rand(1, 3, 32, 32)
    assert not model.add_task("seg").any() and model.tasks == ("ir", "det", "seg")
    copied = model.add_task("cls", prompt_length=1, copy_from="det")
    assert torch.equal(copied, model.prompts["det"]) and copied.requires_grad
    assert torch.equal(model(images, "cls"), model(images, "det"))
    for name, match in (("det", "exists already"), ("a.b", "plain identifier"), ("keys", "plain identifier")):
        with pytest.raises(ValueError, match=match):
            model.add_task(name)
    with pytest.raises(ValueError, match="length 1, not 2"):
        model.add_task("depth", prompt_length=2)
    with pytest.raises(ValueError, match="unknown task 'nope'; known: ir, det, seg, cls"):
        model.add_task("depth", copy_from="nope")


# the gate has no part in the picture
PAINTING = tuple(group for group in PARAMETER_GROUPS if group != "gate")


def test_gradient_of_the_latent_stops_before_cfrm(make_micro):
    model = make_micro()
    images = torch.rand(1, 3, 32, 32)

    def trained_by(loss):
        model.zero_grad()
        loss.backward()
        return {
            group
            for group in PARAMETER_GROUPS
            if any(p.grad is not None and p.grad.any() for p in model.parameter_group(group).values())
        }

    assert trained_by(model.encode(images).latent.square().sum()) == {"vae"}  # its last block alone
    assert model.vae.encoder.conv_in.weight.grad is None
    assert "cfrm" in trained_by(model.encode(images).skips[2].square().sum())
    assert "cfrm" in trained_by(model.encode(images, detach_latent=False).latent.square().sum())
    trained_by(model.encode(images, repair=False).latent.square().sum())
    assert model.vae.encoder.conv_in.weight.grad.any()
    wanted = set(PAINTING) - {"fusion", "detail"}
    assert trained_by(model(images, "det").square().sum()) == wanted


def test_gradient_reaches_every_part_of_tiny(tiny):
    tiny.zero_grad()
    tiny(torch.rand(1, 3, 32, 32), "det").square().sum().backward()
    for group in PAINTING:
        assert any(p.grad is not None and p.grad.any() for p in tiny.parameter_group(group).values()), group
    assert tiny.prompts["ir"].grad is None
    tiny.zero_grad()


@pytest.mark.parametrize("group", [group for group in PAINTING if group != "prompts"])
def test_gradient_of_one_part_alone_in_channels_last_layout(make_micro, group):
    """torch's GroupNorm ends the process where a channels-last input needs no gradient; we go round that."""
    model = make_micro(candidates=("clahe",), detail_channels=4).to(memory_format=torch.channels_last)
    model.requires_grad_(False)
    for parameter in model.parameter_group(group).values():
        parameter.requires_grad_(True)
    images = torch.rand(1, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    encoding = model.encode(images)
    loss = encoding.latent.square().sum() + model(images, "det").square().sum()
    loss.backward()
    assert any(p.grad.any() for p in model.parameter_group(group).values() if p.grad is not None)


def test_parameter_groups_cover_the_model_once(tiny):
    names = [name for group in PARAMETER_GROUPS for name in tiny.parameter_group(group)]
    assert sorted(names) == sorted(name for name, _ in tiny.named_parameters())
    with pytest.raises(ValueError, match="unknown parameter group 'decoder'; known: vae, prior"):
        tiny.parameter_group("decoder")


@pytest.mark.parametrize(
    ("images", "error", "match"),
    [
        ([[0.0]], TypeError, "torch.Tensor, got list"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), TypeError, "torch.uint8; divide"),
        (torch.zeros(3, 8, 8), ValueError, r"got \(3, 8, 8\)"),
        (torch.zeros(1, 4, 8, 8), ValueError, r"got \(1, 4, 8, 8\)"),
        (torch.zeros(1, 3, 0, 8), ValueError, "a pixel at least"),
        (torch.zeros(0, 3, 8, 8), ValueError, "an image"),
        (torch.full((1, 3, 8, 8), 255.0), ValueError, r"\[255, 255\]; divide 8-bit"),
        (torch.full((1, 3, 8, 8), -2.0), ValueError, "normalisation"),
        (torch.full((1, 3, 8, 8), float("nan")), ValueError, "non-finite"),
        (torch.full((1, 3, 8, 8), float("inf")), ValueError, "non-finite"),
    ],
)
def test_images_that_cannot_be_are_refused(plain, images, error, match):
    with pytest.raises(error, match=match):
        plain(images)


def test_wrong_words_are_refused(plain, tiny):
    images = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="unknown task 'fog'; known: ir, det"):
        plain(images, "fog")
    with pytest.raises(ValueError, match="got 'pyramid'"):
        plain(images, output="pyramid")
    with pytest.raises(ValueError, match="1 to 4, got 9"):
        plain(images, num_inference_steps=9)
    encoding = tiny.encode(images)
    with pytest.raises(ValueError, match="needs images"):
        tiny.decode(encoding.latent, encoding.skips, "ir")
    with pytest.raises(ValueError, match="3 skips and a task"):
        tiny.decode(encoding.latent, None, "ir", image_only=True)


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"prior": "gan"}, "unknown prior 'gan'; known: unet, none"),
        ({"tasks": ()}, "one or more"),
        ({"tasks": ("ir", "ir")}, "different names"),
        ({"tasks": ("a b",)}, "plain identifier"),
        ({"candidate_weights": (1.0, 2.0)}, "candidate_weights needs"),
    ],
)
def test_settings_that_cannot_be_are_refused(overrides, match):
    with pytest.raises(ValueError, match=match):
        UniRestore.build("tiny", **overrides)


def test_unknown_candidate_is_named(make_micro):
    model = make_micro(candidates=("wavelet",))
    with pytest.raises(ValueError, match=r"unknown candidates \['wavelet'\]; known: "):
        model(torch.rand(1, 3, 16, 16))


def test_half_working_size_takes_noise_of_the_photo_s_size_and_gives_full_size_features():
    model = UniRestore.build("tiny", working_scale=2).eval()
    images = torch.rand(1, 3, 65, 90)
    noise = torch.randn(1, 4, 9, 12)  # ceil(H / 8), ceil(W / 8)
    with torch.no_grad():
        assert model(images, noise=noise).shape == images.shape
        small = model.encode(images)
        assert small.size == (33, 45)
        whole = model.encode(images, scale=1)
        assert whole.size == (65, 90)
        features = model(images, output="features")
    assert [tuple(x.shape[-2:]) for x in features] == [(9, 12), (17, 23), (33, 45)]
    with pytest.raises(ValueError, match="working_scale must be at least 1, got 0"):
        UniRestore.build("tiny", working_scale=0)


def test_maps_judged_small_are_blended_at_full_size():
    """A pattern that half size cannot show survives: no detail passes the network."""
    model = UniRestore.build("tiny", working_scale=2).eval()
    pattern = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 0.5 + 0.25
    images = pattern.expand(1, 3, 64, 64).contiguous().float()
    candidates = images[:, None].expand(-1, len(model.config.candidates), -1, -1, -1)
    with torch.no_grad():
        out = model(images, candidates=candidates)
    assert (out - images).abs().max() < 0.02  # the decoder's own picture has a weight of 0.01


def test_one_graph_with_torch_compile(plain):
    """Given noise, nothing breaks the graph: compiled speed and CUDA graphs need the whole network at once."""
    images, noise = torch.rand(1, 3, 64, 72), torch.randn(1, 4, 8, 10)
    compiled = torch.compile(plain, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        wanted = plain(images, "det", noise=noise)
        assert torch.allclose(compiled(images, "det", noise=noise), wanted, atol=1e-6)
