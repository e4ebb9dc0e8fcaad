"""What was annotated on one volume is found on another, as it lies there; what is not there is not found. Scripted engine."""

from __future__ import annotations

import numpy as np
import pytest
from prototype_balls import WINDOW, a_ball

from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import Cancelled, InputError
from SAM2AnnotateLib.geometry import Box2D, Extent, Volume, VolumeGrid
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy
from SAM2AnnotateLib.prototypes import (
    NotFound,
    ProposedObject,
    as_annotated,
    drained,
    encoder_for,
    propose,
    propose_extent,
    prototype_from,
)
from SAM2AnnotateLib.review import SliceStatus


@pytest.fixture(scope="module")
def prototypes():
    return [prototype_from(*a_ball(seed=seed), "ball", window=WINDOW) for seed in (0, 1)]


def _mask_of(encoder, proposal, grid):
    whole = np.zeros(grid.shape_kji, dtype=bool)
    frames = encoder.stack.view(whole)
    for position, result in proposal.results.items():
        frames[position] = result.mask
    return whole


def test_the_object_is_found_elsewhere_in_the_slice_and_the_stack(prototypes):
    volume, truth = a_ball((11, 60, 50), seed=5)
    encoder = encoder_for(volume, ScriptedEngine(), prototypes)
    found = drained(propose(encoder, prototypes))
    assert isinstance(found, ProposedObject) and found.extent == Extent(7, 15) and found.center_position in range(10, 13)
    assert np.array_equal(_mask_of(encoder, found, volume.grid), truth)
    assert sorted(found.results) == sorted(found.doubts) == list(range(7, 16)) and max(found.doubts.values()) < 0.6
    assert found.prototypes == (1, 2) and found.likeness > 0.6


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1)])
def test_it_is_found_however_the_file_stores_its_axes(prototypes, axes, flips):
    volume, truth = a_ball((11, 60, 50), seed=5)
    turned = np.transpose(volume.array_kji, axes)[tuple(slice(None, None, flip) for flip in flips)]
    shape_ijk = turned.shape[::-1]
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1.0
    for new_array_axis, (old_array_axis, flip) in enumerate(zip(axes, flips, strict=True)):
        new_index, old_index = 2 - new_array_axis, 2 - old_array_axis
        matrix[:3, new_index] = volume.grid.ijk_to_ras[:3, old_index] * flip
        if flip < 0:
            matrix[:3, 3] -= matrix[:3, new_index] * (shape_ijk[new_index] - 1)
    grid = VolumeGrid(turned.shape, matrix)
    encoder = encoder_for(Volume(grid, turned), ScriptedEngine(), prototypes)
    found = drained(propose(encoder, prototypes))
    wanted = np.transpose(truth, axes)[tuple(slice(None, None, flip) for flip in flips)]
    assert np.array_equal(_mask_of(encoder, found, grid), wanted)


def test_another_spacing_is_brought_to_the_same_scale(prototypes):
    k, j, i = np.ogrid[:30, :48, :40]
    truth = ((k - 14) / 7.5) ** 2 + ((j - 30) / 5) ** 2 + ((i - 20) / 5) ** 2 < 1
    voxels = np.where(truth, 120.0, 20.0)
    volume = Volume(VolumeGrid(truth.shape, np.diag([2.0, 2.0, 2.0, 1.0])), voxels)
    encoder = encoder_for(volume, ScriptedEngine(), prototypes)
    found = drained(propose(encoder, prototypes))
    mask = _mask_of(encoder, found, volume.grid)
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.95


def test_what_is_not_there_is_not_found(prototypes):
    volume, truth = a_ball((11, 60, 50), seed=5)
    empty = Volume(volume.grid, np.where(truth, 20.0, volume.array_kji))
    answer = drained(propose(encoder_for(empty, ScriptedEngine(), prototypes), prototypes))
    assert isinstance(answer, NotFound) and answer.reason and answer.name == "ball"


def test_another_modality_is_not_looked_for(prototypes):
    volume, _ = a_ball((11, 60, 50), seed=5)
    engine = ScriptedEngine()
    answer = drained(propose(encoder_for(volume, engine, prototypes), prototypes, modality="CT"))
    assert isinstance(answer, NotFound) and "the prototypes are MR, this volume is CT" in answer.reason and engine.encoded_frames == 0


