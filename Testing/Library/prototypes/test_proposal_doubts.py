"""How far a proposed slice is to be doubted: by what the prototypes are worth, by size, and by place."""

from __future__ import annotations

import numpy as np
import pytest
from prototype_balls import SPACING_KJI_MM, WINDOW, a_ball

from SAM2AnnotateLib.benchmark.absent import SOUGHT, AbsentRow, summary_of
from SAM2AnnotateLib.engine import Embedding, ScriptedEngine
from SAM2AnnotateLib.geometry import Box2D, Extent, Volume, VolumeGrid
from SAM2AnnotateLib.prototypes import drained, encoder_for, propose, prototype_from
from SAM2AnnotateLib.prototypes.asking import Asking
from SAM2AnnotateLib.prototypes.doubts import doubts_of, reliability_at, usual_areas_mm2
from SAM2AnnotateLib.prototypes.views import SupportSlice


@pytest.fixture(scope="module")
def prototype():
    return prototype_from(*a_ball(), "ball", window=WINDOW)


def test_the_usual_area_is_that_of_the_prototypes_at_the_same_place(prototype):
    _, mask = a_ball()
    areas = mask.sum(axis=(1, 2)) * SPACING_KJI_MM[1] * SPACING_KJI_MM[2]
    shown = np.flatnonzero(areas)
    assert prototype.extent == Extent(int(shown[0]), int(shown[-1]))
    assert usual_areas_mm2([prototype], [0, 0.5, 1]).tolist() == [areas[shown[0]], areas[8], areas[shown[-1]]]
    assert usual_areas_mm2([prototype], [-1, 2]).tolist() == [areas[shown[0]], areas[shown[-1]]]


def _among_sure_ones(prototype, trust: float, area_factor: float, place: float) -> float:
    """Doubt of one slice beside three of which nothing is doubted."""
    areas = usual_areas_mm2([prototype], [place, 0.5, 0.5, 0.5]) * [area_factor, 1, 1, 1]
    one, *sure = doubts_of([trust, 1, 1, 1], areas.tolist(), [place, 0.5, 0.5, 0.5], [prototype])
    assert sure == [0, 0, 0]
    return one


def test_a_slice_as_large_as_usual_in_the_extent_is_trusted_as_its_answer_is(prototype):
    usual = usual_areas_mm2([prototype], [0.5])[0]
    assert doubts_of([0.9], [usual], [0.5], [prototype]) == [pytest.approx(0.1)]
    assert doubts_of([0.9], [1.4 * usual], [0.5], [prototype], [(0.5, 0.85)]) == [pytest.approx(0.1)]


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_another_size_than_usual_is_doubted(prototype, factor):
    assert _among_sure_ones(prototype, 1.0, factor, 0.5) == pytest.approx(1 - 1.5 / 4)


@pytest.mark.parametrize("place", [-0.1, 1.2])
def test_beyond_the_likely_ends_a_slice_is_doubted(prototype, place):
    assert _among_sure_ones(prototype, 1.0, 1.0, place) == pytest.approx(0.55)


def test_prototypes_that_do_not_find_their_own_slices_are_doubted_everywhere(prototype):
    usual = usual_areas_mm2([prototype], [0.5])[0]
    assert doubts_of([1.0], [usual], [0.5], [prototype], [(0.0, 0.68), (1.0, 0.68)]) == [pytest.approx(0.2)]
    assert doubts_of([1.0], [usual], [0.5], [prototype], [(0.5, 0.34)])[0] > 0.6
    assert doubts_of([1.0], [usual], [0.5], [prototype], [(0.5, 0.0)]) == [1.0]


def test_where_half_of_the_slices_are_doubted_all_are(prototype):
    usual = usual_areas_mm2([prototype], [0.5])[0]
    trusts = [0.9, 0.8, 0.3, 0.2]
    found = doubts_of(trusts, [usual] * 4, [0.5] * 4, [prototype])
    assert found == sorted(found) and 0.5 < found[0] < 0.6 and found[3] == pytest.approx(0.52 + 0.48 * 0.8)
    assert doubts_of([1.0, 0.0], [usual] * 2, [0.5] * 2, [prototype]) == [pytest.approx(0.52), 1.0]
    assert doubts_of(trusts[:3], [usual] * 3, [0.5] * 3, [prototype]) == pytest.approx([0.1, 0.2, 0.7])


