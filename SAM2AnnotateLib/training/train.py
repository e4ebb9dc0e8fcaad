"""The training loop: stages, schedule, checkpoints, log. Imports torch, sam2 and the rest of this room.

Resumable: everything that the next step needs (weights, optimizer, averaged weights, step, generator) is in one checkpoint file, written
whole or not at all.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate

from ..atomic_files import replaced_atomically
from ..engine.models.model_configs import ARCHITECTURES, model_config
from .clips import draw_clip
from .labeled_volume import LabeledVolume
from .losses import slice_loss
from .prompts import draw_point_prompts
from .synthetic import synthetic_volume

_PEAK_RATE, _LAST_RATE, _WARM_UP = 1e-3, 2e-5, 200
_AVERAGE_DECAY = 0.999
_SYNTHETIC_SHARE = 0.35


@dataclass(frozen=True)
class Stage:
    """A stretch of training: `steps` batches of `clips` clips of one of `lengths` slices at `size` pixels."""

    steps: int
    size: int
    clips: int
    lengths: tuple[int, ...]
    bf16: bool = False


DEFAULT_STAGES = (
    Stage(steps=1800, size=128, clips=24, lengths=(1,)),
    Stage(steps=2000, size=128, clips=8, lengths=(1, 4, 5)),
    Stage(steps=2600, size=256, clips=5, lengths=(1, 4, 4, 6), bf16=True),
)


class Trainer:
    """Trains a compact SAM 2.

    Args:
        real: real volumes to draw from, may be empty.
        folder: where ``state.pt`` and ``log.jsonl`` are kept; an existing state is resumed.
        stages: what to do; a changed plan takes effect on resuming.
        seed: of every draw.
        pool: number of synthetic volumes held; one is renewed every few steps.
        device: torch device name. Clips and prompts are drawn on the processor either way, and so alike.
    """

    def __init__(
        self,
        real: list[LabeledVolume],
        folder: Path,
        stages: tuple[Stage, ...] = DEFAULT_STAGES,
        seed: int = 0,
        pool: int = 200,
        device: str = "cpu",
    ):
        self.folder, self.stages, self.real, self.device = folder, stages, real, device
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.model = build_trainable(stages[0].size).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=_PEAK_RATE, weight_decay=0.01, betas=(0.9, 0.98))
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.step = 0
        if self.state_file.exists():
            self._resume()
        self.pool = [synthetic_volume(self.rng) for _ in range(pool)]
        self.probabilities = self._probabilities()

    @property
    def state_file(self) -> Path:
        """The checkpoint that training resumes from."""
        return self.folder / "state.pt"

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def run(self, save_every: int = 200, log_every: int = 50) -> None:
        """Train to the end of the last stage."""
        started, recent = time.time(), []
        while self.step < self.total_steps:
            stage = self._stage()
            if self.model.image_size != stage.size:
                self._resize(stage.size)
            loss, first_dice, later_dice = self._train_step(stage)
            recent.append((loss, first_dice, later_dice))
            self.step += 1
            if self.step % 4 == 0:
                self.pool[int(self.rng.integers(len(self.pool)))] = synthetic_volume(self.rng)
            if self.step % log_every == 0 or self.step == self.total_steps:
                loss, first, later = (_mean(column) for column in zip(*recent, strict=True))
                line = {"step": self.step, "loss": round(loss, 4), "dice_prompted": round(first, 4), "dice_propagated": round(later, 4)}
                line |= {"rate": round(self._rate(), 6), "size": stage.size, "seconds": round(time.time() - started, 1)}
                with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
                    log.write(json.dumps(line) + "\n")
                print(line, flush=True)
                recent = []
            if self.step % save_every == 0 or self.step == self.total_steps:
                self._save()

    # -- one step ----------------------------------------------------------------------------------------------------------------

    def _train_step(self, stage: Stage) -> tuple[float, float, float]:
        length = int(self.rng.choice(stage.lengths))
        count = stage.clips * (3 if length == 1 and len(stage.lengths) > 1 else 1)
        volumes = [*self.pool, *self.real]
        clips = [draw_clip(self.rng, volumes, self.probabilities, length, stage.size) for _ in range(count)]
        images = torch.stack([clip.images for clip in clips], dim=1).to(self.device)  # (T, B, S, S)
        masks = torch.stack([clip.masks for clip in clips], dim=1).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=stage.bf16):
            loss, first, later = self._clip_loss(images, masks)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        decay = min(_AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        return float(loss.detach()), first, later

    def _clip_loss(self, images: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, float, float]:
        model = self.model
        length, count = masks.shape[:2]
        mean, std = (torch.tensor(v, device=images.device)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        frames = (images.flatten(0, 1)[:, None] / 255.0 - mean) / std
        _, features, positions, sizes = model._prepare_backbone_features(model.forward_image(frames))
        output: dict[str, dict[int, dict]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
        reverse = bool(self.rng.random() < 0.5)
        index_of = [length - 1 - t if reverse else t for t in range(length)]
        by_mask = length > 1 and self.rng.random() < 0.3
        far_end_given = by_mask and length >= 4 and self.rng.random() < 0.5
        order = [length - 1, *range(length - 1)] if far_end_given else list(range(length))
        losses, dice = [], {}
        for t in order:
            conditioned = t == 0 or (far_end_given and t == length - 1)
            mask_inputs = masks[t][:, None].float() if conditioned and by_mask else None
            point_inputs = None
            if conditioned and not by_mask:
                drawn = draw_point_prompts(self.rng, masks[t].cpu())
                point_inputs = {name: value.to(masks.device) for name, value in drawn.items()}
            here = slice(t * count, (t + 1) * count)
            vision, places = [f[:, here] for f in features], [p[:, here] for p in positions]
            current, outputs, _, _ = model._track_step(
                index_of[t], conditioned, vision, places, sizes, point_inputs, mask_inputs, output, length, reverse, None
            )
            _, _, ious, low_res, high_res, pointer, object_logits = outputs
            current |= {"pred_masks": low_res, "obj_ptr": pointer}
            if length > 1:
                model._encode_memory_in_output(vision, sizes, point_inputs, True, high_res, object_logits, current)
            output["cond_frame_outputs" if conditioned else "non_cond_frame_outputs"][index_of[t]] = current
            if mask_inputs is None:
                loss, hard_dice = slice_loss(low_res, ious, object_logits, masks[t])
                losses.append(loss)
                dice[t] = hard_dice.nanmean().item()
        return torch.stack(losses).mean(), dice.get(0, math.nan), _mean(value for t, value in dice.items() if t > 0)

    # -- schedule and state --------------------------------------------------------------------------------------------------------

    def _probabilities(self) -> np.ndarray:
        real = np.array([volume.weight for volume in self.real])
        synthetic_share = _SYNTHETIC_SHARE if len(real) else 1.0
        synthetic = np.full(len(self.pool), synthetic_share / len(self.pool))
        return np.concatenate([synthetic, (1 - synthetic_share) * real / real.sum()]) if len(real) else synthetic

    def _stage(self) -> Stage:
        begun = 0
        for stage in self.stages:
            begun += stage.steps
            if self.step < begun:
                return stage
        return self.stages[-1]

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / _WARM_UP)
        done = min(1.0, self.step / self.total_steps)
        return warm * (_LAST_RATE + (_PEAK_RATE - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done)))

    def _resize(self, size: int) -> None:
        """Go on at another image size: no weight depends on it, only the prompt encoder's and the rotary codes' tables do."""
        resized = build_trainable(size).to(self.device)
        resized.load_state_dict(self.model.state_dict())
        state = self.optimizer.state_dict()
        self.model = resized
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=_PEAK_RATE, weight_decay=0.01, betas=(0.9, 0.98))
        self.optimizer.load_state_dict(state)

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "size": self.model.image_size,
            "rng": json.dumps(self.rng.bit_generator.state),
        }
        with replaced_atomically(self.state_file) as partial:
            torch.save(state, partial)

    def _resume(self) -> None:
        state = torch.load(self.state_file, map_location=self.device, weights_only=True)
        if state["size"] != self.model.image_size:
            self._resize(state["size"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step = state["average"], state["step"]
        self.rng.bit_generator.state = json.loads(state["rng"])
        print(f"Resumed at step {self.step} of {self.total_steps}.", flush=True)


def _mean(values: Iterable[float]) -> float:
    """The mean of the values that are not NaN; NaN if none is left."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def build_trainable(size: int) -> torch.nn.Module:
    """The compact architecture with fresh weights, in training mode.

    The object score starts at "present": its gate would otherwise cut the gradient of half of all masks from the start.
    """
    model = instantiate(model_config(ARCHITECTURES["compact"], size))
    torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 2.0)
    return model.train()
