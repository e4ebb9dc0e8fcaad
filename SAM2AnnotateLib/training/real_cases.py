"""Real cases to train on, and the objects that can be found in any image without a label. Imports volume_io, geometry, scipy.

Which cases may be used is a matter of license and of patient: see `TRAINING_CASES`. Every other case, the evaluation cases above all, never
enters training, neither with labels nor without.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import VolumeError
from ..geometry import SliceStack
from ..intensity.percentiles import volume_percentiles
from ..volume_io import read_volume
from .labeled_volume import LabeledVolume

_CT_WINDOWS = ((-160.0, 240.0), (-160.0, 240.0), (-55.0, 155.0), (-1350.0, 150.0), (-500.0, 1300.0), (-1000.0, 1000.0))


@dataclass(frozen=True)
class TrainingCase:
    """A case folder's name, its license, and whether its voxels are HU."""

    name: str
    license: str
    is_ct: bool
    weight: float
    slice_axis: str = "k"


TRAINING_CASES = (
    TrainingCase("ct_torso_ts", "Apache-2.0", True, 5.0),
    TrainingCase("mr_abdomen_ts", "Apache-2.0", False, 2.0),
    TrainingCase("ct_sarcoma_001", "CC-BY-3.0", True, 1.0),
    TrainingCase("mr_sarcoma_001", "CC-BY-3.0", False, 1.0),
    TrainingCase("mr_cardiac_1", "CC0-1.0", False, 1.5),
    TrainingCase("mr_cardiac_5", "CC0-1.0", False, 1.0),
    TrainingCase("mr_cord_t1", "MIT", False, 0.5),
    TrainingCase("mr_cord_gm", "MIT", False, 0.5),
)


def load_training_cases(folder: Path, cases: tuple[TrainingCase, ...] = TRAINING_CASES) -> list[LabeledVolume]:
    """Read the cases, each once with its labels and once with objects found in its image.

    Args:
        folder: holds one folder a case with ``image.*`` and ``label.*``.

    Raises:
        VolumeError: if a case is missing or its label does not lie on the image's grid.
    """
    volumes = []
    for case in cases:
        image = read_volume(only_file(folder / case.name, "image.*"))
        label = read_volume(only_file(folder / case.name, "label.*"))
        image.grid.require_same(label.grid, f"The image of {case.name}", "its label")
        stack = SliceStack.along(image.grid, case.slice_axis)
        frames = np.ascontiguousarray(stack.view(image.array_kji), dtype=np.float32)
        labels = np.ascontiguousarray(stack.view(label.array_kji)).astype(np.int32)
        windows = _CT_WINDOWS if case.is_ct else _mr_windows(frames)
        spacing = stack.spacing_src_mm
        axes = (0, 1, 2) if max(spacing) / min(spacing) < 2 and min(frames.shape) >= 40 else (0,)
        volumes.append(LabeledVolume(case.name, frames, labels, spacing, windows, case.weight, axes))
        found = found_objects(frames, spacing)
        volumes.append(LabeledVolume(f"{case.name}/found", frames, found, spacing, windows, 0.5 * case.weight, axes))
    return [volume for volume in volumes if volume.axes]


def found_objects(frames: np.ndarray, spacing_src_mm: tuple[float, float, float]) -> np.ndarray:
    """Regions of like intensity in an image: labels 1..n for connected parts of the classes between its own quantiles.

    The image is smoothed by 1.5 mm; parts under 0.05 % or over 25 % of the volume are left out.
    """
    sigma = [min(1.5 / mm, 2.0) for mm in spacing_src_mm]
    smooth = ndimage.gaussian_filter(frames, sigma)
    cuts = np.unique(np.quantile(smooth, (0.3, 0.5, 0.65, 0.8, 0.9, 0.96)))
    classes = np.digitize(smooth, cuts)
    labels = np.zeros(frames.shape, dtype=np.int32)
    count = 0
    for value in range(len(cuts) + 1):
        parts, found = ndimage.label(ndimage.binary_opening(classes == value, iterations=1))
        sizes = np.bincount(parts.ravel(), minlength=found + 1)
        for part in range(1, found + 1):
            if 0.0005 <= sizes[part] / frames.size <= 0.25:
                count += 1
                labels[parts == part] = count
    return labels


def _mr_windows(frames: np.ndarray) -> tuple[tuple[float, float], ...]:
    low, middle, high, top = volume_percentiles(frames, (1, 10, 99, 99.9))
    return ((low, high), (low, high), (low, top), (min(middle, (low + high) / 2), high), (low, low + 0.7 * (high - low)))


def only_file(folder: Path, pattern: str) -> Path:
    """The one file of a folder that matches. Raises VolumeError if there is none or more."""
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        raise VolumeError(f"Expected one file '{pattern}' in '{folder}', found {len(files)}.")
    return files[0]
