"""The benchmark of corrections saved, on small cases and the scripted engine: what is found in a folder, and what its lines tell."""

from __future__ import annotations

import numpy as np
import pytest
from learning_cases import FIRST, LAST, a_bar, a_case

pytest.importorskip("torch")

from SAM2AnnotateLib.adaptation import LearningOptions
from SAM2AnnotateLib.benchmark.series import SeriesRow, line_of, series_rows, summary_of
from SAM2AnnotateLib.benchmark.series_cases import found_cases, series_case
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import write_volume


def written(image, label, value: int = 1) -> None:
    voxels, truth = a_bar()
    grid = VolumeGrid(voxels.shape, np.diag([1.0, 1.0, 2.0, 1.0]))
    for file, array in ((image, voxels), (label, truth * value)):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_volume(Volume(grid, array), file)


def test_cases_are_folders_or_files_of_the_same_names(tmp_path):
    written(tmp_path / "a/case_1/image.nii.gz", tmp_path / "a/case_1/label.nii.gz")
    written(tmp_path / "b/images/one.nii.gz", tmp_path / "b/labels/one.nii.gz", 3)
    (tmp_path / "a/notes").mkdir()
    assert [name for name, _, _ in found_cases(tmp_path / "a", "*")] == ["case_1"]
    (named,) = found_cases(tmp_path / "b", "*")
    case = series_case(named, ScriptedEngine(), 0, (3, 4), window="0,255")
    assert (case.name, len(case.memory.truth.extent)) == ("one", LAST - FIRST + 1)
    with pytest.raises(InputError, match="holds no case"):
        found_cases(tmp_path, "*")


def test_a_row_a_volume_with_and_without_learning():
    rows = [row for row, _ in series_rows([a_case(seed) for seed in range(4)], LearningOptions(steps=6))]
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert rows[0].without == rows[0].learning < 1
    assert all(row.without < row.learning == 1 for row in rows[1:])
    assert rows[0].serves == () and "memory" in rows[3].serves
    assert "| 100.0 % |" in line_of(rows[3])


def test_volumes_count_from_the_third_on():
    row = lambda number, learning: SeriesRow("c", 1, number, 10, 0.5, learning, 0.8, 0.9, (), 1.0)  # noqa: E731
    assert "No third volume" in summary_of([row(1, 0.5), row(2, 0.9)])
    told = summary_of([row(1, 0.0), row(2, 0.0), *(row(number, 0.5 + number / 100) for number in range(3, 11))])
    assert "8 volumes" in told and "+6.5 points" in told and "8 gain, 0 lose" in told and "p = 0.0078" in told
