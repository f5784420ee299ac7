"""Stage 2 of Uni-Removal: a restorer calibrated on real photos that have neither a clean twin nor boxes.

    L = cluster * CGCL + statistics * |mean e(y) - mean e(x)|^2 + adversarial * L_G(y) + L_D
        + content * C(y, y0) + colour * K(y, y0) + identity * |R(x) - x| + paired * (|R(w) - x| + edge)
        + match * |N(R(w)) - N(x)| / |N(x)| + task * L_N(R(w), boxes of x) + self * L_N(y, boxes found in y0)

y is the restored real photo for a task drawn per batch, y0 the same by the restorer that the stage started from
(frozen), x clean photos, w their synthetic weather, R the restorer, N a frozen network, e(.) its pooled features,
standardised. CGCL is InfoNCE of e(y) with the clean prototypes nearest to it as positives and all degraded
prototypes as negatives. The last line is off by default and needs a detector with a loss, L_N: the first two terms
hold what a detector had taught the restorer, and the last is self-training. Its boxes are the detector's own confident
ones, found beforehand where it sees more, at several sizes (`tools/pseudo_label.py --restorer`). At the end the weights
may be averaged with those of the start, which keeps what the start could do elsewhere (WiSE-FT, Wortsman et al., CVPR
2022, arXiv 2109.01903).

Known of Uni-Removal (arXiv 2307.05075): a second stage on unpaired real photos, a cluster-grained contrast (CGCL)
and an adversarial loss that align outputs with natural photos. OURS is everything else: which network embeds, how
clusters are made (`prototypes.py`), the discriminator, the statistics term, what keeps content
(`consistency.py`), all terms of a detector, every weight, and that only what follows the autoencoder and the prior
learns.
Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS, MODELS
from torch import Tensor, nn

from .adaptation import check_labelled, downstream_losses, feature_distance
from .autoencoder import edge_loss
from .consistency import colour_loss, content_loss
from .contrast import EncoderFeatures, info_nce, pooled
from .discriminator import PatchDiscriminator, adversarial_loss, discriminator_loss
from .prototypes import Prototypes
from .stage import TrainingStage


@MODELS.register_module()
class CalibrationStage(TrainingStage):
    """Trains what `trains` names on batches that hold `real` beside the pairs (`data.unpaired.BesideReal`).

    Logged beside the losses: `d_real` and `d_fake` (see `discriminator_loss`), `r1`, and two checks for collapse:
    `usage`, in [0, 1], how evenly restored photos fall to the clean prototypes, and `spread`, how much the
    embeddings of restored photos differ among each other relative to those of the photos as they came.

    Args:
        network: a frozen network with `features(images)` (a `FrozenDetector`), or the config to build it, or None
            for the restorer's own frozen encoder.
        tasks: whose pictures are calibrated, one task a batch.
        cluster_weight, statistics_weight, adversarial_weight, content_weight, colour_weight, identity_weight,
            paired_weight, match_weight, task_weight, self_weight: of the terms of the header; 0 leaves a term out.
            Identity needs pairs without weather (`identity_probability` of the pairs), `task` boxes on the clean
            photos, `self` boxes on the real ones (`real_boxes` of `PairsBesideReal`).
        network_task: the task whose batches take the terms `match`, `task` and `self`.
        term_weights: of single terms of the network's loss, as in `AdaptationStage`.
        clean_prototypes, degraded_prototypes: how many clusters each side has.
        positives: nearest clean prototypes that count as positives.
        temperature: of the contrast.
        momentum: what stays of a prototype, and of the mean that `statistics` aims at, at each step.
        start_share: of the start's weights in what is exported; 0 keeps the last step's.
        fit_items: items of the data set that prototypes are fitted to at the start.
        discriminator: arguments of `PatchDiscriminator`; `r1_weight`, its gradient penalty.

    Raises:
        ValueError: a task is unknown, a weight is negative or all are 0, there are fewer clean prototypes than
            positives or fewer `fit_items` than prototypes, `start_share` is none, `task_weight` or `self_weight` has no
            network or no batches; later: the prototypes were never fitted, photos lack the boxes that a term needs.
    """

    def __init__(
        self,
        *,
        network: Mapping[str, Any] | nn.Module | None = None,
        tasks: Sequence[str] = ("ir", "det"),
        trains: Sequence[str] = ("cfrm", "tfa", "prompts", "fusion", "detail"),
        cluster_weight: float = 0.1,
        statistics_weight: float = 0.0,
        adversarial_weight: float = 0.05,
        content_weight: float = 0.2,
        colour_weight: float = 2.0,
        identity_weight: float = 2.0,
        paired_weight: float = 1.0,
        match_weight: float = 0.0,
        task_weight: float = 0.0,
        self_weight: float = 0.0,
        network_task: str = "det",
        term_weights: Mapping[str, float] | None = None,
        clean_prototypes: int = 8,
        degraded_prototypes: int = 8,
        positives: int = 1,
        temperature: float = 0.1,
        momentum: float = 0.98,
        start_share: float = 0.0,
        fit_items: int = 96,
        discriminator: Mapping[str, Any] | None = None,
        r1_weight: float = 0.1,
        **stage: Any,
    ) -> None:
        super().__init__(trains=trains, **stage)
        self.weights = dict(
            cluster=cluster_weight,
            statistics=statistics_weight,
            adversarial=adversarial_weight,
            content=content_weight,
            colour=colour_weight,
            identity=identity_weight,
            paired=paired_weight,
            match=match_weight,
            task=task_weight,
            self=self_weight,
        )
        if min(self.weights.values()) < 0 or max(self.weights.values()) == 0 or r1_weight < 0:
            raise ValueError(
                f"weights must be at least 0 and one of them above, got {self.weights}, r1_weight={r1_weight}"
            )
        unknown = [task for task in tasks if task not in self.restorer.tasks]
        if unknown or not tasks or isinstance(tasks, str):
            raise ValueError(
                f"tasks is {tasks!r}; give a list of tasks of the restorer, which has "
                f"{', '.join(self.restorer.tasks)}"
            )
        if max(task_weight, self_weight) and (network is None or network_task not in tasks):
            raise ValueError(
                f"task_weight={task_weight} and self_weight={self_weight} need a network with a loss and "
                f"batches for {network_task!r}; tasks are {', '.join(tasks)}"
            )
        if not 1 <= positives <= clean_prototypes:
            raise ValueError(f"positives must lie in 1..{clean_prototypes} (the clean ones), got {positives}")
        if not 0 <= start_share < 1:
            raise ValueError(f"start_share must lie in [0, 1), got {start_share}")
        if fit_items < max(clean_prototypes, degraded_prototypes):
            raise ValueError(
                f"fit_items={fit_items} cannot be split into {clean_prototypes} clean and {degraded_prototypes} "
                "degraded prototypes; give more items or fewer prototypes"
            )
        self.tasks, self.positives, self.temperature = tuple(tasks), positives, temperature
        self.network_task, self.term_weights = network_task, dict(term_weights or {})
        self.momentum, self.fit_items, self.r1_weight = momentum, fit_items, r1_weight
        self.start_share = start_share
        # outside the module tree: frozen, no part of a checkpoint
        start = deepcopy(self.restorer).requires_grad_(False).eval()
        if isinstance(network, Mapping):
            network = MODELS.build(network)
        self._frozen = [start, network if network is not None else EncoderFeatures(start)]
        self.discriminator = PatchDiscriminator(**(discriminator or {})) if adversarial_weight else None
        width = pooled(self.network.features(torch.zeros(1, 3, 64, 64))).shape[1]
        self.clean = Prototypes(clean_prototypes, width, momentum)
        self.degraded = Prototypes(degraded_prototypes, width, momentum)
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("clean_mean", torch.zeros(width))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    @property
    def start(self) -> nn.Module:
        """The restorer as the stage found it, on the restorer's device."""
        return self._frozen[0].to(next(self.restorer.parameters()).device)

    @property
    def network(self) -> nn.Module:
        """The frozen network that embeds, on the restorer's device."""
        return self._frozen[1].to(next(self.restorer.parameters()).device)

    def embed(self, images: Tensor) -> Tensor:
        """`(B, 3, H, W)` RGB in [0, 1] -> `(B, D)`: pooled features of the frozen network, standardised."""
        return self._embedding(self.network.features(images))

    def _embedding(self, features: Sequence[Tensor]) -> Tensor:
        return (pooled(features) - self.middle) / self.scale

    def losses(
        self, degraded: Tensor, clean: Tensor, real: Tensor, index: Tensor, **batch: Any
    ) -> dict[str, Tensor]:
        """See the header; `real` `(B, 3, S, S)` RGB in [0, 1]. Numbers to watch stand beside the losses."""
        if not self.fitted:
            raise ValueError(
                "the prototypes are not fitted: add dict(type='FitPrototypes') to custom_hooks, as "
                "configs/uniremoval_calibrate.py does, or call stage.fit(dataset)"
            )
        task = self.tasks[int(self.choose(range(len(self.tasks)), index[:1]))]
        weather = (degraded != clean).flatten(1).any(1)  # (B,) pairs that have any
        candidates = self.restorer.stack_candidates(real) if self.restorer.fusion is not None else None
        restored = self.restorer(real, task, candidates=candidates)
        with torch.no_grad():
            before = self.start(real, task, candidates=candidates)
            known = self.network.features(clean)
            of_clean = self._embedding(known)
            of_raw = self.embed(torch.cat([real, degraded]))
        weights = self.weights
        losses, found = self._self_losses(restored, task, batch)
        of_restored = self._embedding(found)
        if weights["cluster"]:
            losses["loss_cluster"] = weights["cluster"] * self._contrast(of_restored)
        if weights["statistics"]:
            away = of_restored.mean(0) - self.clean_mean
            losses["loss_statistics"] = weights["statistics"] * away.square().mean()
        if weights["adversarial"]:
            judged = discriminator_loss(self.discriminator, clean, restored, self.r1_weight)
            losses["loss_adversarial"] = weights["adversarial"] * adversarial_loss(
                self.discriminator, restored
            )
            losses["loss_discriminator"] = judged.pop("loss")
            losses |= judged
        if weights["content"]:
            losses["loss_content"] = weights["content"] * content_loss(restored, before)
        if weights["colour"]:
            losses["loss_colour"] = weights["colour"] * colour_loss(restored, before)
        if any(weights[name] for name in ("identity", "paired", "match", "task")):
            picture = self.restorer(degraded, task)
            losses |= self._pair_losses(picture, clean, weather)
            if task == self.network_task and (weights["match"] or weights["task"]):
                losses |= self._network_losses(picture, known, task, batch)
        bad = torch.cat([torch.ones_like(weather), weather])  # (2 B,) a pair without weather is a clean photo
        losses["usage"] = self._follow(of_clean, of_raw, bad, of_restored.detach())
        losses["spread"] = _spread(of_restored.detach()) / _spread(of_raw[: len(real)]).clamp_min(1e-6)
        return losses

    def _contrast(self, restored: Tensor) -> Tensor:
        """CGCL of `(B, D)` embeddings of restored photos."""
        near = self.clean.nearest(restored.detach(), self.positives)  # (B, P)
        away = self.degraded.centres.expand(len(restored), -1, -1)  # (B, N, D)
        return info_nce(restored, self.clean.centres[near], away, self.temperature)

    def _self_losses(
        self, restored: Tensor, task: str, batch: Mapping[str, Any]
    ) -> tuple[dict[str, Tensor], Sequence[Tensor]]:
        """The network's loss on restored real photos, where it is asked for, and its features."""
        if not self.weights["self"] or task != self.network_task:
            return {}, self.network.features(restored)
        prefix = "real_"
        own = {name.removeprefix(prefix): value for name, value in batch.items() if name.startswith(prefix)}
        if "boxes" not in own:
            raise ValueError(
                f"self_weight={self.weights['self']} learns from boxes on the real photos: make some with "
                "tools/pseudo_label.py --restorer and give them as train_dataloader.dataset.real_boxes"
            )
        return downstream_losses(
            self.network, f"{task}_real", restored, own, self.weights["self"], self.term_weights
        )

    def _network_losses(
        self, picture: Tensor, known: Sequence[Tensor], task: str, batch: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """The network's own loss on restored pairs and how far its features are from `known`, those of the clean."""
        losses = {}
        if self.weights["task"]:
            check_labelled(batch, self.network)
            losses, found = downstream_losses(
                self.network, task, picture, batch, self.weights["task"], self.term_weights
            )
        else:
            found = self.network.features(picture)
        if self.weights["match"]:
            losses["loss_match"] = self.weights["match"] * feature_distance(found, known)
        return losses

    def _pair_losses(self, picture: Tensor, clean: Tensor, weather: Tensor) -> dict[str, Tensor]:
        """Identity on the pairs without weather, L1 and edges on those with; 0 where there are none."""
        losses = {}
        for name, chosen in (("identity", ~weather), ("paired", weather)):
            if not self.weights[name]:
                continue
            found, wanted = picture[chosen], clean[chosen]
            loss = picture.sum() * 0 if not len(found) else F.l1_loss(found, wanted)
            if name == "paired" and len(found):
                loss = loss + edge_loss(found, wanted)
            losses[f"loss_{name}"] = self.weights[name] * loss
        return losses

    @torch.no_grad()
    def _follow(self, clean: Tensor, raw: Tensor, bad: Tensor, restored: Tensor) -> Tensor:
        """Lets prototypes and means follow what all ranks saw; gives the evenness of their use."""
        clean, raw, bad, restored = (
            torch.cat(all_gather(rows.contiguous())) for rows in (clean, raw, bad, restored)
        )
        self.clean.update(clean)
        self.degraded.update(raw[bad])
        self.clean.count_use(restored)
        self.clean_mean.lerp_(clean.mean(0), 1 - self.momentum)
        return self.clean.entropy()

    @torch.no_grad()
    def fit(self, dataset) -> None:
        """Standardises the embedding and starts both sides' prototypes from the first items of `dataset`.

        The middle lies half way between the means of clean and of degraded photos, so that the cosine parts them.
        Raises ValueError where the data set has too few items or no weather at all.
        """
        sides: dict[str, list[Tensor]] = dict(clean=[], degraded=[])
        for n in range(min(self.fit_items, len(dataset))):
            item = {key: value for key, value in dataset[n].items() if key in ("clean", "degraded", "real")}
            sides["clean"].append(self._raw_embedding(item["clean"]))
            sides["degraded"].append(self._raw_embedding(item["real"]))
            if not torch.equal(item["degraded"], item["clean"]):
                sides["degraded"].append(self._raw_embedding(item["degraded"]))
        clean, degraded = (torch.cat(rows) for rows in sides.values())
        self.middle.copy_((clean.mean(0) + degraded.mean(0)) / 2)
        within = torch.cat([clean - clean.mean(0), degraded - degraded.mean(0)])
        deviation = within.square().mean(0).sqrt()
        self.scale.copy_(deviation.clamp_min(0.05 * float(deviation.mean()) + 1e-6))
        clean, degraded = ((rows - self.middle) / self.scale for rows in (clean, degraded))
        self.clean.fit(clean, self.seed)
        self.degraded.fit(degraded, self.seed)
        self.clean_mean.copy_(clean.mean(0))
        self.fitted.fill_(True)

    @torch.no_grad()
    def finish(self, dataloader) -> None:
        """Averages the restorer's weights with those of the start."""
        if self.start_share:
            own = dict(self.restorer.named_parameters())
            for name, value in self.start.named_parameters():
                own[name].lerp_(value.to(own[name]), self.start_share)

    def _raw_embedding(self, image: Tensor) -> Tensor:
        return pooled(self.network.features(image[None].to(self.middle) / 255))


@HOOKS.register_module()
class FitPrototypes(Hook):
    """Before the first step of a `CalibrationStage`: `stage.fit(...)`, unless a checkpoint has brought it."""

    def before_train(self, runner) -> None:
        """Every rank fits to the same items and comes to the same prototypes."""
        stage = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not stage.fitted:
            stage.fit(runner.train_dataloader.dataset)


def _spread(embeddings: Tensor) -> Tensor:
    """How much `(B, D)` differ among each other: the deviation over the batch, mean over D; 0 for one."""
    return embeddings.std(0, unbiased=False).mean()
