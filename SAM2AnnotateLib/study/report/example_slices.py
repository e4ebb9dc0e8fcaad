"""Example slices with both outlines, truth and label. Imports pictures, simulation, volume_io, geometry, (inside) Matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ...geometry import Box2D, SliceStack
from ...intensity import choose_mapping
from ...metrics import dice
from ...optional_imports import import_for
from ...pictures.montage import outlined_tile, view_around
from ...simulation.objects import StackedTruth, truth_objects
from ...volume_io import read_volume, resample_nearest
from ..records.results import Annotation, ObjectKey
from .report_page import PIXELS_PER_PIXEL, Picture

if TYPE_CHECKING:
    from ..records.folder import Study

TRUTH_COLOR, LABEL_COLOR = (86, 180, 233), (230, 159, 0)  # Okabe and Ito's blue and orange
_TILE_IN, _DPI = 2.2, 100 * PIXELS_PER_PIXEL


def example_objects(scenarios: Mapping[str, Sequence[Annotation]]) -> list[tuple[str, Annotation]]:
    """The objects of median and of worst DSC in the first scenario, of those that all scenarios have; what each is, in words."""
    if not scenarios:
        return []
    first, *others = scenarios.values()
    in_all = {one.key for one in first}.intersection(*({one.key for one in objects} for objects in others))
    ranked = sorted((one for one in first if one.key in in_all and not math.isnan(one.dsc)), key=lambda one: (one.dsc, one.key))
    if not ranked:
        return []
    chosen = {"median": ranked[len(ranked) // 2], "worst": ranked[0]}
    return [("median", ranked[0])] if len(ranked) == 1 else list(chosen.items())


def draw_examples(study: Study, scenarios: Mapping[str, Sequence[Annotation]]) -> list[Picture]:
    """A picture for each of `example_objects`: a row a scenario; slices at a quarter, the center and three quarters of the extent.

    Raises:
        InputError: if a label map or the object in it is gone, or the files of a case cannot be read (VolumeError).
        MissingPackageError: if Pillow, Matplotlib or SimpleITK is not installed.
    """
    found = []
    for what, one in example_objects(scenarios):
        caption = (
            f"Case {one.key.case}, {one.key.name}, object {one.key.instance}: {what} DSC without a later correction "
            f"('{next(iter(scenarios))}': {one.dsc:.3f}). Blue: truth; orange, above it: label. A row a scenario; the DSC is the slice's."
        )
        found.append(Picture(_png(study, list(scenarios), one.key), caption))
    return found


def shown_positions(truth: StackedTruth) -> list[int]:
    """A quarter, the center slice and three quarters of the extent, rising, none twice."""
    first, last = truth.extent.first, truth.extent.last
    return sorted({first + (last - first) // 4, truth.center, last - (last - first) // 4})


def _png(study: Study, scenarios: Sequence[str], key: ObjectKey) -> bytes:
    figure_module = import_for("Drawing the figures of a study", "matplotlib.figure", "pip install matplotlib")
    case = study.case(key.case)
    image = read_volume(case.image)
    labels_kji = resample_nearest(read_volume(case.labels), image.grid).array_kji
    objects = study.config.objects
    every, _ = truth_objects(labels_kji, (key.label,), separate=objects.separate, smallest_voxels=objects.smallest_voxels)
    shown = next((one for one in every if one.instance == key.instance), None)
    if shown is None:
        raise InputError(f"The labels of '{key.case}' hold no object {key.instance} of value {key.label}. Were they changed? Run again.")
    stack = SliceStack.along(image.grid, case.axis)
    truth = StackedTruth.of(shown, stack)
    mapping = choose_mapping(image, case.window, image.array_kji[labels_kji == key.label])
    positions = shown_positions(truth)
    view = view_around([truth.frame(position) for position in truth.extent.indices], stack)
    height, width = (count * mm for count, mm in zip(view.shape_rc, stack.frame_spacing_rc_mm, strict=True))
    size_in = _TILE_IN * len(positions) * width / max(height, width), (_TILE_IN * height / max(height, width) + 0.35) * len(scenarios)
    figure = figure_module.Figure(figsize=(max(size_in[0], 3.0) + 0.4, size_in[1]), layout="constrained")
    for name, row in zip(scenarios, figure.subplots(len(scenarios), len(positions), squeeze=False), strict=True):
        label_map = read_volume(study.unit_file(f"scenarios/{name}", key.case).with_suffix(".nii.gz"))
        label_map.grid.require_same(image.grid, f"The label map of '{key.case}' in scenario '{name}'", "its image")
        masks, truths = stack.view(label_map.array_kji == key.label), stack.view(labels_kji == key.label)
        for position, axes in zip(positions, row, strict=True):
            gray = mapping.to_uint8(stack.frame(image.array_kji, position))
            tile = _tile(gray, masks[position], truths[position], view, stack)
            axes.imshow(tile, interpolation="nearest")
            axes.set_title(f"slice {stack.index_of(position)}, {_dsc_text(masks[position], truths[position])}", fontsize=8)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def _tile(gray: np.ndarray, mask: np.ndarray, truth: np.ndarray, view: Box2D, stack: SliceStack) -> np.ndarray:
    """A slice with both outlines, in colors that people with a color vision deficiency tell apart."""
    side, nothing, dark = round(_TILE_IN * _DPI), np.zeros_like(mask), np.zeros_like(gray)
    tile = outlined_tile(gray, nothing, None, view, stack, side)
    for one, color in ((truth, TRUTH_COLOR), (mask, LABEL_COLOR)):
        tile[outlined_tile(dark, one, None, view, stack, side).any(axis=-1)] = color
    return tile


def _dsc_text(mask: np.ndarray, truth: np.ndarray) -> str:
    value = dice(mask, truth)
    return "empty" if math.isnan(value) else f"DSC {value:.3f}"
