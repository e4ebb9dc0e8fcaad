"""Along which axis a person drew."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import SliceStack, VolumeGrid
from SAM2AnnotateLib.geometry.drawn_axis import require_drawn_along

SHAPE = (12, 20, 30)
AXES = "kji"


def a_stack(axis: str) -> SliceStack:
    turned = np.array([[0.6, -0.8, 0, 5], [0.8, 0.6, 0, -7], [0, 0, 1, 3], [0, 0, 0, 1]]) @ np.diag([0.7, 1.3, 3.0, 1.0])
    return SliceStack.along(VolumeGrid(SHAPE, turned), axis)


def a_block(step_kji=(1, 1, 1)) -> np.ndarray:
    held = np.zeros(SHAPE, dtype=bool)
    held[tuple(slice(2, n - 1, step) for n, step in zip(SHAPE, step_kji, strict=True))] = True
    return held


@pytest.mark.parametrize("drawn", range(3))
@pytest.mark.parametrize("asked", range(3))
def test_single_slices_along_one_axis_are_refused_along_the_others(drawn, asked):
    held = a_block(tuple(3 if axis == drawn else 1 for axis in range(3)))
    if drawn == asked:
        require_drawn_along(held, a_stack(AXES[asked]), "labels.nii.gz")
    else:
        with pytest.raises(InputError, match=rf"along axis {AXES[drawn]} \(2, 5, 8.*not along {AXES[asked]}.*Add --axis {AXES[drawn]}"):
            require_drawn_along(held, a_stack(AXES[asked]), "labels.nii.gz")


@pytest.mark.parametrize("asked", AXES)
def test_what_is_drawn_densely_has_gaps_of_its_own_or_is_small_fits_every_axis(asked):
    two_parts = a_block()
    two_parts[:, :, 12:18] = False
    one_slice = np.zeros(SHAPE, dtype=bool)
    one_slice[5, 4:9, 6:11] = True
    specks = np.zeros(SHAPE, dtype=bool)
    specks[[1, 4, 8], [3, 9, 15], [2, 10, 20]] = True
    for held in (a_block(), two_parts, one_slice, specks, np.zeros(SHAPE, dtype=bool)):
        require_drawn_along(held, a_stack(asked), "labels.nii.gz")