def test_a_proposal_is_an_object_to_review_with_nothing_locked(prototypes):
    volume, truth = a_ball((11, 60, 50), seed=5)
    engine = ScriptedEngine()
    found = drained(propose(encoder_for(volume, engine, prototypes), prototypes))
    item = as_annotated(Annotator(volume, engine, axis="axial", window=WINDOW), found)
    assert np.array_equal(item.mask_kji(), truth) and not item.review.locked
    assert {item.status(index) for index in range(7, 16)} == {SliceStatus.PROPOSED}
    assert all(again is found.results[again.position] for again in item.propagate())  # all of it is there
    list(item.correct(9, np.zeros(truth.shape[1:], dtype=bool)))
    assert item.review.locked == {9} and not item.mask_kji()[9].any()


def test_it_reports_and_stops_when_asked(prototypes):
    volume, _ = a_ball((11, 60, 50), seed=5)
    encoder, token, seen = encoder_for(volume, ScriptedEngine(), prototypes), CancelToken(), []
    with pytest.raises(Cancelled):
        for progress in propose(encoder, prototypes, cancel=token):
            seen.append(progress)
            if progress.what == "slices proposed" and progress.done == 2:
                token.cancel()
    assert all(one.total and one.done <= one.total for one in seen) and seen[-1].done == 2


def test_no_prototype_and_none_in_the_plane_are_told_of(prototypes):
    volume, _ = a_ball()
    with pytest.raises(InputError, match="There is no prototype to look for"):
        encoder_for(volume, ScriptedEngine(), [])
    sagittal = [prototype_from(*a_ball(), "ball", axis="sagittal", window=WINDOW)]
    with pytest.raises(InputError, match="are sagittal, the volume is sliced axial"):
        drained(propose(encoder_for(volume, ScriptedEngine(), prototypes), sagittal))


def test_the_ends_are_proposed_from_one_box():
    volume, truth = a_ball((11, 60, 50), seed=5)
    annotator = Annotator(volume, ScriptedEngine(), window=WINDOW)
    box = Box2D.around(annotator.stack.frame(truth, 11))
    proposal = drained(propose_extent(annotator.encoder_for(11, box), 11, SlicePrompt(box=box), RegionPolicy()))
    assert proposal.extent == Extent(7, 15) and min(proposal.certainty_first, proposal.certainty_last) > 0.9
    assert sorted(proposal.results) == list(range(7, 16))
    assert np.array_equal(proposal.results[14].mask, annotator.stack.frame(truth, 14))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        drained(propose_extent(annotator.encoder_for(11, box), 11, SlicePrompt(box=box), RegionPolicy(), token))


def test_it_is_found_far_from_the_middle_of_a_long_stack_of_small_slices(prototypes):
    volume, truth = a_ball((68, 22, 20), count=75, seed=5, rows=44, cols=40)
    encoder = encoder_for(volume, ScriptedEngine(), prototypes)
    found = drained(propose(encoder, prototypes))
    assert isinstance(found, ProposedObject) and found.extent == Extent(64, 72)
    assert np.array_equal(_mask_of(encoder, found, volume.grid), truth)


def test_of_very_many_prototypes_the_last_are_used(prototypes):
    volume, _ = a_ball((11, 60, 50), seed=5)
    many = [*prototypes * 10]
    found = drained(propose(encoder_for(volume, ScriptedEngine(), many), many))
    assert found.prototypes == tuple(range(3, 21)) and found.notes == ("Of 20 prototypes the 18 that were added last were used.",)


def test_what_lies_half_beyond_the_volume_is_found_as_far_as_it_goes(prototypes):
    volume, truth = a_ball((0, 60, 50), seed=5)
    encoder = encoder_for(volume, ScriptedEngine(), prototypes)
    found = drained(propose(encoder, prototypes))
    assert isinstance(found, ProposedObject) and found.extent.first == 0 and abs(found.extent.last - 4) <= 1
    mask = _mask_of(encoder, found, volume.grid)
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9
