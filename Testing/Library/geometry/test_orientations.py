"""The same patient, stored in any axis order, flip and direction, gives the same mask in physical space."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import ScriptedEngine, load_engine
from SAM2AnnotateLib.geometry import Volume, VolumeGrid

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
SPACING_RAS_MM = np.array([0.8, 1.1, 3.0])


def _turn(degrees_xyz):
    matrix = np.eye(3)
    for axis, degrees in enumerate(degrees_xyz):
        a, b = [n for n in range(3) if n != axis]
        turn = np.eye(3)
        turn[[a, a, b, b], [a, b, a, b]] = np.cos(d := np.radians(degrees)), -np.sin(d), np.sin(d), np.cos(d)
        matrix = turn @ matrix
    return matrix


def _patient():
    """(R, A, S) voxels of an asymmetric object in noise, and its box corners and slice in these indices."""
    rng = np.random.default_rng(0)
    voxels = rng.normal(60, 10, (44, 36, 7))
    r, a, s = np.mgrid[:44, :36, :7]
    inside = ((r - 20) / 11) ** 2 + ((a - 16) / (7 + 0.15 * (r - 20))) ** 2 + ((s - 3) / 4.5) ** 2 < 1
    voxels[inside] += 90
    return np.clip(voxels, 0, 255).round().astype(np.int16), inside


def _stored(voxels_ras, order, signs, direction):
    """The patient as a file of another orientation holds it: (volume, function from RAS-index boxes to stored index boxes)."""
    array_ijk = np.transpose(voxels_ras, order)
    for axis, sign in enumerate(signs):
        if sign < 0:
            array_ijk = np.flip(array_ijk, axis)
    ras_index_to_ras = np.eye(4)
    ras_index_to_ras[:3, :3] = direction * SPACING_RAS_MM
    ras_index_to_ras[:3, 3] = (-12.0, 31.0, 4.0)
    ijk_to_ras_index = np.zeros((4, 4))
    ijk_to_ras_index[3, 3] = 1
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        ijk_to_ras_index[world, axis] = sign
        ijk_to_ras_index[world, 3] = 0 if sign > 0 else voxels_ras.shape[world] - 1
    return Volume(VolumeGrid(array_ijk.shape[::-1], ras_index_to_ras @ ijk_to_ras_index), array_ijk.transpose(2, 1, 0))


def _annotate(volume, order, signs, engine, shape_ras):
    """Mark the same object in stored indices; returns the mask back in (R, A, S) order."""

    def index(world, low, high):
        axis = order.index(world)
        return (low, high) if signs[axis] > 0 else (shape_ras[world] - high, shape_ras[world] - low)

    ranges = {"ijk"[order.index(world)]: index(world, low, high) for world, (low, high) in {0: (8, 32), 1: (7, 25)}.items()}
    slices = {"ijk"[order.index(2)]: index(2, 0, 7)}
    annotator = Annotator(volume, engine, axis="axial", window="0,255")
    first, second = (ranges[name] for name in annotator.stack.in_plane_axes)
    low, high = slices[annotator.stack.index_axis]
    center = index(2, 3, 4)[0]
    item = annotator.new_object(center, box=((first[0], second[0]), (first[1], second[1])), extent=(low, high - 1))
    for _ in item.propagate():
        pass
    mask_ijk = item.mask_kji().transpose(2, 1, 0)
    for axis, sign in enumerate(signs):
        if sign < 0:
            mask_ijk = np.flip(mask_ijk, axis)
    return np.transpose(mask_ijk, np.argsort(order))


@pytest.mark.parametrize("engine_name", ["scripted", "bundled"])
@pytest.mark.parametrize("direction", [np.eye(3), _turn((11, -17, 23))], ids=["upright", "oblique"])
def test_all_48_axis_orders_and_flips_give_the_same_mask_in_space(engine_name, direction):
    if engine_name == "bundled":
        pytest.importorskip("sam2")
        engine = load_engine("bundled", device="cpu")
    else:
        engine = ScriptedEngine(tolerance=45)
    voxels, inside = _patient()
    reference = None
    for order, signs in ORIENTATIONS:
        mask = _annotate(_stored(voxels, order, signs, direction), order, signs, engine, voxels.shape)
        if reference is None:
            reference = mask
            overlap = 2 * (mask & inside).sum() / (mask.sum() + inside.sum())
            assert overlap > 0.7, "the comparison needs a mask that means something"
        assert np.array_equal(mask, reference), f"axes {order}, signs {signs}: {(mask != reference).sum()} voxels differ"
