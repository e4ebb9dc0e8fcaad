"""What both engines are, give to a SAM 2 and take from it: pictures, points, masks, predictions, what a memory forgets. Imports torch.

(x, y) pixels start here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..prompts import SlicePrompt
from .compute import Compute
from .engine import SlicePrediction

# The bound that SAM2VideoPredictor sets for a mask that goes back into the decoder together with points.
SKETCH_LOGIT_BOUND = 32.0
Rgb = tuple[float, float, float]


class LoadedModel:
    """A model in evaluation mode on its device.

    Args:
        model: has `image_size` and `num_maskmem`, as SAM 2 has in every package.
        name: of the checkpoint.
        weights_sha256: of its file.
        compute: where and how.
        architecture: its name, for the record.
        mean, std: of the pictures that it was trained with, by channel.
    """

    def __init__(self, model: Any, name: str, weights_sha256: str, compute: Compute, architecture: str, mean: Rgb, std: Rgb):
        self._model, self.compute = model, compute
        self._name, self._weights_sha256, self._architecture = name, weights_sha256, architecture
        self._positions: list[torch.Tensor] | None = None
        self._mean = torch.tensor(mean)[:, None, None]
        self._std = torch.tensor(std)[:, None, None]

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self._name

    @property
    def image_size(self) -> int:
        """Pixels per side that frames are resampled to."""
        return int(self._model.image_size)

    @property
    def architecture(self) -> str:
        """The architecture's name."""
        return self._architecture

    @property
    def weights_sha256(self) -> str:
        """Of the weights as they came."""
        return self._weights_sha256

    @property
    def memory_reach(self) -> int:
        """Preceding slices whose mask memories a step reads."""
        return int(self._model.num_maskmem) - 1

    def _picture(self, frame: np.ndarray) -> torch.Tensor:
        return picture_of(frame, self.image_size, self._mean, self._std, self.compute.device)


def picture_of(frame: np.ndarray, size: int, mean: torch.Tensor, std: torch.Tensor, device: str) -> torch.Tensor:
    """(1, 3, size, size) of one uint8 frame (rows, cols), resampled as `load_video_frames` of sam2 does."""
    resampled = np.array(Image.fromarray(np.ascontiguousarray(frame)).resize((size, size))) / 255.0
    picture = torch.from_numpy(resampled).float().expand(3, size, size)
    return ((picture - mean) / std)[None].to(device)


def marks_of(prompt: SlicePrompt, shape_rc: tuple[int, int], size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Box corners, then clicks: (1, N, 2) as (x, y) in the model's pixels, and (1, N) labels.

    A box runs along voxel edges, a click sits at a voxel's center.
    """
    coords: list[tuple[float, float]] = []
    labels: list[int] = []
    if prompt.box is not None:
        coords += [(prompt.box.col_start, prompt.box.row_start), (prompt.box.col_stop, prompt.box.row_stop)]
        labels += [2, 3]
    for point in prompt.points:
        coords.append((point.col + 0.5, point.row + 0.5))
        labels.append(int(point.positive))
    rows, cols = shape_rc
    # In stock's order of operations, so that the last bit is the same.
    normalized = torch.tensor(coords, dtype=torch.float32)[None] / torch.tensor([cols, rows])
    return normalized * size, torch.tensor(labels, dtype=torch.int32)[None]


def mask_of(mask: np.ndarray, size: int, device: str) -> torch.Tensor:
    """(1, 1, size, size) of 0 and 1 from (rows, cols) bool."""
    whole = torch.from_numpy(np.array(mask, dtype=np.float32))[None, None].to(device)
    if mask.shape == (size, size):
        return whole
    return (F.interpolate(whole, size=(size, size), align_corners=False, mode="bilinear", antialias=True) >= 0.5).float()


def prediction_of(
    logits: torch.Tensor, ious: torch.Tensor, object_logits: torch.Tensor, shape_rc: tuple[int, int], bounded: bool = False
) -> SlicePrediction:
    """At the frame's resolution, from (1, 1, rows, cols) logits of any resolution; `bounded`: the IoU is brought into 0..1 first."""
    logits = logits.float()
    if tuple(logits.shape[-2:]) != tuple(shape_rc):
        logits = F.interpolate(logits, size=tuple(shape_rc), mode="bilinear", align_corners=False)
    ious = ious.float()
    return SlicePrediction(
        logits=logits[0, 0].cpu().numpy(),
        predicted_iou=float((ious.clamp(0, 1) if bounded else ious).max()),
        object_score=float(object_logits.float().sigmoid().max()),
    )


def given_back(final: np.ndarray) -> SlicePrediction:
    """What is said of a slice whose mask is final: the mask."""
    return SlicePrediction(np.where(final, np.float32(10), np.float32(-10)), 1.0, float(final.any()))


def forget(past: dict[int, dict[str, Any]], position: int, mask_reach: int, pointer_reach: int, pointer: str) -> None:
    """Drop of the slices passed what no step from `position` on can read.

    Args:
        past: what is remembered of each, by position.
        position: of the newest slice.
        mask_reach, pointer_reach: in how many slices masks and object pointers are read.
        pointer: the object pointer's name.
    """
    for other in list(past):
        distance = abs(position - other)
        if distance >= max(mask_reach, pointer_reach):
            del past[other]
        elif distance >= mask_reach:
            past[other] = {pointer: past[other][pointer]}


def settle_due(memory: Mapping[str, dict[int, dict]], position: int, kept: dict, prompted: bool) -> None:
    """Put what is kept of a slice where the model looks for it; a slice that is prompted is no other slice any more."""
    memory["cond_frame_outputs" if prompted else "non_cond_frame_outputs"][position] = kept
    if prompted:
        memory["non_cond_frame_outputs"].pop(position, None)
