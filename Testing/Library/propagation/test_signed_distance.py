"""Masks mixed by their shape, against scipy's distances and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.propagation.signed_distance import depth_mm, mixed

ndimage = pytest.importorskip("scipy.ndimage")


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 1.9), (3.0, 0.4)])
def test_depths_are_those_of_scipy_on_masks_of_any_shape(spacing):
    rng = np.random.default_rng(1)
    for shape in ((1, 1), (1, 30), (17, 2), (23, 31)):
        mask = rng.random(shape) < 0.6
        mask[0, 0] = True
        ringed, half = np.pad(mask, 1), min(spacing) / 2
        inside, outside = (ndimage.distance_transform_edt(one, sampling=spacing) for one in (ringed, ~ringed))
        assert np.allclose(depth_mm(mask, spacing), np.where(ringed, inside - half, half - outside)[1:-1, 1:-1], atol=1e-4)


def test_between_a_small_and_a_large_square_lies_one_of_middle_size():
    small, large = np.zeros((2, 20, 20), dtype=bool)
    small[8:12, 8:12] = True
    large[4:16, 4:16] = True
    middle = mixed([(0.5, small), (0.5, large)], (1.0, 1.0))
    assert middle[6:14, 6:14].all() and (small <= middle).all() and (middle <= large).all() and middle.sum() < large.sum()
    assert np.array_equal(mixed([(1.0, small), (0.0, large)], (1.0, 1.0)), small), "a weight of nothing counts nothing"


def test_towards_an_empty_mask_the_object_shrinks_and_is_gone_only_where_nothing_speaks_for_it():
    mask, empty = np.zeros((2, 20, 20), dtype=bool)
    mask[4:16, 4:16] = True
    sizes = [int(mixed([(1 - share, mask), (share, empty)], (1.0, 1.0)).sum()) for share in (0.0, 0.3, 0.6, 1.0)]
    assert sizes[0] == 144 and sizes == sorted(sizes, reverse=True) and sizes[3] == 0
    assert not mixed([(0.5, empty), (0.5, empty)], (1.0, 1.0)).any()


def test_equal_masks_come_back_as_they_are_and_are_no_view_of_them():
    mask = drawn("##..", "....", "...#")
    found = mixed([(0.2, mask), (0.7, mask.copy())], (1.0, 2.0))
    assert np.array_equal(found, mask) and not np.shares_memory(found, mask)


def test_nothing_to_mix_is_refused():
    with pytest.raises(ValueError, match="No mask has a weight"):
        mixed([(0.0, drawn("#"))], (1.0, 1.0))
