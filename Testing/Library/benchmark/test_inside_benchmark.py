"""The benchmark of learning inside a volume, on small cases and the scripted engine: what its rows and its summary tell."""

from __future__ import annotations

import json

import numpy as np
import pytest
from learning_cases import a_bar, a_case

pytest.importorskip("torch")

from SAM2AnnotateLib.adaptation import LearningOptions
from SAM2AnnotateLib.benchmark.inside import OBJECTS, InsideRow, NamedObject, inside_row, lines_of, measured, summary_of
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.simulated_learning import LearningMoment, OpenSlice
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.volume_io import write_volume

STEPS = LearningOptions(steps=6)
NEVER_GOOD = Acceptance(dsc=1.0)


def a_moment(corrections: int, *slices: tuple[bool, float, float]) -> LearningMoment:
    """After so many corrections, with (between, DSC before, DSC after) of each open slice; accepted above 0.8."""
    found = tuple(OpenSlice(n, between, before, after, before > 0.8, after > 0.8) for n, (between, before, after) in enumerate(slices))
    return LearningMoment(corrections, 20 - len(slices), True, found)


def a_row(name: str, gain: float, without: int = 6, learning: int = 5) -> InsideRow:
    moments = a_moment(3, (False, 0.7, 0.7 + gain), (True, 0.9, 0.9)), a_moment(5, (False, 0.5, 0.5 + gain))
    return InsideRow(name, 20, without, learning, moments)


def test_a_row_tells_of_open_slices_between_and_beyond_locked_ones():
    first, second = lines_of(a_row("liver", 0.15))
    assert first == "| liver | 20 | 6 | 5 | 3 | 1, 1 | 0.900 to 0.900 | 0.700 to 0.850 | 50 to 100 % |"
    assert second == "| | | | | 5 | 0, 1 | - | 0.500 to 0.650 | 0 to 0 % |"
    assert lines_of(InsideRow("spleen", 20, 1, 1, ())) == ["| spleen | 20 | 1 | 1 | - | | | | |"]


def test_the_summary_is_paired_by_object_and_says_who_loses():
    rows = [a_row(f"object {n}", 0.02 * n + 0.001) for n in range(1, 8)] + [a_row("worse", -0.03, 6, 7), InsideRow("none", 9, 1, 1, ())]
    lines = summary_of(rows)
    after_three, all_of_them, corrections = lines[0], next(line for line in lines if line.startswith("all: beyond")), lines[-1]
    assert after_three.startswith("after 3: all open slices: 8 objects, 8 moments, 16 slices: DSC 0.800 to ")
    assert "7 gain, 1 lose, 1 of them more than 0.02, worst -0.030" in all_of_them and "16 moments" in all_of_them
    assert "p = 0.023" in all_of_them  # the loss has the second of 8 ranks: 2 * 3 of 256
    assert next(line for line in lines if line.startswith("all: between")).startswith("all: between locked slices: 8 objects, 8 moments")
    assert corrections.startswith("corrections of the 8 objects that learned: 48 without, 42 with learning (7 objects need fewer, 1 more)")
    assert summary_of([InsideRow("none", 9, 1, 1, ())]) == []


def test_a_case_is_annotated_without_and_with_learning():
    row = inside_row(a_case(), STEPS, NEVER_GOOD, learn_after=(2, 4))
    assert (row.name, row.slices, row.without, row.learning) == ("case_0", 9, 9, 9)
    assert [(one.corrections, len(one.slices)) for one in row.moments] == [(2, 7), (4, 5)]
    assert [len(slices) for slices in row.open_slices(False, 2)] == [7] and row.open_slices(True) == []
    assert all(one.memory_dsc == pytest.approx(0.95) for one in row.moments[0].slices)


def test_the_figures_are_written_after_each_case(tmp_path, capsys):
    file = tmp_path / "inside.json"
    cases = [("case_0", lambda: a_case(0)), ("case_1", lambda: a_case(1))]
    rows = measured(cases, STEPS, NEVER_GOOD, "doubtful", file, ScriptedEngine())
    told = json.loads(file.read_text())
    assert [one["name"] for one in told["objects"]] == ["case_0", "case_1"] and told["order"] == "doubtful"
    assert told["engine"]["model"] == "scripted" and told["objects"][0]["moments"][0]["slices"]
    printed = capsys.readouterr().out
    assert printed.startswith("| object |") and "| case_1 | 9 |" in printed and all(line in printed for line in told["summary"])

    def never():
        raise AssertionError("It was measured before.")

    assert measured([("case_1", never)], STEPS, NEVER_GOOD, "doubtful", file, ScriptedEngine()) == rows[1:]
    assert len(json.loads(file.read_text())["objects"]) == 2
    kept = file.read_bytes()
    with pytest.raises(InputError, match="measured by another model, order"):
        measured([("case_1", never)], STEPS, NEVER_GOOD, "outward", file, ScriptedEngine())
    assert file.read_bytes() == kept
    for damaged in ('{"objects": 3}', "x"):
        file.write_text(damaged)
        with pytest.raises(InputError, match="holds no rows of this command"):
            measured([("case_1", never)], STEPS, NEVER_GOOD, "doubtful", file, ScriptedEngine())


def test_objects_are_found_in_both_kinds_of_folders_and_named_once(tmp_path):
    voxels, truth = a_bar()
    grid = VolumeGrid(voxels.shape, np.diag([1.0, 1.0, 2.0, 1.0]))
    for image, label in (("one/image.nii.gz", "one/label.nii.gz"), ("many/images/x_1.nii.gz", "many/labels/x_1.nii.gz")):
        for file, array in ((tmp_path / image, voxels), (tmp_path / label, truth * 4)):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_volume(Volume(grid, array), file)
    for case, values in (("one", (4,)), ("many/x_1", ())):
        read = NamedObject(case, values, "a bar", True, "k", "0,255").read(tmp_path, ScriptedEngine())
        assert read.name == "a bar" and len(read.memory.truth.extent) == 9
    with pytest.raises(InputError, match="holds no case"):
        NamedObject("two", (), "", True).read(tmp_path, ScriptedEngine())
    assert len({one.name for one in OBJECTS}) == len({(one.case, one.values, one.axis) for one in OBJECTS}) == len(OBJECTS)
