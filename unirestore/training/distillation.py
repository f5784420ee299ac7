"""Stage 1 of Uni-Removal: a fast student learns from clean photos and from a teacher per family of weather.

    L = clean[task] * P(x, x*) + teacher[task] * P(x, x_T) + feature * |A(F) - F_T| / |F_T|
        + contrast * IGCL(e(x)) + image_contrast * IGCL(g(x)) + match * |N(x) - N(x_w)| / |N(x_w)| + task * L_N(x)
    P(a, b) = |a - b|_1 + edge * |grad a - grad b|_1
    IGCL(a): InfoNCE with a = student; positives clean and x_T; negatives the degraded input, the other instances of
             the batch (clean and degraded), and a queue of degraded instances of earlier batches; all less the
             running mean of clean and degraded embeddings

x is the student's picture for a task drawn per batch, x* the clean photo, x_T the answer of the teacher of the item's
weather for that task, F and F_T their decoder pyramids (coarser grid of the two), A 1x1 convolutions that live in
training alone, N the dense features of a frozen network, e its pooled features level by level, g a vector of block
means and contrasts (`contrast.patch_embedding`), x_w the teacher's answer where there is one, else the clean photo.

Known of Uni-Removal (arXiv 2307.05075): supervised transfer from pre-trained single-degradation teachers into one
student, and an instance-grained contrast over feature levels and in image space. OURS is everything else: which
networks, the routing by the manifest, tasks, each term's form and weight, positives, negatives, queue, and the last
two terms. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from unirestore.models.autoencoder import TAPS

from .adaptation import check_labelled, downstream_losses, feature_distance
from .autoencoder import edge_loss
from .contrast import Centre, EncoderFeatures, FeatureQueue, info_nce, patch_embedding, pooled
from .routing import route
from .stage import TrainingStage
from .teachers import Answer, load_teachers

Answers = dict[int, tuple[Tensor, Answer]]


@MODELS.register_module()
class DistillationStage(TrainingStage):
    """Trains a whole student from clean photos and teachers; teachers are chosen by the weather of each item.

    Logged beside the losses: `taught`, the share of items with a teacher, and `gap`, how much nearer (cosine, mean
    over levels) the student's pictures are to the clean photos than to their degraded inputs in the network's eyes.

    Args:
        teachers: a folder of teacher configs or a list, see `load_teachers`.
        network: the frozen network of the contrast, of `match` and of the task's loss: a `FrozenDetector`, the
            config to build it, or None for a copy of the student's own encoder as it was at the start.
        tasks: one is drawn per batch, a name given twice is drawn twice as often; None: all of the student's.
        clean_weight, teacher_weight: of the pixel terms; a number, or one for each task by name.
        edge_weight: of the gradients in both.
        feature_weight: of the projected features.
        contrast_weight, image_contrast_weight: of IGCL in the network's features and in image space.
        match_weight: of the dense features of the network.
        task_weight, term_weights, network_task: weight of the network's own loss and of its terms, as in
            `AdaptationStage`, in batches that are decoded for `network_task`.
        temperature, queue: of the contrast; `queue` is the number of earlier embeddings kept for each level.
        levels: which of the network's levels contrast, by place; None: all.
        centred: take the running mean of all embeddings off before they are compared, see `contrast.Centre`.

    Raises:
        ValueError: a weight is negative or all are 0, a task or level does not exist, `task_weight` has no network;
            what `load_teachers` raises; later: pictures without annotations in a batch with `task_weight`.
    """

    def __init__(
        self,
        *,
        teachers: str | Path | Sequence[Any],
        network: Mapping[str, Any] | nn.Module | None = None,
        tasks: Sequence[str] | None = None,
        trains: Sequence[str] = ("vae", "cfrm", "tfa", "prompts", "fusion", "detail"),
        clean_weight: float | Mapping[str, float] = 1.0,
        teacher_weight: float | Mapping[str, float] = 1.0,
        edge_weight: float = 1.0,
        feature_weight: float = 0.05,
        contrast_weight: float = 0.05,
        image_contrast_weight: float = 0.05,
        match_weight: float = 0.0,
        task_weight: float = 0.0,
        term_weights: Mapping[str, float] | None = None,
        network_task: str = "det",
        temperature: float = 0.1,
        queue: int = 64,
        levels: Sequence[int] | None = None,
        centred: bool = True,
        **stage: Any,
    ) -> None:
        super().__init__(trains=trains, **stage)
        self.tasks = tuple(self.restorer.tasks if tasks is None else tasks)
        self.clean_weight = self._by_task("clean_weight", clean_weight)
        self.teacher_weight = self._by_task("teacher_weight", teacher_weight)
        self.edge_weight, self.feature_weight, self.match_weight = edge_weight, feature_weight, match_weight
        self.contrast_weight, self.image_contrast_weight = contrast_weight, image_contrast_weight
        self.task_weight, self.term_weights = task_weight, dict(term_weights or {})
        self.network_task, self.temperature, self.centred = network_task, temperature, centred
        weights = [
            *self.clean_weight.values(), *self.teacher_weight.values(), feature_weight, contrast_weight,
            image_contrast_weight, match_weight, task_weight,
        ]  # fmt: skip
        if min(*weights, edge_weight) < 0 or max(weights) == 0:
            raise ValueError(f"weights must be at least 0 and one of them above, got {weights}")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        if task_weight and (network is None or network_task not in self.tasks):
            raise ValueError(
                f"task_weight={task_weight} needs a network with a loss, a FrozenDetector, and batches for "
                f"{network_task!r}; tasks are {', '.join(self.tasks)}"
            )
        if isinstance(network, Mapping):
            network = MODELS.build(network)
        # outside the module tree: frozen, no part of a checkpoint
        self._teachers = load_teachers(teachers)
        self._network = [network or EncoderFeatures(deepcopy(self.restorer).requires_grad_(False).eval())]
        self.adapters = nn.ModuleDict()
        if feature_weight:
            for number, entry in enumerate(self._teachers):
                self.adapters[str(number)] = self._adapters(entry.name, entry.teacher)
        self.queues, self.centres = nn.ModuleList(), nn.ModuleList()
        if contrast_weight:
            found = self.network.features(torch.zeros(1, 3, 64, 64))
            self.levels = tuple(range(len(found)) if levels is None else levels)
            if not self.levels or not all(0 <= level < len(found) for level in self.levels):
                raise ValueError(f"levels must name some of the network's {len(found)} levels, got {levels}")
            widths = [2 * found[level].shape[1] for level in self.levels]
            self.queues.extend(FeatureQueue(queue, width) for width in widths)
            self.centres.extend(Centre(width) for width in widths)
        self.image_queue = self.image_centre = None
        if image_contrast_weight:
            width = patch_embedding(torch.zeros(1, 3, 64, 64)).shape[1]
            self.image_queue, self.image_centre = FeatureQueue(queue, width), Centre(width)

    @property
    def network(self) -> nn.Module:
        """The frozen network, on the restorer's device."""
        return self._network[0].to(next(self.restorer.parameters()).device)

    def losses(
        self, degraded: Tensor, clean: Tensor, index: Tensor, weather: list[Mapping[str, Any]], **batch: Any
    ) -> dict[str, Tensor]:
        """See the header. `weather` holds a manifest per item; those that no teacher answers for learn from the
        clean photo alone."""
        task = self.tasks[int(self.choose(range(len(self.tasks)), index[:1]))]
        seen = self.restorer.encode(degraded, detach_latent=False)
        latent = self.restorer.denoise(seen.latent)
        picture, pyramid = self.restorer.decode(latent, seen.skips, task, degraded, output="both")
        answers = self._ask(degraded, weather, task)
        wanted, taught = clean.clone(), torch.zeros(len(clean), dtype=torch.bool, device=clean.device)
        for rows, answer in answers.values():
            wanted[rows], taught[rows] = answer.image, True
        losses = {"taught": taught.float().mean()}
        if weight := self.clean_weight[task]:
            losses["loss_clean"] = weight * self._pixel(picture, clean)
        if weight := self.teacher_weight[task]:
            # items without a teacher count as 0, so that each item weighs alike in every batch
            share = taught.float().mean()
            losses["loss_teacher"] = (
                weight * share * self._pixel(picture[taught], wanted[taught])
                if bool(taught.any())
                else 0 * picture.sum()
            )
        if self.feature_weight:
            losses["loss_feature"] = self.feature_weight * self._feature_loss(pyramid, answers)
        worse = (degraded != clean).flatten(1).any(1)  # (B,) items that have any weather
        losses |= self._network_losses(task, picture, clean, wanted, degraded, taught, worse, batch)
        if self.image_queue is not None:
            anchor = patch_embedding(picture)
            with torch.no_grad():
                others = [patch_embedding(images) for images in (clean, wanted, degraded)]
            term, _ = self._contrast(anchor, *others, taught, worse, self.image_queue, self.image_centre)
            losses["loss_contrast_image"] = self.image_contrast_weight * term
        return losses

    # ---------------------------------------------------------------- inside

    def _by_task(self, name: str, weight: float | Mapping[str, float]) -> dict[str, float]:
        unknown = sorted(set(self.tasks) - set(self.restorer.tasks))
        if unknown or not self.tasks:
            raise ValueError(
                f"tasks must be some of the student's, {', '.join(self.restorer.tasks)}; got {self.tasks}"
            )
        if not isinstance(weight, Mapping):
            return dict.fromkeys(self.tasks, float(weight))
        if missing := sorted(set(self.tasks) - set(weight)):
            raise ValueError(f"{name} has no weight for {', '.join(missing)}; give one number for each task")
        return {task: float(weight[task]) for task in self.tasks}

    def _adapters(self, name: str, teacher: nn.Module) -> nn.ModuleList:
        """One 1x1 convolution per level that the teacher has; they start as the identity where widths are equal."""
        answer = teacher(torch.zeros(1, 3, 64, 64), self.tasks[0])
        if len(answer.features) > TAPS:
            raise ValueError(
                f"teacher {name} has {len(answer.features)} feature levels; give at most {TAPS}, deepest first"
            )
        found = nn.ModuleList()
        for width, features in zip(self.restorer.vae.decoder.in_channels, answer.features):
            layer = nn.Conv2d(width, features.shape[1], 1)
            if width == features.shape[1]:
                nn.init.dirac_(layer.weight)
                nn.init.zeros_(layer.bias)
            found.append(layer)
        return found

    @torch.no_grad()
    def _ask(self, degraded: Tensor, weather: list[Mapping[str, Any]], task: str) -> Answers:
        """Place of a teacher -> the rows that it answers for, and its answer."""
        places = route(weather, [entry.types for entry in self._teachers])
        answers = {}
        for number, entry in enumerate(self._teachers):
            rows = [row for row, place in enumerate(places) if place == number]
            if rows:
                chosen = torch.tensor(rows, device=degraded.device)
                answers[number] = (chosen, entry.teacher.to(degraded.device)(degraded[chosen], task))
        return answers

    def _pixel(self, picture: Tensor, target: Tensor) -> Tensor:
        loss = F.l1_loss(picture, target)
        return loss + self.edge_weight * edge_loss(picture, target) if self.edge_weight else loss

    def _feature_loss(self, pyramid: Sequence[Tensor], answers: Answers) -> Tensor:
        """Distance of the projected pyramid to the teachers', each on the coarser grid; items without count as 0."""
        loss = 0 * pyramid[0].sum()
        for number, (rows, answer) in answers.items():
            pairs = []
            for adapter, own, theirs in zip(self.adapters[str(number)], pyramid, answer.features):
                grid = tuple(map(min, own.shape[-2:], theirs.shape[-2:]))
                pairs.append(
                    (adapter(F.adaptive_avg_pool2d(own[rows], grid)), F.adaptive_avg_pool2d(theirs, grid))
                )
            if pairs:
                loss = loss + len(rows) / len(pyramid[0]) * feature_distance(*zip(*pairs))
        return loss

    def _network_losses(
        self,
        task: str,
        picture: Tensor,
        clean: Tensor,
        wanted: Tensor,
        degraded: Tensor,
        taught: Tensor,
        worse: Tensor,
        batch: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """The terms of the frozen network, from one pass over each picture; none where their weights are 0."""
        judged = bool(self.task_weight) and task == self.network_task
        if not (judged or self.match_weight or self.contrast_weight):
            return {}
        losses = {}
        if judged:
            check_labelled(batch, self.network)
            losses, found = downstream_losses(
                self.network, task, picture, batch, self.task_weight, self.term_weights
            )
        else:
            found = self.network.features(picture)
        if not (self.match_weight or self.contrast_weight):
            return losses
        with torch.no_grad():
            images = [clean, wanted, degraded] if self.contrast_weight else [wanted]
            known = [level.chunk(len(images)) for level in self.network.features(torch.cat(images))]
        if self.match_weight:
            aims = [level[1 if self.contrast_weight else 0] for level in known]
            losses["loss_match"] = self.match_weight * feature_distance(found, aims)
        if self.contrast_weight:
            terms, gaps = [], []
            for level, queue, centre in zip(self.levels, self.queues, self.centres):
                anchor, others = pooled([found[level]]), [pooled([part]) for part in known[level]]
                term, gap = self._contrast(anchor, *others, taught, worse, queue, centre)
                terms.append(term)
                gaps.append(gap)
            losses["loss_contrast"] = self.contrast_weight * torch.stack(terms).mean()
            losses["gap"] = torch.stack(gaps).mean()
        return losses

    def _contrast(
        self,
        anchor: Tensor,
        clean: Tensor,
        wanted: Tensor,
        degraded: Tensor,
        taught: Tensor,
        worse: Tensor,
        queue: FeatureQueue,
        centre: Centre,
    ) -> tuple[Tensor, Tensor]:
        """IGCL of `(B, D)` embeddings, and how much nearer the anchors are to clean than to their degraded inputs.

        The queue takes in the degraded ones afterwards, the centre follows before.
        """
        count = len(anchor)
        middle = centre.follow(torch.cat([clean, degraded])) if self.centred else torch.zeros_like(anchor[0])
        rows = torch.cat([degraded, clean, queue.entries.to(anchor)]) - middle  # (2 B + Q, D)
        anchor, positives = anchor - middle, torch.stack([clean, wanted], dim=1) - middle  # (B, D), (B, 2, D)
        valid_positives = torch.stack([torch.ones_like(taught), taught], dim=1)
        other = ~torch.eye(count, dtype=torch.bool, device=anchor.device)
        # a picture without weather is no negative of its own
        valid = torch.cat([worse.expand(count, -1), other, queue.valid.expand(count, -1)], dim=1)
        negatives = rows.expand(count, -1, -1)
        loss = info_nce(anchor, positives, negatives, self.temperature, valid, valid_positives)
        queue.push(degraded[worse])
        with torch.no_grad():
            near, far = (F.cosine_similarity(anchor, row) for row in (rows[count : 2 * count], rows[:count]))
            gap = ((near - far) * worse).sum() / worse.sum().clamp_min(1)
        return loss, gap
