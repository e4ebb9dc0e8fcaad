"""nnU-Net itself takes what is exported: its integrity check, and its planning and preprocessing."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from nnunet_cases import SHARED, a_case, a_plan, a_review, a_segment, reviewed

from SAM2AnnotateLib.errors import InputError, MissingPackageError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet import CaseImage, DataSet, ExportCase, LabelRule, Region
from SAM2AnnotateLib.nnunet.runs.folders import NnunetFolders
from SAM2AnnotateLib.nnunet.runs.process import NnunetCall, NnunetRunner
from SAM2AnnotateLib.nnunet.runs.verify import verify
from SAM2AnnotateLib.nnunet.sources import read_image, read_segments

sitk = pytest.importorskip("SimpleITK")
needs_nnunet = pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="needs nnunetv2")
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data")


def a_larger_image(seed: int, spacing_ijk_mm=(1.0, 1.5, 2.0), turned: bool = False) -> Volume:
    """24 x 20 x 16 voxels (i, j, k), seeded; turned: j runs the other way, and the axes are oblique."""
    matrix = np.diag([*spacing_ijk_mm, 1.0])
    if turned:
        angle = np.radians(10)
        matrix[:3, 1] *= -1
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        matrix[:3, :3] = turn @ matrix[:3, :3]
    grid = VolumeGrid((16, 20, 24), matrix)
    voxels = np.random.default_rng(seed).normal(100, 30, grid.shape_kji).astype(np.float32)
    voxels[4:12, 5:15, 6:18] += 200
    return Volume(grid, voxels)


def segments_of(image: Volume):
    """An organ, two tumors that overlap it, and a third one with a slice that nobody reviewed."""
    grid = image.grid
    half = reviewed(a_segment("tumor 3", grid, (2, 16, 2), (4, 19, 6)), a_review(grid, (2, 3), {2: "accepted"}))
    return (
        a_segment("Organ", grid, (4, 5, 6), (12, 15, 18)),
        a_segment("tumor 1", grid, (5, 6, 7), (7, 8, 9)),
        a_segment("Tumor 2", grid, (8, 9, 16), (10, 11, 20)),
        half,
    )


def plan_and_preprocess(data_set: DataSet, configuration: str = "3d_fullres") -> Path:
    """Run nnU-Net's own command beside the data set; returns the folder of preprocessed data."""
    folders = NnunetFolders.of_data_set(data_set.folder)
    options = ("-d", str(data_set.plan.number), "-c", configuration, "-np", "1", "-npfp", "1", "--verify_dataset_integrity")
    call = NnunetCall("nnunetv2.experiment_planning.plan_and_preprocess_entrypoints", "plan_and_preprocess_entry", options, "Preprocessing")
    NnunetRunner((sys.executable,), processes=1).run(call, folders, folders.preprocessed / "log.txt")
    return folders.preprocessed_data_set


def require_preprocessed(folder: Path, data_set: DataSet, normalization: list[str]) -> None:
    plans = json.loads((folder / "nnUNetPlans.json").read_text(encoding="utf-8"))
    configuration = plans["configurations"]["3d_fullres"]
    assert configuration["normalization_schemes"] == normalization
    made = {path.name.removesuffix(".b2nd") for path in (folder / configuration["data_identifier"]).glob("*.b2nd")}
    assert {name for name in made if not name.endswith("_seg")} == data_set.cases().keys()


@pytest.fixture
def raw(tmp_path) -> Path:
    (tmp_path / "nnUNet_raw").mkdir()
    return tmp_path / "nnUNet_raw"


@pytest.fixture
def everything(raw) -> DataSet:
    """Overlapping segments, merged instances, regions, the ignore label, two channels, and grids of several kinds, in one data set."""
    plan = a_plan(
        channels=("T1", "CT"),
        regions=(Region("whole", (1, 2)), Region("core", (2,))),
        ignore=True,
        unreviewed="ignore",
        file_ending=".nrrd",
    )
    data_set = DataSet.create(raw, plan)
    cases = []
    for number, (spacing, turned) in enumerate([((1.0, 1.5, 2.0), False), ((1.2, 1.2, 3.0), True), ((0.8, 1.5, 2.0), True)]):
        image = a_larger_image(number, spacing, turned)
        second = Volume(image.grid, (image.array_kji - 1000).astype(np.int16), "CT")
        cases.append(ExportCase(f"case_{number}", (CaseImage(image, "t1"), CaseImage(second, "ct")), segments_of(image)))
    data_set.export(cases)
    return data_set


@needs_nnunet
def test_nnunets_integrity_check_takes_regions_instances_overlaps_and_the_ignore_label(everything):
    found = verify(everything)
    assert found.problems == ()
    assert (found.training, found.test) == (3, 0)
    assert "verify_dataset_integrity Done" in found.nnunet_says
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(everything.folder / "labelsTr/case_0.nrrd")))
    assert np.unique(labels).tolist() == [0, 1, 2, 3]


@needs_nnunet
@pytest.mark.slow
def test_nnunet_plans_and_preprocesses_regions_instances_overlaps_and_the_ignore_label(everything):
    folder = plan_and_preprocess(everything)
    require_preprocessed(folder, everything, ["ZScoreNormalization", "CTNormalization"])


