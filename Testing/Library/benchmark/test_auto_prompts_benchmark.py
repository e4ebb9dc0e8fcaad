"""The benchmark of proposals without a prompt, on two small cases and the scripted engine: what is annotated, and told in the table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from auto_phantoms import Ball

pytest.importorskip("torch")

from SAM2AnnotateLib.benchmark.auto_prompts import Asked, Case, rest_of_volume, table
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import Volume
from SAM2AnnotateLib.volume_io import write_volume


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    for number in range(2):
        ball = Ball(side_mm=48, center_mm=(24, 24), seed=number)
        volume = ball.encoder.volume
        (folder / f"case{number}").mkdir()
        write_volume(volume, folder / f"case{number}" / "image.nii.gz")
        write_volume(Volume(volume.grid, ball.truth.astype(np.uint8) * 3), folder / f"case{number}" / "label.nii.gz")
    return folder


def test_slices_are_spread_over_the_object_and_one_lies_beyond_each_end(cases):
    case = Case.read(ScriptedEngine(), cases / "case0/image.nii.gz", cases / "case0/label.nii.gz", 3)
    annotated = case.annotated(2)
    assert [one.position for one in annotated if one.mask.any()] == [5, 9]
    assert [one.position for one in annotated if not one.mask.any()] == [1, 13]
    assert case.name == "case0"
    assert Case.read(ScriptedEngine(), cases / "case0/image.nii.gz", cases / "case0/label.nii.gz", 0).holding == case.holding


def test_each_method_is_measured_on_the_slices_that_were_not_annotated(cases):
    asked = Asked(ScriptedEngine(), cases, ("threshold", "decoder"), ())
    rows = list(rest_of_volume(asked, [("case0", 3), ("case1", 3)], [2]))
    assert {row.method for row in rows} == {
        "threshold", "learned decoder, slice by slice", "learned decoder, with neighbors", "learned decoder, with neighbors and memory",
    }  # fmt: skip
    for row in rows:
        assert row.present == 7 and row.absent == 4
        assert row.volume_dsc > 0.9 and row.refused == 1.0, row
    lines = table(rows).splitlines()
    assert len(lines) == 2 + 4 and all(line.count("|") == 10 for line in lines)
    assert lines[2].startswith("| volume | 2 | threshold | 2 |")


def test_where_nothing_is_there_the_table_has_no_dsc_but_what_was_refused(cases):
    rows = list(rest_of_volume(Asked(ScriptedEngine(), cases, ("threshold",), ()), [("case0", 3)], [2]))
    gone = replace(rows[0], part="absent", slice_dsc=math.nan, volume_dsc=math.nan, present=0, missed=math.nan, absent=11, refused=10 / 11)
    assert table([gone]).splitlines()[2] == "| absent | 2 | threshold | 1 | - | - | - | - | 0.91 |"
