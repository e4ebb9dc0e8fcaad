"""Clips: a few neighboring slices of one object, cropped and resampled as the model will see them. Imports torch and numpy.

The crop follows the region of interest of `propagation`: a square of about twice the box on the prompted slice. All draws come from the
generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .labeled_volume import LabeledVolume, SlicedObject

# Gray levels between the object and what is around it; an object that nobody can see teaches guessing.
_LEAST_CONTRAST = 10


@dataclass(frozen=True)
class Clip:
    """One object on T slices in the order of propagation; the first slice is prompted.

    Args:
        images: (T, S, S) float32 in 0..255.
        masks: (T, S, S) bool.
    """

    images: torch.Tensor
    masks: torch.Tensor


def draw_clip(rng: np.random.Generator, volumes: list[LabeledVolume], probabilities: np.ndarray, length: int, size: int) -> Clip:
    """Draw a clip of `length` slices at `size` pixels; draws again until the object is visible on the first slice."""
    while True:
        volume = volumes[rng.choice(len(volumes), p=probabilities)]
        axis = int(rng.choice(volume.axes))
        item = volume.objects[axis][rng.integers(len(volume.objects[axis]))]
        clip = _cut(rng, volume, axis, item, length, size)
        if clip is not None:
            return clip


def _cut(rng, volume: LabeledVolume, axis: int, item: SlicedObject, length: int, size: int) -> Clip | None:
    large = item.areas >= (0.3 if rng.random() < 0.7 else 0.05) * item.areas.max()
    seed = int(rng.choice(np.flatnonzero(large)))
    position, box = int(item.positions[seed]), item.boxes[seed].astype(float)
    frames, components = np.moveaxis(volume.frames, axis, 0), np.moveaxis(volume.components, axis, 0)
    spacing_rc = np.delete(np.array(volume.spacing_src_mm), axis)
    positions = _propagation_order(rng, position, item, frames.shape[0], length)

    center = np.array([box[0] + box[1], box[2] + box[3]]) / 2
    sides_mm = np.array([box[1] - box[0], box[3] - box[2]]) * spacing_rc
    # About twice the box, as the region of interest is; less where the slice ends before that.
    factor = rng.uniform(1.05, 1.5) if rng.random() < 0.3 else rng.uniform(1.5, 2.8)
    side_mm = sides_mm.max() * factor
    room = np.minimum((side_mm - sides_mm) / 2 * 0.9, 0.1 * side_mm)
    center = center + rng.uniform(-1, 1, 2) * room / spacing_rc

    # Affine from output [-1, 1]^2 (column, row) to input [-1, 1]^2 of the frames.
    half_rc = side_mm / 2 / spacing_rc * np.exp(rng.normal(0, 0.06, 2))
    angle = rng.choice(4) * np.pi / 2 + (rng.uniform(-0.35, 0.35) if rng.random() < 0.5 else 0.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        turn = turn @ np.diag([1.0, -1.0])
    # Turn in mm, so that uneven spacing is not sheared.
    scale_rc = np.diag(half_rc * spacing_rc) @ turn
    shape_rc = np.array(frames.shape[1:], dtype=float)
    matrix_rc = np.diag(2.0 / shape_rc / spacing_rc) @ scale_rc
    offset_rc = 2.0 * center / shape_rc - 1.0

    # Cut the needed part of the frames before touching their values: a crop's cost must not grow with the volume.
    reach = np.ceil(np.abs(matrix_rc).sum(axis=1) * shape_rc / 2 + 2).astype(int)
    low = np.maximum(np.floor(center).astype(int) - reach, 0)
    high = np.minimum(np.ceil(center).astype(int) + reach, shape_rc.astype(int))
    window = (positions, slice(low[0], high[0]), slice(low[1], high[1]))
    parts_mask = (components[window] == item.component).astype(np.float32)
    part = _mapped(rng, volume, frames[window].astype(np.float32), parts_mask)
    if part is None:
        return None
    part_shape = (high - low).astype(float)
    matrix_rc = np.diag(shape_rc / part_shape) @ matrix_rc
    offset_rc = (offset_rc + 1) * shape_rc / part_shape - 2 * low / part_shape - 1

    theta = torch.tensor([
        [matrix_rc[1, 1], matrix_rc[1, 0], offset_rc[1]],
        [matrix_rc[0, 1], matrix_rc[0, 0], offset_rc[0]],
    ], dtype=torch.float32)[None]  # fmt: skip
    grid = F.affine_grid(theta, [1, 1, size, size], align_corners=False)
    stacked = torch.from_numpy(np.stack([part, parts_mask * 255.0], axis=1)).reshape(1, -1, *part.shape[1:])
    sampled = F.grid_sample(stacked, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    sampled = sampled.reshape(len(positions), 2, size, size)
    masks = sampled[:, 1] > 127.5
    if masks[0].sum() < 20:
        return None
    return Clip(_degraded(rng, sampled[:, 0]), masks)


def _propagation_order(rng, seed: int, item: SlicedObject, slices: int, length: int) -> list[int]:
    if length == 1:
        return [seed]
    direction = int(rng.choice([-1, 1]))
    ahead = (item.positions[-1] - seed) if direction > 0 else (seed - item.positions[0])
    if ahead < length - 1 and rng.random() < 0.8:  # mostly go where the object goes on
        behind = (seed - item.positions[0]) if direction > 0 else (item.positions[-1] - seed)
        direction = -direction if behind > ahead else direction
    step = direction * (2 if rng.random() < 0.2 else 1)
    return [int(np.clip(seed + step * n, 0, slices - 1)) for n in range(length)]


def _mapped(rng, volume: LabeledVolume, part: np.ndarray, masks: np.ndarray) -> np.ndarray | None:
    """Values to 0..255 by a drawn window in which the object can be seen; None if it cannot."""
    inside = masks[0] > 0
    for _ in range(4):
        lower, upper = volume.windows[rng.integers(len(volume.windows))] if volume.windows else (0.0, 255.0)
        width = upper - lower
        lower, upper = lower + rng.normal(0, 0.06) * width, upper + rng.normal(0, 0.08) * width
        mapped = np.clip((part - lower) * (255.0 / (upper - lower)), 0, 255).astype(np.float32)
        if inside.all() or abs(mapped[0][inside].mean() - mapped[0][~inside].mean()) > _LEAST_CONTRAST:
            return mapped
    return None


def _degraded(rng, images: torch.Tensor) -> torch.Tensor:
    """The clip's own gray scale, noise and blur, the same for all its slices."""
    unit = images / 255.0
    if rng.random() < 0.15:
        unit = 1.0 - unit
    if rng.random() < 0.5:
        unit = unit.clamp(0, 1) ** float(np.exp(rng.normal(0, 0.3)))
    if rng.random() < 0.5:
        unit = (unit - 0.5) * float(np.exp(rng.normal(0, 0.2))) + 0.5 + float(rng.normal(0, 0.05))
    if rng.random() < 0.2:
        unit = F.avg_pool2d(unit[:, None], 3, 1, 1)[:, 0]
    if rng.random() < 0.5:
        noise = torch.from_numpy(rng.normal(0, rng.uniform(0, 0.06), images.shape).astype(np.float32))
        unit = unit + noise
    return (unit * 255.0).clamp(0, 255)