@needs_nnunet
def test_what_nnunet_refuses_is_a_problem_in_its_own_words(raw):
    data_set = DataSet.create(raw, a_plan())
    image = a_larger_image(0)
    data_set.export([a_case("p1", image, segments_of(image)[:1])])
    labels = sitk.ReadImage(str(data_set.folder / "labelsTr/p1.nii.gz"))
    sitk.WriteImage(labels * 7, str(data_set.folder / "labelsTr/p1.nii.gz"))
    problems = verify(data_set).problems
    assert "p1: the labels hold [7], which the plan does not know" in problems
    assert any("nnU-Net's check: Some segmentation images contained unexpected labels" in problem for problem in problems)


def test_without_nnunet_the_message_says_how_to_get_it(everything, tmp_path):
    # An interpreter that cannot import nnunetv2, whatever is installed.
    (tmp_path / "nnunetv2").mkdir()
    (tmp_path / "nnunetv2" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'nnunetv2'\", name='nnunetv2')\n")
    hidden = (
        f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    program = tmp_path / "python.py"
    program.write_text(hidden)
    runner = NnunetRunner((sys.executable, str(program)))
    with pytest.raises(MissingPackageError, match="nnU-Net is not installed.*pip install"):
        verify(everything, runner=runner)


def test_a_data_set_of_test_cases_alone_is_told(raw):
    data_set = DataSet.create(raw, a_plan())
    image = a_larger_image(0)
    data_set.export([a_case("p1", image, segments_of(image)[:1], part="test")])
    with pytest.raises(InputError, match="has no training case yet"):
        verify(data_set)


# -- shared cases ---------------------------------------------------------------------------------------------------------------------

CT_CASES = {"ct_sarcoma_003": {1: "tumor"}, "ct_torso_ts": {5: "liver", 1: "spleen"}, "ct_abdomen_ts": {5: "liver", 1: "spleen"}}
CT_LABELS = (LabelRule(1, "liver"), LabelRule(2, "spleen"), LabelRule(3, "tumor"))


def shared_file(case: str, what: str) -> Path:
    return next((SHARED / case).glob(f"{what}.*"))


@pytest.fixture
def three_cases(raw) -> DataSet:
    """LPS of 1 x 1 x 3.3 mm, RAS of 3 mm, and LPS of 1 x 1 x 2 mm whose labels are stored as LAS."""
    data_set = DataSet.create(raw, a_plan(labels=CT_LABELS))
    cases = []
    for name, names in CT_CASES.items():
        image = read_image(shared_file(name, "image"), "CT")
        cases.append(ExportCase(name, (image,), read_segments(shared_file(name, "label"), names).segments))
    data_set.export(cases)
    return data_set


def require_the_source_in_space(data_set: DataSet) -> None:
    """Each voxel of the written labels against the source's labels, brought onto the written image's grid by ITK."""
    values = {rule.name: rule.value for rule in data_set.plan.labels}
    for name, names in CT_CASES.items():
        image = sitk.ReadImage(str(data_set.folder / f"imagesTr/{name}_0000.nii.gz"))
        source_image = sitk.ReadImage(str(shared_file(name, "image")))
        assert (sitk.GetArrayFromImage(image) == sitk.GetArrayFromImage(source_image)).all()
        there = sitk.Resample(sitk.ReadImage(str(shared_file(name, "label"))), source_image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        source = sitk.GetArrayFromImage(there)
        expected = np.zeros(source.shape, np.uint8)
        for value, label in names.items():
            expected[source == value] = values[label]
        assert (sitk.GetArrayFromImage(sitk.ReadImage(str(data_set.folder / f"labelsTr/{name}.nii.gz"))) == expected).all()
        assert expected.any()


@needs_nnunet
@needs_shared
def test_nnunets_integrity_check_takes_three_cases_of_different_orientation_and_spacing(three_cases):
    require_the_source_in_space(three_cases)
    assert verify(three_cases).problems == ()


@needs_nnunet
@needs_shared
@pytest.mark.slow
def test_nnunet_plans_and_preprocesses_three_cases_of_different_orientation_and_spacing(three_cases):
    require_preprocessed(plan_and_preprocess(three_cases), three_cases, ["CTNormalization"])


@pytest.fixture
def from_dicom(raw) -> DataSet:
    """The case whose image is a DICOM series."""
    data_set = DataSet.create(raw, a_plan(channels=("T1",), labels=(LabelRule(1, "tumor"),)))
    image = read_image(SHARED / "mr_gbm_001_dicom" / "dicom")
    segments = read_segments(shared_file("mr_gbm_001_dicom", "label"), {1: "tumor"}).segments
    data_set.export([ExportCase("gbm_001", (image,), segments)])
    return data_set


@needs_nnunet
@needs_shared
def test_nnunets_integrity_check_takes_a_dicom_series(from_dicom):
    assert verify(from_dicom).problems == ()
    assert from_dicom.cases()["gbm_001"].patient == "PGBM-001"
    written = sitk.ReadImage(str(from_dicom.folder / "labelsTr/gbm_001.nii.gz"))
    source = sitk.ReadImage(str(shared_file("mr_gbm_001_dicom", "label")))
    there = sitk.Resample(source, written, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    assert (sitk.GetArrayFromImage(written) == sitk.GetArrayFromImage(there)).all()
    assert sitk.GetArrayFromImage(written).sum() == 6809


@needs_nnunet
@needs_shared
@pytest.mark.slow
def test_nnunet_plans_and_preprocesses_a_dicom_series(from_dicom):
    require_preprocessed(plan_and_preprocess(from_dicom), from_dicom, ["ZScoreNormalization"])
