"""PackedMask: small, and the very mask again."""

from __future__ import annotations

import numpy as np
import pytest
from patients import drawn

from SAM2AnnotateLib.simulation.packed_mask import PackedMask

MASKS = [
    drawn("....", "....", "...."),
    drawn("####", "####", "####"),
    drawn("#...", "....", "...#"),
    drawn("....", ".##.", "..#."),
    np.ones((1, 1), dtype=bool),
]


@pytest.mark.parametrize("mask", MASKS)
def test_it_gives_the_mask_back(mask):
    packed = PackedMask.of(mask)
    again = packed.mask()
    assert again.dtype == bool
    np.testing.assert_array_equal(again, mask)
    again[:] = ~again
    np.testing.assert_array_equal(packed.mask(), mask)


def test_later_drawing_does_not_change_it():
    mask = drawn("....", ".##.")
    packed = PackedMask.of(mask)
    mask[:] = True
    np.testing.assert_array_equal(packed.mask(), drawn("....", ".##."))


def test_its_size_is_that_of_the_object_and_not_of_the_slice():
    mask = np.zeros((512, 512), dtype=bool)
    mask[100:120, 300:316] = True
    assert PackedMask.of(mask).bits.nbytes == 20 * 16 / 8


def test_only_equal_masks_share_a_digest():
    block = drawn("....", ".##.", ".##.")
    others = [
        drawn("....", "##..", "##.."),  # elsewhere
        drawn(".....", ".##..", ".##.."),  # on a larger slice
        drawn("....", ".###", ".###"),
        drawn("....", ".##.", ".#.."),
        drawn("....", "....", "...."),
    ]
    digests = [PackedMask.of(mask).digest for mask in (block, *others)]
    assert len(set(digests)) == 6
    assert PackedMask.of(block.copy()).digest == digests[0]
