"""Learning with SAM 2: one run of the mask decoder a step, on embeddings that are there. Imports torch and the neighbors."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .learning import LESSON_KINDS, LearningSettings, Lesson
from .lesson_prompts import LessonPrompts
from .sam2_heads import LearnedHeads

# SAM 2 replaces the mask by -1024 where it says "no object"; without a bound one such slice would drown the batch.
_LOGIT_BOUND = 20.0
_LAST_RATE = 0.05
_WARM_UP_STEPS = 8
# A lesson with memories is asked what follows from them; as one without, it gets no prompt.
PROMPTLESS = ("none", "memory")
_KNOWN_PLACES, _ONE_CLICK = 0.7, 0.6
# Lessons as the decoder takes them are kept up to here, those drawn last; at 1024 pixels one takes 16 MB.
_MOST_READY_BYTES = 1 << 30


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

    @property
    def bytes(self) -> int:
        """That it takes, as if its levels were its own."""
        return sum(one.numel() * one.element_size() for one in (*self.levels, self.truth))


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
        self._chances = _chances_by_kind(lessons)
        self._kinds = [kind for kind in self._chances if settings.shares.get(kind, 0) > 0] or list(self._chances)
        shares = np.array([settings.shares.get(kind, 1.0) for kind in self._kinds], dtype=float)
        self._kind_chances = shares / shares.sum()
        self._ready: OrderedDict[int, _Ready] = OrderedDict()
        self._ready_bytes = 0
        heads.train()
        self._optimizer = torch.optim.AdamW(heads.trainable(settings.trained), lr=settings.learning_rate, weight_decay=0.0)
        self.steps = 0

    def step(self, done: float = 0.0) -> float:
        """One step; `done` is the share of the budget that is used."""
        self.steps += 1
        rate = _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0)))
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * rate * min(1.0, self.steps / _WARM_UP_STEPS)
        with self._running():
            self._optimizer.zero_grad(set_to_none=True)
            loss = self._loss()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for g in self._optimizer.param_groups for p in g["params"]], 1.0)
            self._optimizer.step()
            return float(loss.detach())

    def tensors(self) -> dict[str, np.ndarray]:
        """What differs from the base model now."""
        return self._heads.differences()

    def _loss(self) -> torch.Tensor:
        """Of some lessons that are all asked with the same kind of prompt."""
        kind = self._kinds[int(self._rng.choice(len(self._kinds), p=self._kind_chances))]
        chances = self._chances[kind]
        numbers = self._rng.choice(len(chances), size=min(self._settings.batch, int((chances > 0).sum())), replace=False, p=chances)
        drawn = [self._lesson(int(number)) for number in numbers]
        # To float32 first: under autocast to bfloat16 torch refuses to stack what is kept as float16.
        top, *fine = (torch.stack([one.float() for one in levels]) for levels in zip(*(ready.levels for ready in drawn), strict=True))
        points = None if kind in PROMPTLESS else self._points(drawn, kind)
        told = [kind == "memory" or self._rng.random() < _KNOWN_PLACES for _ in drawn]  # between marked ends the place is known
        places = [ready.lesson.place if one else None for ready, one in zip(drawn, told, strict=True)]
        logits, ious, objects = self._heads(top, fine, points, None, places)
        return decoder_loss(logits, ious, objects, torch.cat([ready.truth for ready in drawn]))

    def _points(self, drawn: Sequence[_Ready], kind: str) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, P, 2) coordinates in the model's pixels and (B, P) labels; as many clicks for each."""
        more = 0 if self._rng.random() < _ONE_CLICK else int(self._rng.integers(1, 4))
        coords, labels = [], []
        for ready in drawn:
            assert ready.prompts is not None  # an empty mask is asked without a prompt
            pixels, kinds = ready.prompts.draw(self._rng, kind, more)
            coords.append(pixels * (self._size / np.array(ready.lesson.mask.shape[::-1])))
            labels.append(kinds)
        as_tensor = lambda values, dtype: torch.tensor(np.array(values), dtype=dtype, device=self._device)  # noqa: E731
        return as_tensor(coords, torch.float32), as_tensor(labels, torch.int32)

    def _lesson(self, number: int) -> _Ready:
        ready = self._ready.get(number)
        if ready is None:
            lesson = self._lessons[number]
            side = self._size // 4
            whole = torch.from_numpy(lesson.mask.astype(np.float32))[None, None].to(self._device)
            truth = F.interpolate(whole, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
            prompts = LessonPrompts(lesson.mask) if lesson.mask.any() else None
            ready = self._ready[number] = _Ready(lesson, self._levels_of(lesson), truth, prompts)
            self._ready_bytes += ready.bytes
            while self._ready_bytes > _MOST_READY_BYTES and len(self._ready) > self._settings.batch:
                self._ready_bytes -= self._ready.popitem(last=False)[1].bytes
        self._ready.move_to_end(number)
        return ready


def _chances_by_kind(lessons: Sequence[Lesson]) -> dict[str, np.ndarray]:
    """By kind of prompt, each lesson's chance to be drawn for it; kinds that no lesson takes are left out."""
    chances = {}
    for kind in (*LESSON_KINDS, "memory"):
        takes = [kind == "memory" if lesson.memory else kind in lesson.kinds for lesson in lessons]
        weights = np.array([lesson.weight * taken for lesson, taken in zip(lessons, takes, strict=True)], dtype=float)
        if weights.sum() > 0:
            chances[kind] = weights / weights.sum()
    return chances


@dataclass(frozen=True, eq=False)
class MaskTerms:
    """Of each slice of a batch, (B,) each.

    Args:
        cross_entropy: mean over the cells.
        dice_loss: 1 less the soft Dice coefficient.
        both, hard, hard_truth: cells of the intersection, the mask and the truth.
        true_iou: of the mask with the truth.
    """

    cross_entropy: torch.Tensor
    dice_loss: torch.Tensor
    both: torch.Tensor
    hard: torch.Tensor
    hard_truth: torch.Tensor
    true_iou: torch.Tensor


def mask_terms(logits: torch.Tensor, truth: torch.Tensor) -> MaskTerms:
    """Compare (B, 1, h, w) logits with the share of each cell that is the object."""
    logits = logits.float().clamp(-_LOGIT_BOUND, _LOGIT_BOUND)
    probability = logits.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(1, 2, 3))
    overlap = 2 * (probability * truth).sum(dim=(1, 2, 3))
    dice = 1 - (overlap + 1) / (probability.sum(dim=(1, 2, 3)) + truth.sum(dim=(1, 2, 3)) + 1)
    with torch.no_grad():
        hard, hard_truth = logits > 0, truth > 0.5
        both, either = (hard & hard_truth).sum(dim=(1, 2, 3)), (hard | hard_truth).sum(dim=(1, 2, 3))
        true_iou = both / either.clamp(min=1)
    return MaskTerms(cross_entropy, dice, both, hard.sum(dim=(1, 2, 3)), hard_truth.sum(dim=(1, 2, 3)), true_iou)


def decoder_loss(logits: torch.Tensor, ious: torch.Tensor, objects: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross entropy and Dice at the decoder's resolution, error of the predicted IoU, and whether the object is there.

    Args:
        logits: (B, 1, h, w) mask logits, before "no object" replaces them.
        ious: (B, 1) predicted IoU.
        objects: (B, 1) logit that the object is there.
        truth: (B, 1, h, w) share of each cell that is the object; all 0 where it is absent.
    """
    terms = mask_terms(logits, truth)
    present = (truth.flatten(1).amax(dim=1) > 0).float()
    there = F.binary_cross_entropy_with_logits(objects[:, 0].float(), present, reduction="none")
    losses = terms.cross_entropy + present * (terms.dice_loss + 0.1 * (ious[:, 0].float() - terms.true_iou).abs()) + 0.1 * there
    return losses.mean()
