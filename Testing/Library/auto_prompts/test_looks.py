"""Which part of a slice is shown where nobody drew a box, and how large the object is."""

from __future__ import annotations

import numpy as np
import pytest
from auto_phantoms import Ball
from scipy import ndimage

from SAM2AnnotateLib.auto_prompts.looks import ObjectSize, close_look, connected_pieces, large_parts, longer_side_mm, whole_look
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.propagation import RegionPolicy

AUTO = RegionPolicy()


@pytest.mark.parametrize("share", [0.1, 0.35, 0.5, 0.7])
def test_pieces_are_those_of_scipy_the_largest_first(share):
    rng = np.random.default_rng(3)
    for _ in range(20):
        mask = rng.random(rng.integers(1, 30, 2)) < share
        numbered, count = ndimage.label(mask, np.ones((3, 3)))
        pieces = connected_pieces(mask)
        assert sorted(piece.tobytes() for piece in pieces) == sorted((numbered == n).tobytes() for n in range(1, count + 1))
        assert [int(piece.sum()) for piece in pieces] == sorted((int(piece.sum()) for piece in pieces), reverse=True)


def test_an_empty_mask_has_no_pieces():
    assert connected_pieces(np.zeros((5, 4), dtype=bool)) == [] == large_parts(np.zeros((5, 4), dtype=bool))


def test_specks_are_no_parts():
    mask = np.zeros((20, 20), dtype=bool)
    mask[2:8, 2:8] = mask[12:15, 12:16] = mask[18, 18] = True
    assert [int(part.sum()) for part in large_parts(mask)] == [36, 12]


def test_the_size_is_measured_in_mm_over_all_annotated_slices():
    fine, coarse = Ball(spacing_mm=0.5), Ball(spacing_mm=2)
    size = ObjectSize.of(fine.annotated(5, 7) + coarse.annotated(7))
    assert size.box_mm == pytest.approx(18, abs=1) and size.look_mm == pytest.approx(18, abs=1)
    assert size.largest_mm2 == pytest.approx(np.pi * 81, rel=0.05)
    assert size.smallest_mm2 == pytest.approx(np.pi * (81 - 16), rel=0.05)
    assert size.parts == 1


def test_a_close_look_has_the_same_scale_in_every_volume():
    sides = []
    for spacing in (0.5, 1.0, 2.0):
        ball = Ball(side_mm=128, spacing_mm=spacing)
        around = Box2D(*(round(edge / spacing) for edge in (20, 40, 60, 90)))
        crop = close_look(ball.encoder, AUTO, around, look_mm=18)
        assert crop.row_start * spacing < 30 < crop.row_stop * spacing and crop.col_start * spacing < 75 < crop.col_stop * spacing
        sides.append(longer_side_mm(crop, (spacing, spacing)))
    assert sides == pytest.approx([sides[0]] * 3, abs=1)


def test_where_the_slice_is_hardly_larger_the_whole_slice_is_shown():
    ball = Ball(side_mm=40, center_mm=(20, 20))
    assert close_look(ball.encoder, AUTO, Box2D(11, 29, 11, 29), look_mm=18) == whole_look(ball.encoder, AUTO)