def _supports(grays, prototypes, size=16) -> list[SupportSlice]:
    """A square of the gray in each; the mask is the square."""
    found = []
    for number, (gray, prototype) in enumerate(zip(grays, prototypes, strict=True)):
        frame, mask = np.zeros((size, size), np.uint8), np.zeros((size, size), bool)
        mask[4:12, 4:12] = True
        frame[mask] = gray
        found.append(SupportSlice(prototype, number / (len(grays) - 1), Embedding((frame,)), mask))
    return found


def test_a_check_counts_near_its_place():
    checks = [(0.0, 0.2), (0.5, 0.9), (1.0, 0.4)]
    assert [round(reliability_at(place, checks), 2) for place in (-0.3, 0.0, 0.5, 1.0, 1.4)] == [0.2, 0.2, 0.9, 0.4, 0.4]
    assert reliability_at(0.25, checks) == pytest.approx(0.55) and reliability_at(0.3, []) == 1.0


def _reliability(supports) -> float:
    encoder = encoder_for(a_ball()[0], ScriptedEngine(), [prototype_from(*a_ball(), "ball", window=WINDOW)])
    asking = Asking(encoder, None, Box2D(0, 16, 0, 16), supports, 3, lambda: None)
    checks = asking.checks(np.ones((len(supports), len(supports))))
    assert [place for place, _ in checks] == sorted(place for place, _ in checks)
    return float(np.mean([score for _, score in checks])) if checks else 1.0


def test_slices_that_follow_from_the_others_are_reliable_and_those_that_do_not_are_not():
    assert _reliability(_supports([100] * 6, [0] * 6)) == 1.0
    assert _reliability(_supports([100, 200] * 3, [0] * 6)) < 0.7
    assert _reliability(_supports([20, 60, 100, 140, 180, 220], [0] * 6)) == 0.0


def test_several_prototypes_are_asked_of_each_other_and_not_of_themselves():
    assert _reliability(_supports([100, 200] * 3, [0, 1] * 3)) == 0.0
    assert _reliability(_supports([100, 100, 200, 200] * 2, [0, 1, 0, 1] * 2)) > 0.3


def test_what_cannot_be_checked_counts_as_reliable():
    (one, _) = _supports([100, 100], [0, 0])
    assert _reliability([one]) == 1.0


def test_where_a_volume_goes_on_as_the_prototype_does_not_that_is_doubted(prototype):
    """The ball's middle slice goes on as a column to both ends of the volume."""
    volume, truth = a_ball((11, 60, 50), seed=5)
    voxels = volume.array_kji.copy()
    voxels[:, truth[11]] = voxels[11, truth[11]]
    column = Volume(VolumeGrid(voxels.shape, volume.grid.ijk_to_ras), voxels)
    sure, less = (drained(propose(encoder_for(one, ScriptedEngine(), [prototype]), [prototype])) for one in (volume, column))
    assert max(sure.doubts.values()) < 0.6
    trusted = sum(doubt < 0.5 for doubt in less.doubts.values())
    assert len(less.doubts) > 1.5 * len(prototype.extent) and trusted <= 1.25 * len(prototype.extent)


def test_a_volume_without_the_object_is_right_if_nothing_is_found_or_all_of_it_is_doubted():
    def row(there, doubts, dsc=0.0):
        return AbsentRow("ball", "a", there, bool(doubts), doubts, dsc, 0.3, "")

    assert row(False, ()).right and row(False, (0.6, 0.9)).right and not row(False, (0.6, 0.5)).right
    assert row(True, (0.1,)).right and not row(True, ()).right
    told = summary_of([row(False, ()), row(False, (0.6, 0.2)), row(True, (0.1,), 0.9)])
    assert "1 of 2 volumes right, 1 'not found', 1 of 2 proposed slices not doubted; holding it: 1 of 1 found" in told
    assert len({one.name for one in SOUGHT}) == len(SOUGHT) and all(one.case not in one.without for one in SOUGHT)
