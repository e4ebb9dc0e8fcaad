"""Prototypes from what was annotated. Imports intensity, geometry and the prototype beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..errors import InputError, PromptError
from ..geometry import Box2D, Extent, SliceStack, Volume
from ..intensity import IntensityMapping, choose_mapping
from ..intensity.mapping import CT_PRESETS, looks_like_ct
from .prototype import Prototype, PrototypeSlice

# Enough to learn from later, and little enough to look through: slices with the object, those beside its ends, and others without it.
_MOST_WITH_OBJECT, _BESIDE_EACH_END, _MOST_WITHOUT = 60, 3, 24
_MOST_PIXELS = 32_000_000


def prototype_from(
    volume: Volume, mask_kji: np.ndarray, name: str, axis: str = "k", window: str = "auto", terminology: str = ""
) -> Prototype:
    """A prototype of an object that is annotated on the whole of a volume.

    Args:
        volume: the image.
        mask_kji: (k, j, i) bool on its grid. Slices without a voxel of it teach that the object is not there.
        name: of the object; a plain name.
        axis: to slice along, see `SliceStack.along`.
        window: gray window, see `choose_mapping`; ``auto`` looks into the object.
        terminology: code of what it is, or empty.

    Raises:
        InputError: if the mask is empty or does not fit the volume, or name, axis or window cannot be used.
    """
    if mask_kji.shape != volume.grid.shape_kji:
        raise PromptError(f"The mask has the shape {mask_kji.shape} (k, j, i), the volume {volume.grid.shape_kji}.")
    stack = SliceStack.along(volume.grid, axis)
    masks = stack.view(np.asarray(mask_kji, dtype=bool))
    areas = masks.sum(axis=(1, 2))
    if not areas.any():
        raise InputError(f"The annotation of '{name}' is empty: there is nothing to keep as a prototype.")
    shown = np.flatnonzero(areas)
    largest = int(areas.argmax())
    values = stack.frame(volume.array_kji, largest)[Box2D.around(masks[largest]).slices_rc]
    mapping = choose_mapping(volume, window, values)
    extent = Extent(int(shown[0]), int(shown[-1]))
    positions = chosen_positions(shown.tolist(), extent, stack.shape_src[0], largest, stack.frame_shape_rc)
    return _made(volume, stack, mapping, name, {position: masks[position] for position in positions}, extent, terminology)


def prototype_of_slices(
    volume: Volume,
    stack: SliceStack,
    mapping: IntensityMapping,
    name: str,
    masks: Mapping[int, np.ndarray],
    extent: Extent,
    terminology: str = "",
) -> Prototype:
    """A prototype of the slices that a person locked, as the panel keeps one.

    Args:
        volume: the image.
        stack: how it is sliced.
        mapping: its gray.
        name: of the object; a plain name.
        masks: (rows, cols) bool by position; an empty one says that the object is not on that slice.
        extent: positions of the object's first and last slice.
        terminology: code of what it is, or empty.

    Raises:
        InputError: if no mask shows the object, or the name cannot be used.
    """
    shown = [position for position, mask in masks.items() if mask.any()]
    if not shown:
        raise InputError(f"None of the slices of '{name}' shows the object: there is nothing to keep as a prototype.")
    largest = max(shown, key=lambda position: int(masks[position].sum()))
    kept = chosen_positions(sorted(shown), extent, stack.shape_src[0], largest, stack.frame_shape_rc, among=set(masks))
    chosen = {position: masks[position] for position in kept}
    return _made(volume, stack, mapping, name, chosen, extent, terminology)


def mapping_for(volume: Volume, prototypes: Sequence[Prototype]) -> IntensityMapping:
    """The gray in which a volume is to be looked at for an object: the same preset, percentiles of its own for MR, else the same bounds.

    Raises:
        InputError: if there is no prototype.
    """
    if not prototypes:
        raise InputError("There is no prototype to look for. Add one first.")
    mapping = prototypes[0].mapping
    return choose_mapping(volume, mapping.name) if mapping.name in (*CT_PRESETS, "mr") else mapping


def modality_of(volume: Volume) -> str:
    """``CT`` or ``MR``, as a volume is taken for: what a prototype of it says, and what it is looked for on."""
    return "CT" if looks_like_ct(volume)[0] else "MR"


def chosen_positions(
    shown: list[int],
    extent: Extent,
    slice_count: int,
    largest: int,
    frame_shape_rc: tuple[int, int],
    among: Collection[int] | None = None,
) -> list[int]:
    """Which slices are kept: those with the object, evenly if there are many; those beside its ends; some of the others.

    Args:
        shown: rising positions of the slices that show the object.
        extent: of the object.
        slice_count: of the stack.
        largest: where the object is largest; always kept.
        frame_shape_rc: rows and columns of a slice; large pictures are fewer.
        among: only these are known; by default all.
    """
    most = max(4, min(_MOST_WITH_OBJECT + _MOST_WITHOUT, _MOST_PIXELS // (frame_shape_rc[0] * frame_shape_rc[1])))
    with_object = _spread(shown, max(3, most * _MOST_WITH_OBJECT // (_MOST_WITH_OBJECT + _MOST_WITHOUT)))
    known = range(slice_count) if among is None else sorted(among)
    absent = [position for position in known if position not in set(shown)]
    near = [p for p in absent if min(abs(p - extent.first), abs(p - extent.last)) <= _BESIDE_EACH_END]
    far = [p for p in absent if p not in set(near)]
    without = [*_spread(near, min(len(near), most // 4)), *_spread(far, max(1, most // 4 - len(near)))]
    return sorted({*with_object, largest, *without})


def _spread(positions: list[int], most: int) -> list[int]:
    """At most `most` of them, evenly, the first and the last among them."""
    if len(positions) <= most:
        return list(positions)
    return [positions[index] for index in np.unique(np.rint(np.linspace(0, len(positions) - 1, most)).astype(int))]


def _made(
    volume: Volume,
    stack: SliceStack,
    mapping: IntensityMapping,
    name: str,
    masks: Mapping[int, np.ndarray],
    extent: Extent,
    terminology: str,
) -> Prototype:
    frames = stack.view(volume.array_kji)
    slices = [PrototypeSlice(p, mapping.to_uint8(frames[p]), np.array(masks[p], dtype=bool)) for p in sorted(masks)]
    return Prototype(
        name, tuple(slices), extent, stack.shape_src[0], stack.spacing_src_mm, stack.plane, mapping, modality_of(volume), terminology
    )
