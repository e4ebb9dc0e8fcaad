"""What is said where something learned is used on another kind of volume."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.adaptation import LearningOptions, learn, learned
from SAM2AnnotateLib.adaptation.annotated_slice import AnnotatedSlice
from SAM2AnnotateLib.adaptation.fitting import misfits
from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping, choose_mapping

GRID = VolumeGrid((8, 24, 24), np.diag([-1.0, -1.0, 2.0, 1.0]))


@pytest.fixture(scope="module")
def card():
    voxels = np.full(GRID.shape_kji, 60.0)
    voxels[1:7, 8:16, 8:16] = 150
    annotator = Annotator(Volume(GRID, voxels), ScriptedEngine(), window="mr")
    encoder = annotator.encoder_for(4, None)
    slices = [AnnotatedSlice(encoder, k, encoder.stack.view(voxels)[k] > 100) for k in (2, 4, 6)]
    return learned(learn(slices, object_name="cube", options=LearningOptions(steps=5))).adapter.card


def test_the_same_kind_of_volume_is_no_word_worth(card):
    assert misfits(card, SliceStack.along(GRID, "k"), IntensityMapping(3, 900, "mr", "")) == ()
    assert misfits(card, SliceStack.along(GRID, "k"), IntensityMapping(3, 900, "explicit", "")) == ()


def test_another_window_and_another_plane_are_told(card):
    ct = choose_mapping(Volume(GRID, np.zeros(GRID.shape_kji)), "liver")
    (window,) = misfits(card, SliceStack.along(GRID, "k"), ct)
    assert "'cube' in the gray window 'mr'" in window and "'liver'" in window and "--window" in window
    (plane,) = misfits(card, SliceStack.along(GRID, "i"), IntensityMapping(3, 900, "mr", ""))
    assert "axial" in plane and "sagittal" in plane and "--axis" in plane
