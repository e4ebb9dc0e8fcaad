"""Prompts for training: jittered boxes and clicks, in the pixels of the clip. Imports torch and numpy."""

from __future__ import annotations

import numpy as np
import torch

_MAX_POINTS = 5  # two box corners and three clicks; label -1 pads
_BOX_CORNERS = (2, 3)


def draw_point_prompts(rng: np.random.Generator, masks: torch.Tensor) -> dict[str, torch.Tensor]:
    """One prompt a clip: a box (two thirds), clicks, or both, as SAM 2 takes them.

    A box's sides change by up to 5 % and then it shifts by up to 5 % of a side (the bounds of study A); one in five is looser.

    Args:
        masks: (B, S, S) bool, none empty.

    Returns:
        point_coords (B, P, 2) float32 as (x, y) and point_labels (B, P) int32; 2 and 3 are box corners, 1 and 0 clicks.
    """
    coords = np.zeros((len(masks), _MAX_POINTS, 2), dtype=np.float32)
    labels = np.full((len(masks), _MAX_POINTS), -1, dtype=np.int32)
    for n, mask in enumerate(masks.numpy()):
        kind = rng.choice(["box", "box", "box", "box", "both", "clicks"])
        used = 0
        if kind != "clicks":
            coords[n, :2], labels[n, :2] = _jittered_box(rng, mask), _BOX_CORNERS
            used = 2
        if kind != "box":
            for m in range(int(rng.integers(1, 4))):
                positive = bool(m == 0 and kind == "clicks") or rng.random() < 0.6
                rows, cols = np.nonzero(mask if positive or mask.all() else ~mask)
                pick = rng.integers(len(rows))
                coords[n, used + m] = cols[pick] + 0.5, rows[pick] + 0.5
                labels[n, used + m] = int(positive)
    return {"point_coords": torch.from_numpy(coords), "point_labels": torch.from_numpy(labels)}


def _jittered_box(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.array([[cols[0], rows[0]], [cols[-1] + 1, rows[-1] + 1]], dtype=np.float32)
    sides = box[1] - box[0]
    amount = 0.05 if rng.random() < 0.8 else 0.15
    grow = sides * rng.uniform(-amount, amount, 2) / 2
    shift = sides * rng.uniform(-amount, amount, 2)
    return np.clip(box + shift + np.stack([-grow, grow]), 0, mask.shape[0]).astype(np.float32)
