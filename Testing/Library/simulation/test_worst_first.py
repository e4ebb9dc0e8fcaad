"""The worst slice drawn again and again, with a model that leaks into a neighbor of like gray."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.simulation.bench import Bench
from SAM2AnnotateLib.simulation.objects import StackedTruth, truth_objects
from SAM2AnnotateLib.simulation.reader import MaskMemory, ReaderRules
from SAM2AnnotateLib.simulation.workflow import Workflow
from SAM2AnnotateLib.simulation.worst_first import has_worst_first, worst_first

pytest.importorskip("scipy")
OURS = Workflow("ours")


def a_leaking_block(workflow: Workflow, times: int):
    """A block on slices 2..12 whose gray goes on beside it from slice 9 on."""
    truth = np.zeros((15, 40, 40), dtype=bool)
    truth[2:13, 14:24, 14:24] = True
    gray = np.where(truth, 180, 40).astype(np.int16)
    gray[9:13, 24:34, 14:24] = 180
    volume = Volume(VolumeGrid(truth.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), gray)
    bench = Bench(volume, ScriptedEngine(), "k", "0,255")
    one = truth_objects(truth.astype(np.uint8), [1])[0][0]
    memory = MaskMemory(StackedTruth.of(one, bench.stack), bench.stack.frame_spacing_rc_mm, ReaderRules())
    return worst_first(bench, memory, workflow, times, np.random.default_rng(0))


def test_propagation_begins_with_nothing_drawn_and_counts_the_pixels_that_a_correction_changed():
    steps = a_leaking_block(OURS, 4)
    assert [step.drawn for step in steps] == [0, 1, 2, 3, 4]
    assert steps[0].pixels == 0 and steps[0].dsc < 0.95, "it leaks"
    assert steps[1].pixels > 0 and steps[1].dsc > steps[0].dsc
    assert steps[-1].dsc > 0.99 and [step.pixels for step in steps] == sorted(step.pixels for step in steps)


def test_interpolation_begins_with_the_center_and_both_ends_drawn():
    steps = a_leaking_block(Workflow("interpolation", method="interpolation"), 5)
    assert [(step.drawn, step.pixels, step.dsc) for step in steps] == [(3, 300, 1.0), (4, 300, 1.0), (5, 300, 1.0)]


def test_it_ends_when_every_slice_is_drawn():
    assert [step.drawn for step in a_leaking_block(OURS, 100)][-1] == 11


def test_stock_sam_2_has_a_way_of_its_own():
    ours, stock = (a_leaking_block(replace(OURS, corrections=way), 2) for way in ("carried", "stock"))
    assert ours[0] == stock[0] and len(stock) == 3


def test_only_what_knows_every_slice_before_a_person_comes_to_it_can_be_corrected_so():
    assert has_worst_first(OURS) and has_worst_first(Workflow("i", method="interpolation"))
    assert not any(has_worst_first(flow) for flow in (Workflow("d", order="doubtful"), Workflow("b", method="slice_boxes")))
