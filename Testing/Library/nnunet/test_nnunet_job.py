"""A case handed over as a job is the case that it was, and the commands that take it answer in JSON lines."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
from nnunet_cases import a_case, a_plan, a_review, reviewed
from patients import an_anisotropic_volume

from SAM2AnnotateLib.cli.nnunet import nnunet
from SAM2AnnotateLib.errors import InputError, OutputError
from SAM2AnnotateLib.nnunet import DataSet
from SAM2AnnotateLib.nnunet.data_sets.job import ExportJob, JobImage, JobSegment, read_job, write_job
from SAM2AnnotateLib.review.stored_object import pack_object

pytest.importorskip("SimpleITK")


def a_job(raw, with_voxels=True, **changes) -> ExportJob:
    """The small patient of `a_case`, its organ under review, to a new data set."""
    image, case = an_anisotropic_volume(), a_case("p1")
    journaled = a_review(image.grid, (0, 2), {0: "accepted", 1: "corrected", 2: "accepted"})
    organ, tumor = case.segments
    content = {
        "folder": raw / "Dataset007_Test",
        "plan": a_plan(),
        "case_id": "p1",
        "patient_id": "P1",
        "images": (JobImage(image.grid, "CT one", "CT", image.array_kji if with_voxels else None),),
        "segments": (
            JobSegment(organ.name, organ.mask, ("SCT:10200004",), pack_object(journaled), image.grid),
            JobSegment(tumor.name, tumor.mask),
        ),
        "provenance": {"frame": "local"},
    }
    return ExportJob(**{**content, **changes})


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def run_command(capsys, *arguments: object) -> list[dict]:
    """The lines that ``sam2annotate nnunet ...`` says."""
    parser = argparse.ArgumentParser()
    nnunet.add_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(["nnunet", *map(str, arguments), "--json-lines"])
    assert options.run(options) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_job_reads_back_as_the_case_that_it_was(raw, folder):
    job = a_job(raw)
    back = read_job(write_job(job, folder))
    assert (back.folder, back.plan, back.case_id, back.provenance) == (job.folder, job.plan, "p1", {"frame": "local"})
    case = back.case()
    assert np.array_equal(case.images[0].volume.array_kji, job.images[0].array_kji) and case.images[0].volume.modality == "CT"
    assert np.array_equal(case.images[0].volume.grid.ijk_to_ras, job.images[0].grid.ijk_to_ras)
    expected = reviewed(a_case("p1").segments[0], a_review(job.images[0].grid, (0, 2), {0: "accepted", 1: "corrected", 2: "accepted"}))
    organ, tumor = case.segments
    assert organ.codes == ("SCT:10200004",) and tumor.review is None
    assert np.array_equal(organ.mask.array_kji, expected.mask.array_kji)
    assert organ.review.to_json() == expected.review.to_json()


def test_a_preview_needs_no_voxels_and_writes_nothing(raw, folder, capsys):
    path = write_job(a_job(raw, with_voxels=False), folder)
    assert not list(folder.glob("image*.npy"))
    answer = run_command(capsys, "export-job", path, "--preview")[-1]
    assert answer["type"] == "preview" and not answer["replaces"] and not list(raw.glob("Dataset*"))
    assert [(one["name"], one["value"]) for one in answer["written"]] == [("Organ", 1), ("tumor 1", 2)]
    assert answer["written"][0]["review"] == {"accepted": 2, "corrected": 1, "unreviewed": 0}


def test_an_export_writes_the_case_and_a_check_without_nnunet_says_so(raw, folder, capsys, tmp_path):
    answer = run_command(capsys, "export-job", write_job(a_job(raw), folder))[-1]
    assert answer["type"] == "exported" and answer["case"] == "p1"
    data_set = DataSet.open(raw / "Dataset007_Test")
    assert list(data_set.cases()) == ["p1"] and data_set.provenance("p1")["frame"] == "local"
    again = read_job(write_job(a_job(raw, plan=None), folder))
    assert again.data_set().plan == data_set.plan
    found = run_command(capsys, "verify", data_set.folder, "--without-nnunet")[-1]
    assert (found["problems"], found["training"], found["nnunet"], found["missing"]) == ([], 1, False, "not asked for")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'nnunetv2'\" >&2\nexit 1\n")
    python.chmod(0o755)
    found = run_command(capsys, "verify", data_set.folder, "--python", python)[-1]
    assert not found["nnunet"] and "not installed" in found["missing"] and found["problems"] == []


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}', '{"format": 2}', "[]", "7"])
def test_a_damaged_job_is_refused(content, folder):
    (folder / "job.json").write_text(content)
    with pytest.raises(InputError, match=r"job\.json' cannot be read.*Start the export again"):
        read_job(folder / "job.json")


def test_a_job_without_its_arrays_is_refused(raw, folder):
    path = write_job(a_job(raw), folder)
    (folder / "segment1.npy").unlink()
    with pytest.raises(InputError, match="Start the export again"):
        read_job(path)


def test_a_full_disk_is_told_and_touches_no_data_set(raw, folder, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OutputError, match="No space left on device.*Make room there; no data set was changed"):
        write_job(a_job(raw), folder)
    assert not list(raw.iterdir())
