"""Learning with SAM 2: one run of the mask decoder a step, on embeddings that are there. Imports torch and the neighbors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .learning import LearningSettings, Lesson
from .lesson_prompts import LessonPrompts
from .sam2_heads import LearnedHeads

_LOGIT_BOUND = 20.0
_LAST_RATE = 0.05
_WARM_UP_STEPS = 8


@dataclass(frozen=True, eq=False)
class _Ready:
    """A lesson as the decoder takes it.

    Args:
        lesson: as it was given.
        levels: top features with what memory or its absence adds, and finer levels, each (C, H, W) in 16 or 32 bit.
        truth: (1, 1, S/4, S/4) share of each cell that is the object.
        prompts: drawn from its mask; None for an empty one.
    """

    lesson: Lesson
    levels: tuple[torch.Tensor, ...]
    truth: torch.Tensor
    prompts: LessonPrompts | None


class Sam2LearningRun:
    """Learning under way, on a copy of prompt encoder and mask decoder.

    Args:
        heads: the copy.
        lessons: what to learn.
        levels_of: the features of a lesson, top first.
        settings: how.
        image_size: the model's pixels per side.
        device: torch device.
        running: the context in which the model computes.
    """

    def __init__(
        self,
        heads: LearnedHeads,
        lessons: Sequence[Lesson],
        levels_of: Callable[[Lesson], tuple[torch.Tensor, ...]],
        settings: LearningSettings,
        image_size: int,
        device: str,
        running: Callable[[], AbstractContextManager],
    ):
        self._heads, self._settings, self._size, self._device, self._running = heads, settings, image_size, device, running
        self._rng = np.random.default_rng(settings.seed)
        self._lessons, self._levels_of = list(lessons), levels_of
        weights = np.array([lesson.weight for lesson in lessons], dtype=float)
        self._chances = weights / weights.sum()
        self._ready: dict[int, _Ready] = {}
        heads.train()
        self._optimizer = torch.optim.AdamW(heads.trainable(settings.trained), lr=settings.learning_rate, weight_decay=0.0)
        self.steps = 0

    def step(self, done: float = 0.0) -> float:
        """One step; `done` is the share of the budget that is used."""
        self.steps += 1
        rate = _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0)))
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * rate * min(1.0, self.steps / _WARM_UP_STEPS)
        total = 0.0
        with self._running():
            self._optimizer.zero_grad(set_to_none=True)
            for _ in range(self._settings.batch):
                loss = self._loss(int(self._rng.choice(len(self._lessons), p=self._chances))) / self._settings.batch
                loss.backward()
                total += float(loss.detach())
            torch.nn.utils.clip_grad_norm_([p for g in self._optimizer.param_groups for p in g["params"]], 1.0)
            self._optimizer.step()
        return total

    def tensors(self) -> dict[str, np.ndarray]:
        """What differs from the base model now."""
        return self._heads.differences()

    def _loss(self, number: int) -> torch.Tensor:
        ready = self._lesson(number)
        lesson = ready.lesson
        top, *fine = (level[None].float() for level in ready.levels)
        shares = np.array([self._settings.shares.get(kind, 0.0) for kind in lesson.kinds], dtype=float)
        kind = "none"
        if not lesson.memory and shares.sum() > 0:
            kind = lesson.kinds[int(self._rng.choice(len(shares), p=shares / shares.sum()))]
        points = None
        if kind != "none" and ready.prompts is not None:
            coords, labels = ready.prompts.draw(self._rng, kind)
            scale = np.array([self._size / lesson.mask.shape[1], self._size / lesson.mask.shape[0]])
            points = (
                torch.tensor(coords * scale, dtype=torch.float32, device=self._device)[None],
                torch.tensor(labels, dtype=torch.int32, device=self._device)[None],
            )
        place = lesson.place if self._rng.random() < 0.7 else None
        logits, ious, objects = self._heads(top, fine, points, None, place)
        return decoder_loss(logits, ious, objects, ready.truth)

    def _lesson(self, number: int) -> _Ready:
        ready = self._ready.get(number)
        if ready is None:
            lesson = self._lessons[number]
            side = self._size // 4
            whole = torch.from_numpy(lesson.mask.astype(np.float32))[None, None].to(self._device)
            truth = F.interpolate(whole, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
            prompts = LessonPrompts(lesson.mask) if lesson.mask.any() else None
            ready = self._ready[number] = _Ready(lesson, self._levels_of(lesson), truth, prompts)
        return ready


def decoder_loss(logits: torch.Tensor, ious: torch.Tensor, objects: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross entropy and Dice at the decoder's resolution, error of the predicted IoU, and whether the object is there.

    Args:
        logits: (B, 1, h, w) mask logits, before "no object" replaces them.
        ious: (B, 1) predicted IoU.
        objects: (B, 1) logit that the object is there.
        truth: (B, 1, h, w) share of each cell that is the object; all 0 where it is absent.
    """
    logits = logits.float().clamp(-_LOGIT_BOUND, _LOGIT_BOUND)
    present = (truth.flatten(1).amax(dim=1) > 0).float()
    probability = logits.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(1, 2, 3))
    overlap = 2 * (probability * truth).sum(dim=(1, 2, 3))
    dice = 1 - (overlap + 1) / (probability.sum(dim=(1, 2, 3)) + truth.sum(dim=(1, 2, 3)) + 1)
    with torch.no_grad():
        hard, hard_truth = logits > 0, truth > 0.5
        both, either = (hard & hard_truth).sum(dim=(1, 2, 3)), (hard | hard_truth).sum(dim=(1, 2, 3))
        true_iou = both / either.clamp(min=1)
    there = F.binary_cross_entropy_with_logits(objects[:, 0].float(), present, reduction="none")
    losses = cross_entropy + present * (dice + 0.1 * (ious[:, 0].float() - true_iou).abs()) + 0.1 * there
    return losses.mean()
