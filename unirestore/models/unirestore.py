"""UniRestore: encode and repair -> denoise -> decode for a task.

Paper: Chen et al., "UniRestore: Unified Perceptual and Task-Oriented Image Restoration Model Using Diffusion
Prior", CVPR 2025, arXiv 2501.13134. Authors' code: MIT; this file is written from its description,
Apache-2.0.

    degraded RGB -> encoder with CFRM -> skips at H/2, H/4, H/8 and latent z_lq
                 -> prior: noised to t = 999, one DDIM step, steered by Controller(z_lq) -> z
                 -> decoder with TFA and the prompt of the task -> picture, or feature pyramid

What differs from the authors' code: deterministic by default (posterior mode, fixed noise); no per-call
state on modules; any picture size; the sizes are presets of one architecture; small presets may end in
`CandidateFusion` (ours) in place of the bare decoder picture.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

from .autoencoder import TAPS, TappedAutoencoder
from .cfrm import CFRM
from .detail import DetailRefiner
from .fusion import CandidateFusion
from .gate import DegradationGate, restore_where, small_copy
from .priors import PRIORS
from .sizes import check_images, enlarge, pad_to, round_up, shrink
from .tfa import TaskFeatureAdapter

LATENT_STRIDE = 8
PARAMETER_GROUPS = {
    "vae": "vae.",
    "prior": "prior.unet.",
    "cfrm": "cfrm.",
    "controller": "prior.controller.",
    "sc_tuner": "prior.sc_tuner.",
    "tfa": "tfa.",
    "prompts": "prompts.",
    "fusion": "fusion.",
    "detail": "detail.",
    "gate": "gate.",
}
"""Name of each part that a training stage trains or freezes -> the prefix of its parameters."""


class Encoding(NamedTuple):
    """What `UniRestore.encode` returns; latent and skips cover the padded picture."""

    latent: torch.Tensor
    """`(B, 4, h, w)`, scaled by `scaling_factor`."""
    skips: list[torch.Tensor]
    """Three taps at strides 2, 4, 8, repaired where `repair`."""
    size: tuple[int, int]
    """Height and width of the (shrunken) picture before padding."""


class UniRestore(ModelMixin, ConfigMixin):
    """The restoration network. Build it with `UniRestore.build(preset)` or `UniRestore.from_pretrained(...)`.

    Args (all saved in `config.json`):
        block_out_channels, layers_per_block, decoder_layers_per_block, norm_num_groups, vae_attention,
            patch_size, latent_channels: see `TappedAutoencoder`.
        scaling_factor: latents are the encoder's mean times this.
        sample_posterior: draw latents from the posterior (the authors do) instead of taking its mean.
        cfrm, cfrm_depths, cfrm_groups: the repair of the skips, see `CFRM`; False leaves them as they are.
        prior, prior_config: a name in `PRIORS` and its arguments; `"none"` ignores the arguments.
        tfa: steer the decoder by task; False is a plain decoder that uses neither skips nor task.
        tasks, prompt_length: one learnt prompt `(prompt_length, D)` per task.
        prompt_std: prompts start from normal draws of this size; 0 as in the paper. Different starts let the fusion
            tell tasks apart from the first step.
        candidates: names in `unirestore.classical.CANDIDATES`; with any, the output head is
            `CandidateFusion`.
        candidate_weights: starting weights of the photo and of each candidate; default equal.
        decoder_candidate: the decoder's own picture is a candidate too, starting at a hundredth.
        fusion_channels, fusion_low_channels, fusion_blocks: size of that head.
        detail_channels, detail_blocks: size of the `DetailRefiner` behind that head, where there is one; 0: none.
        gate_channels: width of the `DegradationGate`, which tells photos that need no restoration; 0: none.
        working_scale: the network sees the photo at this fraction of its size (2: half) and judges the candidates
            there; they are blended at full size. Feature pyramids, and models without candidates, always work at
            full size.

    Raises ValueError for a prior, task or combination that does not exist.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        *,
        block_out_channels: Sequence[int] = (128, 256, 512, 512),
        layers_per_block: int = 2,
        decoder_layers_per_block: int | None = None,
        norm_num_groups: int = 32,
        vae_attention: bool = True,
        patch_size: int = 1,
        latent_channels: int = 4,
        scaling_factor: float = 0.18215,
        sample_posterior: bool = False,
        cfrm: bool = True,
        cfrm_depths: Sequence[int] = (1, 1, 9),
        cfrm_groups: int = 16,
        prior: str = "unet",
        prior_config: dict | None = None,
        tfa: bool = True,
        tasks: Sequence[str] = ("ir", "cls", "seg", "det"),
        prompt_length: int = 1,
        prompt_std: float = 0.0,
        candidates: Sequence[str] = (),
        candidate_weights: Sequence[float] | None = None,
        decoder_candidate: bool = True,
        fusion_channels: int = 16,
        fusion_low_channels: int = 48,
        fusion_blocks: int = 2,
        detail_channels: int = 0,
        detail_blocks: int = 2,
        gate_channels: int = 0,
        working_scale: int = 1,
    ) -> None:
        super().__init__()
        if working_scale < 1:
            raise ValueError(f"working_scale must be at least 1, got {working_scale}")
        if prior not in PRIORS:
            raise ValueError(f"unknown prior {prior!r}; known: {', '.join(PRIORS)}")
        if not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"tasks must be one or more different names, got {tuple(tasks)}")
        for task in tasks:
            _check_task_name(task)
        if candidate_weights is not None and len(candidate_weights) != len(candidates) + 1:
            raise ValueError(
                f"candidate_weights needs {len(candidates) + 1} numbers, the photo and {tuple(candidates)}; "
                f"got {tuple(candidate_weights)}"
            )
        self.vae = TappedAutoencoder(
            channels=block_out_channels,
            layers=layers_per_block,
            decoder_layers=decoder_layers_per_block,
            groups=norm_num_groups,
            latent_channels=latent_channels,
            attention=vae_attention,
            patch_size=patch_size,
        )
        skip_channels = tuple(block_out_channels[:TAPS])
        self.cfrm = CFRM(skip_channels, cfrm_depths, cfrm_groups) if cfrm else nn.ModuleList()
        prior_config = {} if prior == "none" else {"latent_channels": latent_channels, **(prior_config or {})}
        self.prior = PRIORS[prior](**prior_config)
        self.tfa, self.prompts = nn.ModuleList(), nn.ParameterDict()
        if tfa:
            for level in range(TAPS):  # from the deepest skip to the finest
                self.tfa.append(
                    TaskFeatureAdapter(
                        self.vae.decoder.in_channels[level],
                        skip_channels[TAPS - 1 - level],
                        skip_channels[TAPS - 2 - level] if level < TAPS - 1 else None,
                        prompt_length,
                    )
                )
            for task in tasks:
                self.prompts[task] = nn.Parameter(prompt_std * torch.randn(prompt_length, skip_channels[-1]))
        prompt_channels = prompt_length * skip_channels[-1] if tfa else 0
        self.fusion = self.detail = None
        if candidates:
            mix = [float(weight) for weight in candidate_weights or [1.0] * (len(candidates) + 1)]
            if decoder_candidate:  # last
                mix = [*(0.99 * weight / sum(mix) for weight in mix), 0.01]
            self.fusion = CandidateFusion(
                feature_channels=block_out_channels[0],
                prompt_channels=prompt_channels,
                weights=mix,
                channels=fusion_channels,
                low_channels=fusion_low_channels,
                blocks=fusion_blocks,
                groups=norm_num_groups,
                patch_size=patch_size,
            )
        if candidates and detail_channels:
            self.detail = DetailRefiner(
                prompt_channels=prompt_channels, channels=detail_channels, blocks=detail_blocks
            )

        self.gate = DegradationGate(skip_channels, gate_channels) if gate_channels else None

    def __getattr__(self, name: str):
        """Sub-modules only: diffusers would take `model.prior` from the config, where it is a setting."""
        return nn.Module.__getattr__(self, name)

    # ---------------------------------------------------------------- building, saving, loading

    @classmethod
    def build(cls, preset: str, **overrides) -> "UniRestore":
        """An untrained model of a preset (see `presets.PRESETS`), some of its settings overridden.

        Raises ValueError for an unknown preset, TypeError for a setting that does not exist.
        """
        from .presets import preset_config

        return cls(**preset_config(preset, **overrides))

    @classmethod
    def from_pretrained(cls, name: str | Path, **kwargs) -> "UniRestore":
        """Loads a folder written by `save_pretrained`, weights named in `presets.WEIGHTS`, or a hub id.

        `kwargs` go to diffusers' `ModelMixin.from_pretrained`; the model comes in evaluation mode. Raises
        FileNotFoundError where nothing is found, OSError for an unreadable config, ValueError where the
        weights are cut short or do not belong to the config.
        """
        from .presets import check_weights, find_weights
        from .state_files import WEIGHTS_NAME, fill, read_state

        source = find_weights(name)
        check_weights(source)
        file, dtype = Path(source) / WEIGHTS_NAME, kwargs.get("torch_dtype", torch.float32)
        if file.is_file() and not set(kwargs) - {"torch_dtype"} and isinstance(dtype, torch.dtype):
            # no memory but that of the weights; diffusers' way needs accelerate for that
            with torch.device("meta"):
                model = cls.from_config(cls.load_config(source))
            model.register_to_config(_name_or_path=source)
            problems = fill(model, read_state(file), dtype)
        else:
            kwargs = {"low_cpu_mem_usage": False, **kwargs, "output_loading_info": True}
            try:
                model, report = super().from_pretrained(source, **kwargs)
            except RuntimeError as error:
                raise ValueError(
                    f"{name}: config.json and the weights do not belong together ({error})"
                ) from error
            problems = {kind: sorted(report.get(f"{kind}_keys", ())) for kind in ("missing", "unexpected")}
        for kind, keys in problems.items():
            if keys:
                raise ValueError(
                    f"{name}: {len(keys)} {kind} keys in the weights, first {keys[:3]}; config.json and the weights do "
                    "not belong together"
                )
        return model.eval()

    @classmethod
    def from_official(cls, stage1, stage2=None, **options) -> "UniRestore":
        """The authors' checkpoints on a base model: `official.from_official`, which says what it takes and raises."""
        from .official import from_official

        return from_official(stage1, stage2, **options)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the known tasks."""
        return tuple(self.config.tasks)

    @property
    def size_multiple(self) -> int:
        """Pictures are padded to multiples of this inside (64 for `sd_turbo`)."""
        return LATENT_STRIDE * self.prior.size_multiple

    def add_task(
        self, name: str, prompt_length: int | None = None, copy_from: str | None = None
    ) -> nn.Parameter:
        """Adds a prompt for a new task, zero or copied from another task's; saved and loaded like the others.

        Returns the new parameter `(prompt_length, D)`. Raises ValueError where the task exists, the name is
        no identifier, or the length is not the model's (TFA's gates are built for one length).
        """
        _check_task_name(name)
        if not len(self.tfa):
            raise ValueError("this model was built with tfa=False and has no prompts; no task can be added")
        if name in self.prompts:
            raise ValueError(f"task {name!r} exists already; known: {', '.join(self.tasks)}")
        if prompt_length not in (None, self.config.prompt_length):
            raise ValueError(
                f"prompts of this model have length {self.config.prompt_length}, not {prompt_length}"
            )
        source = self.prompts[self._check_task(copy_from or self.tasks[0])].detach()
        prompt = nn.Parameter(source.clone() if copy_from else torch.zeros_like(source))
        self.prompts[name] = prompt
        self.register_to_config(tasks=(*self.tasks, name))
        return prompt

    def parameter_group(self, group: str) -> dict[str, nn.Parameter]:
        """Parameters of one part by full name; the groups are the keys of `PARAMETER_GROUPS`, and `prompts.TASK` for
        the prompt of one task alone.

        Raises ValueError for an unknown group or task; a part that the model lacks gives an empty dict.
        """
        part, _, task = group.partition(".")
        if part not in PARAMETER_GROUPS or (task and part != "prompts"):
            raise ValueError(
                f"unknown parameter group {group!r}; known: {', '.join(PARAMETER_GROUPS)}, prompts.TASK"
            )
        if task:
            self._check_task(task)
            return {name: value for name, value in self.named_parameters() if name == group}
        prefix = PARAMETER_GROUPS[group]
        return {name: value for name, value in self.named_parameters() if name.startswith(prefix)}

    # ---------------------------------------------------------------- the forward pass

    def forward(
        self,
        images: torch.Tensor,
        task: str = "ir",
        output: str = "image",
        generator: torch.Generator | None = None,
        noise: torch.Tensor | float | None = None,
        num_inference_steps: int = 1,
        candidates: torch.Tensor | None = None,
        gate: float | None = None,
        check: Callable[..., object] | None = None,
    ) -> torch.Tensor | list[torch.Tensor]:
        """Restores pictures for a task.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1], any size from 1x1 up.
            task: one of `tasks`.
            output: `"image"` for `(B, 3, H, W)` RGB, about [0, 1], not clamped; `"features"` for the decoder
                pyramid after TFA, `(B, C, H/s, W/s)` (rounded up) at strides s = 8, 4, 2.
            generator, noise: see `denoise`. The same call gives the same result unless a generator is passed.
            num_inference_steps: DDIM steps of the prior, 1 to 4.
            candidates: classical restorations as from `stack_candidates`, computed here where None.
            gate: 0 to 1: pictures whose `degradation` lies below come back as they are, bit for bit, for the small
                price of that estimate; None restores all.
            check: called as `check(stage, *values)` with what each of "encode", "denoise" and "decode" makes; what it
                raises ends the call.

        Raises TypeError or ValueError for images, task, output, noise, steps or gate that cannot be used.
        """
        _check_output(output)
        self._check_task(task)
        if gate is not None:
            if output != "image" or not 0 <= gate <= 1:
                raise ValueError(f"gate must lie in [0, 1] and goes with pictures, got {gate} for {output}")

            def restore(indices: torch.Tensor) -> torch.Tensor:
                chosen = (_of_pictures(x, indices, len(images)) for x in (images, noise, candidates))
                pictures, own_noise, own_candidates = chosen
                return self(
                    pictures,
                    task,
                    generator=generator,
                    noise=own_noise,
                    num_inference_steps=num_inference_steps,
                    candidates=own_candidates,
                    check=check,
                )

            return restore_where(self.degradation(images) >= gate, images, restore)
        scale = self._scale(None if output == "image" else 1)
        look = check or _no_check
        encoding = self.encode(images, generator=generator, scale=scale)
        look("encode", encoding.latent, *encoding.skips)
        latent = self.denoise(
            encoding.latent,
            noise=noise_seen(noise, scale),
            generator=generator,
            num_inference_steps=num_inference_steps,
        )
        look("denoise", latent)
        made = self.decode(latent, encoding.skips, task, images, candidates, output=output, scale=scale)
        look("decode", *([made] if output == "image" else made))
        return made

    def encode(
        self,
        images: torch.Tensor,
        repair: bool = True,
        detach_latent: bool | None = None,
        generator: torch.Generator | None = None,
        scale: int | None = None,
    ) -> Encoding:
        """Pictures `(B, 3, H, W)` RGB in [0, 1] -> latent and skips, repaired by CFRM where `repair`.

        As in the paper, no loss on the latent trains CFRM: the gradient is cut before the last down block
        where `repair`, and only there. `detach_latent` overrides that. `generator` serves
        `sample_posterior` only. The photo is first shrunk by `scale`, None: by `working_scale`; pass the same
        to `decode`.
        """
        check_images(images)
        images = shrink(images, self._scale(scale))
        size = tuple(images.shape[-2:])
        padded = pad_to(images.to(self.dtype), *(round_up(length, self.size_multiple) for length in size))
        moments, skips = self.vae.encoder(
            2 * padded - 1,
            repair=self.cfrm if repair else (),
            detach_latent=repair if detach_latent is None else detach_latent,
        )
        return Encoding(self._latent(self.vae.quant_conv(moments), generator), skips, size)

    def degradation(self, images: torch.Tensor) -> torch.Tensor:
        """How likely each of `images` `(B, 3, H, W)`, RGB in [0, 1], is degraded: `(B,)` in [0, 1].

        Raises ValueError where the model has no gate.
        """
        check_images(images)
        return self.gate_logits(images).sigmoid()

    def gate_logits(self, images: torch.Tensor) -> torch.Tensor:
        """`(B, 3, H, W)` -> what the gate makes of the plain encoder's features, `(B,)`; see `degradation`."""
        if self.gate is None:
            raise ValueError("this model has no gate; train one with configs/gate.py")
        seen = small_copy(images.to(self.dtype))
        padded = pad_to(seen, *(round_up(length, LATENT_STRIDE) for length in seen.shape[-2:]))
        last, skips = self.vae.encoder.descend(2 * padded - 1)
        return self.gate(seen, [*skips, last])

    def posterior(self, images: torch.Tensor, repair: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance `(B, 4, h, w)`, unscaled, of the padded pictures at full size; what a KL term
        needs."""
        check_images(images)
        size = (round_up(length, self.size_multiple) for length in images.shape[-2:])
        moments, _ = self.vae.encoder(
            2 * pad_to(images.to(self.dtype), *size) - 1, repair=self.cfrm if repair else ()
        )
        mean, logvar = self.vae.quant_conv(moments).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)

    def denoise(
        self,
        latent: torch.Tensor,
        noise: torch.Tensor | float | None = None,
        generator: torch.Generator | None = None,
        num_inference_steps: int = 1,
    ) -> torch.Tensor:
        """Degraded latent `(B, 4, h, w)`, scaled -> restored latent of the same shape.

        `noise` None: a fixed draw, the same for every image and call. A tensor that broadcasts to
        `(B, 4, h, w)`, also one that covers only the unpadded picture (`ceil(H/8)` x `ceil(W/8)`), or a
        number sets it; `generator` draws it. Raises ValueError where the noise does not fit or both are
        given.
        """
        return self.prior.restore(latent, self._noise(latent, noise, generator), num_inference_steps)

    def decode(
        self,
        latent: torch.Tensor,
        skips: Sequence[torch.Tensor] | None,
        task: str | None,
        images: torch.Tensor | None = None,
        candidates: torch.Tensor | None = None,
        output: str = "image",
        image_only: bool = False,
        size: tuple[int, int] | None = None,
        scale: int | None = None,
    ) -> torch.Tensor | list[torch.Tensor] | tuple[torch.Tensor, list[torch.Tensor]]:
        """Latent `(B, 4, h, w)`, scaled, and skips -> picture or features, see `forward`; `output="both"`: both, from
        one pass, the features at strides of the photo as the network sees it, shrunk by `scale`.

        `image_only` leaves the candidate fusion out and returns the decoder's own picture; with
        `skips=None, task=None` that is the plain VAE decoder. The result is cropped to `size`, else to the
        size of `images`, else it covers the whole latent. `scale` as in `encode`. Raises ValueError where
        skips, task or images are missing.
        """
        _check_output(output, ("image", "features", "both"))
        scale = self._scale(scale)
        if size is None and images is not None:
            size = tuple(images.shape[-2:])
        full = tuple(LATENT_STRIDE * length for length in latent.shape[-2:])
        height, width = size or tuple(scale * length for length in full)
        chain = self._prompt_chain(skips, task, latent.shape[0])
        features, pyramid = self.vae.decoder(
            self.vae.post_quant_conv(latent / self.config.scaling_factor),
            chain.adapt if chain else None,
            pyramid_only=output == "features",
        )
        if output != "image":
            seen_height, seen_width = -(-height // scale), -(-width // scale)
            pyramid = [
                x[..., : -(-seen_height // s), : -(-seen_width // s)]
                for x, s in zip(pyramid, (8, 4, 2), strict=True)
            ]
        if output == "features":
            return pyramid
        prompt = chain.task_prompt if chain else None
        picture = self._paint(features, prompt, images, candidates, image_only, scale, full)
        picture = picture[..., :height, :width]
        return (picture, pyramid) if output == "both" else picture

    def _paint(
        self,
        features: torch.Tensor,
        prompt: torch.Tensor | None,
        images: torch.Tensor | None,
        candidates: torch.Tensor | None,
        image_only: bool,
        scale: int,
        full: tuple[int, int],
    ) -> torch.Tensor:
        """The decoder's last features -> the picture, the padding still on it where there is no fusion."""
        if self.fusion is None or image_only:
            return enlarge(self._own_picture(features), scale, scale * full[0], scale * full[1])
        if images is None:
            raise ValueError(
                "decode needs images, the degraded photo, to fuse candidates; or pass image_only=True"
            )
        if candidates is None:
            candidates = self.stack_candidates(images)
        self._check_candidates(candidates, images)
        seen = [x.to(features.dtype) for x in (images, *candidates.unbind(1))]  # K + 1 times (B, 3, H, W)
        small = [pad_to(shrink(x, scale), *full) for x in seen]  # (B, 3, 8h, 8w)
        return self._fuse(features, prompt, seen, small, scale)

    def _own_picture(self, features: torch.Tensor) -> torch.Tensor:
        """The decoder's picture, `(B, 3, 8h, 8w)` RGB."""
        return (self.vae.decoder.to_image(features) + 1) / 2

    def _fuse(
        self,
        features: torch.Tensor,
        prompt: torch.Tensor | None,
        seen: Sequence[torch.Tensor],
        small: Sequence[torch.Tensor],
        scale: int,
    ) -> torch.Tensor:
        """The photo and its candidates, `seen` at full size and `small` as the network sees them -> the picture."""
        full_size = seen[0].shape[-2:]
        if self.config.decoder_candidate:
            own = self._own_picture(features)
            seen, small = [*seen, enlarge(own, scale, *full_size)], [*small, own]
        maps = self.fusion(features, small, prompt)
        picture = self.fusion.blend(enlarge(maps, scale, *full_size), seen)
        if self.detail is not None:
            picture = self.detail(seen[0], picture, prompt)
        return picture

    @torch.no_grad()
    def stack_candidates(self, images: torch.Tensor) -> torch.Tensor:
        """The classical restorations of `images` `(B, 3, H, W)` RGB in [0, 1], in the order of the config's
        `candidates`: `(B, K, 3, H, W)` in [0, 1]. Computed on 8-bit pictures on the CPU; the photo itself and
        the decoder's picture are added later and are not in the stack."""
        from unirestore.classical import CANDIDATES

        unknown = [name for name in self.config.candidates if name not in CANDIDATES]
        if unknown:
            raise ValueError(f"unknown candidates {unknown}; known: {', '.join(CANDIDATES)}")
        batch, _, height, width = images.shape
        pictures = (
            (images.detach().float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        )
        stack = np.empty((batch, len(self.config.candidates), height, width, 3), np.uint8)
        for index, picture in enumerate(pictures):
            for slot, name in enumerate(self.config.candidates):
                stack[index, slot] = CANDIDATES[name](np.ascontiguousarray(picture))
        return torch.from_numpy(stack).permute(0, 1, 4, 2, 3).to(images.device, images.dtype) / 255

    # ---------------------------------------------------------------- inside

    def _latent(self, moments: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """Mean and log-variance `(B, 8, h, w)` -> scaled latent `(B, 4, h, w)`, the mean or a draw."""
        latent, logvar = moments.chunk(2, dim=1)
        if self.config.sample_posterior:
            sigma = (0.5 * logvar.clamp(-30, 20)).exp()
            latent = latent + sigma * _draw(latent.shape, generator, latent)
        return latent * self.config.scaling_factor

    def _scale(self, scale: int | None) -> int:
        if self.fusion is None:
            return 1
        return self.config.working_scale if scale is None else scale

    def _check_task(self, task: str) -> str:
        if task not in self.tasks:
            raise ValueError(f"unknown task {task!r}; known: {', '.join(self.tasks)}; add one with add_task")
        return task

    def _check_candidates(self, candidates: torch.Tensor, images: torch.Tensor) -> None:
        wanted = (images.shape[0], len(self.config.candidates), *images.shape[1:])
        if tuple(candidates.shape) != wanted:
            raise ValueError(f"candidates must be {wanted} for these images, got {tuple(candidates.shape)}")

    def _prompt_chain(
        self, skips: Sequence[torch.Tensor] | None, task: str | None, batch: int
    ) -> "_PromptChain | None":
        if not len(self.tfa) or (skips is None and task is None):
            return None
        if skips is None or task is None or len(skips) != TAPS:
            raise ValueError(
                f"decode needs {TAPS} skips and a task for TFA, or skips=None and task=None for neither"
            )
        prompt = self.prompts[self._check_task(task)]
        return _PromptChain(self.tfa, skips, prompt.expand(batch, -1, -1))

    def _noise(
        self, latent: torch.Tensor, noise: torch.Tensor | float | None, generator: torch.Generator | None
    ) -> torch.Tensor:
        if noise is not None and generator is not None:
            raise ValueError("pass noise or generator, not both")
        if generator is not None:
            return _draw(latent.shape, generator, latent)
        if noise is None:
            return _fixed_draw(latent)
        noise = torch.as_tensor(noise, dtype=latent.dtype, device=latent.device)
        try:
            if noise.ndim < 4 or noise.shape[-2:] == latent.shape[-2:]:
                return noise.expand_as(latent)
            height, width = noise.shape[-2:]
            full = _fixed_draw(latent).clone()
            full[..., :height, :width] = noise  # the padded margin keeps the fixed draw
            if height > latent.shape[-2] or width > latent.shape[-1]:
                raise RuntimeError
            return full
        except RuntimeError as error:
            raise ValueError(
                f"noise {tuple(noise.shape)} does not fit the latent {tuple(latent.shape)}; "
                "it must be a number, or (B, 4, ceil(H/8), ceil(W/8))"
            ) from error


class _PromptChain:
    """One walk through the TFA modules for one call of `decode`: carries the prompt from each to the next."""

    def __init__(
        self, modules: Sequence[nn.Module], skips: Sequence[torch.Tensor], prompt: torch.Tensor
    ) -> None:
        self.modules, self.skips = modules, skips
        self.task_prompt = self.prompt = prompt

    def adapt(self, level: int, x: torch.Tensor) -> torch.Tensor:
        x, self.prompt = self.modules[level](x, self.skips[TAPS - 1 - level], self.prompt)
        return x


def noise_seen(noise: torch.Tensor | float | None, scale: int) -> torch.Tensor | float | None:
    """Noise of a photo's size, as of the photo shrunk by `scale`: the mean of s x s normal draws, times s, is one."""
    if scale > 1 and isinstance(noise, torch.Tensor) and noise.ndim == 4:
        return scale * shrink(noise, scale)
    return noise


def _of_pictures(x: torch.Tensor | float | None, indices: torch.Tensor, count: int):
    """The rows `indices` of what has one for each of `count` pictures; anything else as it is."""
    return x[indices] if isinstance(x, torch.Tensor) and x.ndim >= 4 and len(x) == count else x


def _no_check(stage: str, *values: torch.Tensor) -> None:
    """Where nobody looks."""


def _draw(shape: Sequence[int], generator: torch.Generator | None, like: torch.Tensor) -> torch.Tensor:
    """Normal noise in float32 on the generator's device, then moved to where it is needed."""
    device = generator.device if generator is not None else like.device
    return torch.randn(tuple(shape), generator=generator, device=device).to(like.device, like.dtype)


def _fixed_draw(latent: torch.Tensor) -> torch.Tensor:
    """The same noise for every picture and call, of the latent's shape."""
    fixed = _draw((1, *latent.shape[1:]), torch.Generator().manual_seed(0), latent)
    return fixed.expand_as(latent)


def _check_output(output: str, known: Sequence[str] = ("image", "features")) -> None:
    if output not in known:
        names = " or ".join(f'"{name}"' for name in known)
        raise ValueError(f"output must be {names}, got {output!r}")


def _check_task_name(name: str) -> None:
    if not isinstance(name, str) or not name.isidentifier() or hasattr(nn.ParameterDict, name):
        raise ValueError(f"a task name must be a plain identifier such as 'det', got {name!r}")


__all__ = ["PARAMETER_GROUPS", "Encoding", "UniRestore"]
