"""Segments handed to another process that writes them as DICOM SEG: nothing is lost on the way, a damaged job is one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dicom_files import a_stack

from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.errors import InputError, OutputError, SAM2AnnotateError
from SAM2AnnotateLib.geometry import Volume
from SAM2AnnotateLib.nnunet.cases.masks import cut_to_content
from SAM2AnnotateLib.nnunet.sources import read_segments
from SAM2AnnotateLib.nnunet.sources.dicom_job import DicomSegJob, TermedSegment, read_dicom_job, write_dicom_job
from SAM2AnnotateLib.volume_io import read_dicom

pytest.importorskip("highdicom")

SHAPE = (5, 9, 11)
MASK = np.random.default_rng(0).random(SHAPE) > 0.5
ENTRY = "a~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left~b~^^~^^"


@pytest.fixture
def job(tmp_path):
    folder = a_stack(tmp_path / "ct", np.random.default_rng(1).integers(0, 99, SHAPE).astype(np.int16))
    grid = read_dicom(folder).volume.grid
    segments = (TermedSegment("Niere", cut_to_content(grid, MASK), ENTRY), TermedSegment("none", cut_to_content(grid, MASK & False)))
    return DicomSegJob(tuple(sorted(folder.iterdir())), grid, segments, tmp_path / "s.dcm")


def handed_over(job, tmp_path):
    (tmp_path / "job").mkdir(exist_ok=True)
    return write_dicom_job(job, tmp_path / "job")


def test_a_job_comes_back_as_it_was(job, tmp_path):
    back = read_dicom_job(handed_over(job, tmp_path))
    assert (back.files, back.output) == (job.files, job.output) and back.grid.is_close(job.grid)
    for one, other in zip(back.segments, job.segments, strict=True):
        assert (one.name, one.terminology, one.algorithm) == (other.name, other.terminology, other.algorithm)
        assert np.array_equal(one.mask.array_kji, other.mask.array_kji) and one.mask.grid.is_close(other.mask.grid)


def test_the_command_writes_it_and_says_what(job, tmp_path, capsys):
    assert main(["dicom-seg-job", str(handed_over(job, tmp_path)), "--json-lines"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["segments"] == [{"name": "Niere", "voxels": int(MASK.sum()), "slices": 5, "code": "SCT:64033007"}]
    (found,) = read_segments(tmp_path / "s.dcm").segments
    assert found.codes == ("SCT:64033007+SCT:7771000",) and found.mask.array_kji.sum() == MASK.sum()


def test_a_series_in_a_folder_is_read_from_there(job, tmp_path):
    whole = DicomSegJob((job.files[0].parent,), job.grid, job.segments, job.output)
    assert [one.name for one in whole.write()] == ["Niere"]


def test_nothing_drawn_another_grid_and_a_damaged_job_are_one_line(job, tmp_path):
    with pytest.raises(OutputError, match="no segment has any voxels"):
        DicomSegJob(job.files, job.grid, job.segments[1:], job.output).write()
    moved = np.array(job.grid.ijk_to_ras)
    moved[0, 3] += 0.4
    with pytest.raises(SAM2AnnotateError, match="not that of its DICOM series any more: its voxels lie between"):
        DicomSegJob(job.files, type(job.grid)(SHAPE, moved), job.segments, job.output).write()
    path = handed_over(job, tmp_path)
    whole = path.read_text()
    for text in ("", "{}", "[]", whole[:-40], whole.replace('"format": 1', '"format": 2'), whole.replace("[5, 9, 11]", "[5, 9]")):
        path.write_text(text)
        with pytest.raises(InputError, match="cannot be read"):
            read_dicom_job(path)
    path.write_text(whole)
    masks = path.parent / "masks.npz"
    masks.write_bytes(masks.read_bytes()[:50])
    with pytest.raises(InputError, match="cannot be read"):
        read_dicom_job(path)
    assert not job.output.exists()


def test_masks_on_other_voxels_than_the_images_are_laid_onto_them(job, tmp_path):
    finer = np.array(job.grid.ijk_to_ras)
    finer[:3, :3] /= 2
    finer[:3, 3] = job.grid.ras_from_ijk(np.array([-0.25, -0.25, -0.25]))
    mask = Volume(type(job.grid)(tuple(2 * side for side in SHAPE), finer), np.kron(MASK, np.ones((2, 2, 2))) > 0)
    written = DicomSegJob(job.files, job.grid, (TermedSegment("fine", mask),), job.output).write()
    assert np.array_equal(written[0].mask_kji, MASK)
