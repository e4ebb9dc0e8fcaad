"""Synthetic volumes: organs, lumps, tubes and shells with texture, blur and noise. Imports torch and numpy.

Regions that fill the field are the largest of several smooth random fields (as in SynthMorph, Hoffmann et al. 2022, IEEE TMI 41(3)); lumps,
tubes and shells are laid over them. Every draw comes from the generator that is passed in.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from .labeled_volume import LabeledVolume

SHAPE_SRC = (18, 144, 144)


def synthetic_volume(rng: np.random.Generator, name: str = "synthetic") -> LabeledVolume:
    """One volume of `SHAPE_SRC` with 6 to 20 labels, uint8 frames."""
    torch_rng = torch.Generator().manual_seed(int(rng.integers(2**62)))
    labels, means = _regions(rng, torch_rng)
    image = means[labels]
    for _ in range(int(rng.integers(3, 9))):
        image, labels = _add_object(rng, torch_rng, image, labels)
    image = image + _textures(rng, torch_rng, labels)
    image = _degraded(rng, torch_rng, image)
    thickness = float(rng.uniform(1.0, 5.0))
    frames = image.clamp(0, 255).round().to(torch.uint8).numpy()
    return LabeledVolume(name, frames, labels.numpy().astype(np.int32), (thickness, 1.0, 1.0))


def _field(torch_rng: torch.Generator, coarse: tuple[int, int, int], count: int = 1) -> torch.Tensor:
    """(count, slice, row, col) smooth standard-normal-like fields, interpolated from a coarse grid."""
    noise = torch.randn((1, count, *coarse), generator=torch_rng)
    return F.interpolate(noise, size=SHAPE_SRC, mode="trilinear", align_corners=True)[0]


def _regions(rng: np.random.Generator, torch_rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    count = int(rng.integers(2, 9))
    side = int(rng.integers(3, 9))
    fields = _field(torch_rng, (int(rng.integers(2, 5)), side, side), count)
    if rng.random() < 0.6:
        fields = fields + rng.uniform(0.1, 0.5) * _field(torch_rng, (4, 3 * side, 3 * side), count)
    fields = fields + torch.from_numpy(rng.normal(0, 0.4, count).astype(np.float32))[:, None, None, None]
    labels = fields.argmax(dim=0) + 1
    if rng.random() < 0.5:  # a body in front of air
        rows, cols = torch.meshgrid(torch.linspace(-1, 1, SHAPE_SRC[1]), torch.linspace(-1, 1, SHAPE_SRC[2]), indexing="ij")
        body = (rows / rng.uniform(0.6, 1.2)) ** 2 + (cols / rng.uniform(0.6, 1.2)) ** 2 + 0.25 * _field(torch_rng, (2, 6, 6))[0] < 1
        labels = torch.where(body, labels, 0)
    means = torch.from_numpy(rng.uniform(5, 240, count + 1).astype(np.float32))
    if rng.random() < 0.7:
        means[0] = float(rng.uniform(0, 25))
    return labels, means


def _add_object(rng, torch_rng, image: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    depth, height, width = SHAPE_SRC
    z = torch.arange(depth, dtype=torch.float32)[:, None, None]
    y = torch.arange(height, dtype=torch.float32)[None, :, None]
    x = torch.arange(width, dtype=torch.float32)[None, None, :]
    kind = rng.choice(["lump", "lump", "lump", "tube", "shell"])
    center = rng.uniform([0, 15, 15], [depth, height - 15, width - 15])
    radius = np.exp(rng.uniform(np.log(5), np.log(42), 2))
    radius[1] = radius[0] * np.exp(rng.normal(0, 0.35))
    angle = rng.uniform(0, np.pi)
    if kind == "tube":
        radius = np.minimum(radius, 20)
        drift_y, drift_x = (_path(rng, depth) for _ in range(2))
        dy, dx = y - float(center[1]) - drift_y, x - float(center[2]) - drift_x
        depth_term = torch.zeros_like(z)
    else:
        slope = rng.normal(0, 1.2, 2)
        dz = z - float(center[0])
        dy, dx = y - float(center[1]) - float(slope[0]) * dz, x - float(center[2]) - float(slope[1]) * dz
        depth_term = (dz / float(rng.uniform(3, 16))) ** 2
    across = (dy * float(np.cos(angle)) + dx * float(np.sin(angle))) / float(radius[0])
    along = (dx * float(np.cos(angle)) - dy * float(np.sin(angle))) / float(radius[1])
    roughness = float(rng.choice([0.0, 0.15, 0.35, 0.7]))
    knots = int(rng.integers(4, 14))
    level = across**2 + along**2 + depth_term + roughness * _field(torch_rng, (int(rng.integers(2, 6)), knots, knots))[0]
    inside = level < 1
    if not inside.any():
        return image, labels
    label = int(labels.max()) + 1
    around = float(image[inside].mean())
    contrast = float(rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(14), np.log(120))))
    value = float(np.clip(around + contrast, 0, 250))
    image, labels = torch.where(inside, value, image), torch.where(inside, label, labels)
    if kind == "shell":
        core = level < float(rng.uniform(0.3, 0.7))
        core_value = float(np.clip(value + rng.choice([-1, 1]) * rng.uniform(20, 120), 0, 250))
        image, labels = torch.where(core, core_value, image), torch.where(core, label + 1, labels)
    return image, labels


def _path(rng: np.random.Generator, depth: int) -> torch.Tensor:
    steps = np.convolve(rng.normal(0, 1.5, depth + 4), np.ones(5) / 5, mode="valid")
    return torch.from_numpy(np.cumsum(steps + rng.normal(0, 0.8)).astype(np.float32))[:, None, None]


def _textures(rng, torch_rng, labels: torch.Tensor) -> torch.Tensor:
    knots = (8, 16, 36, 72)
    fields = torch.stack([_field(torch_rng, (9, n, n))[0] for n in rng.choice(knots, 2, replace=False)])
    count = int(labels.max()) + 1
    amplitudes = torch.from_numpy((rng.uniform(0, 14, (2, count)) * (rng.random((2, count)) < 0.6)).astype(np.float32))
    return (amplitudes[:, labels] * fields).sum(dim=0)


def _degraded(rng, torch_rng, image: torch.Tensor) -> torch.Tensor:
    sigma = float(rng.uniform(0.0, 1.6))
    if sigma > 0.3:
        reach = int(np.ceil(2.5 * sigma))
        kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
        kernel = (kernel / kernel.sum())[None, None]
        planes = F.pad(image[:, None], (reach, reach, reach, reach), mode="replicate")
        image = F.conv2d(F.conv2d(planes, kernel[..., None, :]), kernel[..., None])[:, 0]
    if rng.random() < 0.4:  # partial volume along the slice normal
        image = 0.5 * image + 0.25 * (torch.roll(image, 1, 0) + torch.roll(image, -1, 0))
    if rng.random() < 0.4:  # receive-coil bias
        image = image * torch.exp(float(rng.uniform(0.05, 0.3)) * _field(torch_rng, (2, 3, 3))[0])
    return image + float(rng.uniform(0, 12)) * torch.randn(image.shape, generator=torch_rng)
