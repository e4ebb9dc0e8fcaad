"""A crowd's labels for other programs: label maps, an nnU-Net data set, proposals for Slicer."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from crowd_cases import a_crowd_project
from crowd_outcomes import model, said_by

from SAM2AnnotateLib.cli.crowd import export as command
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.crowd.export import KeptOutcome, export_data_set, plan_of, write_label_maps, write_proposals
from SAM2AnnotateLib.crowd.export.data_set import DOUBTFUL_RULES
from SAM2AnnotateLib.crowd.outcome import make_outcome
from SAM2AnnotateLib.crowd.simulated import Skill
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.volume_io import read_volume

OBJECTS = [
    {"key": "ball", "name": "Ball", "sentence": "Round.", "label": 1, "terminology": "SCT:123037004"},
    {"key": "nothing", "name": "Nothing here", "sentence": "Is never there.", "label": 7},
]


@pytest.fixture
def project(tmp_path):
    """A project whose consensus is made: two people, one of whom put a box of slice 4 elsewhere."""
    made = a_crowd_project(tmp_path / "balls", objects=OBJECTS[:1])
    said = said_by(made, {"calm-otter": Skill(), "kind-owl": Skill()})
    far = Box2D(24, 31, 26, 35)
    moved = tuple(
        replace(one, boxes_rc=(far,)) if (one.task.volume, one.task.position, one.person) == ("p0", 4, "kind-owl") else one
        for one in said.answers
    )
    make_outcome(made, replace(said, answers=moved), model)
    return made


def truth_of(project, key: str) -> np.ndarray:
    """Where `a_crowd_volume` put the block: bright voxels."""
    return read_volume(project.volume(key).path).array_kji > 100


def test_label_maps_lie_on_the_images_grid_with_their_provenance(project, tmp_path):
    written = write_label_maps(KeptOutcome(project), tmp_path / "labels")
    assert [path.name for path in written] == ["p0.nii.gz", "p1.nii.gz"]
    for key in ("p0", "p1"):
        labels, image = read_volume(tmp_path / "labels" / f"{key}.nii.gz"), read_volume(project.volume(key).path)
        image.grid.require_same(labels.grid, "image", "labels")
        assert np.count_nonzero((labels.array_kji == 1) ^ truth_of(project, key)) < 0.15 * truth_of(project, key).sum()
    about = json.loads((tmp_path / "labels" / "p0.json").read_text(encoding="utf-8"))
    crowd = about["crowd"]
    assert {row["person"] for row in crowd["people"]} == {"calm-otter", "kind-owl"}
    assert crowd["objects"]["Ball"]["slices"]["4"]["people"] == 2 and crowd["way"] == "memory"
    assert crowd["engine"]["weights_sha256"] == model().weights_sha256 and len(crowd["consensus_sha256"]) == 64
    assert about["labels"]["Ball"]["voxels"] == np.count_nonzero(labels_of(tmp_path, "p0"))


def labels_of(tmp_path, key: str) -> np.ndarray:
    return read_volume(tmp_path / "labels" / f"{key}.nii.gz").array_kji


def test_nothing_is_replaced_unless_asked(project, tmp_path):
    kept = KeptOutcome(project)
    write_label_maps(kept, tmp_path / "labels")
    before = (tmp_path / "labels" / "p0.nii.gz").read_bytes()
    with pytest.raises(InputError, match="--overwrite"):
        write_label_maps(kept, tmp_path / "labels")
    write_label_maps(kept, tmp_path / "labels", overwrite=True)
    assert (tmp_path / "labels" / "p0.nii.gz").read_bytes() == before


def test_a_data_set_that_nnunet_reads(project, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    data_set, report = export_data_set(KeptOutcome(project), raw, 501, "Balls")
    assert data_set.folder.name == "Dataset501_Balls" and report.training == 2
    content = json.loads((data_set.folder / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, "Ball": 1} and content["numTraining"] == 2
    labels = read_volume(data_set.folder / "labelsTr" / "p0.nii.gz").array_kji
    assert np.count_nonzero((labels == 1) ^ truth_of(project, "p0")) < 0.15 * truth_of(project, "p0").sum()
    about = data_set.provenance("p0")
    assert about["crowd"]["people"][0]["person"] == "calm-otter" and about["segments"][0]["review"]["by"] == "crowd"
    with pytest.raises(InputError, match="already"):
        export_data_set(KeptOutcome(project), raw, 501, "Balls")
    export_data_set(KeptOutcome(project), raw, 501, "Balls", replace=True)


def test_doubtful_slices_can_become_the_ignore_label(project, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    data_set, _ = export_data_set(KeptOutcome(project), raw, 502, "Balls", doubtful="ignore")
    labels = read_volume(data_set.folder / "labelsTr" / "p0.nii.gz").array_kji
    stack = project.volume("p0").stack
    assert (stack.view(labels)[4] == 2).all() and not (labels[0] == 2).all()


def test_plans_count_labels_from_one_in_the_projects_order(tmp_path):
    made = a_crowd_project(tmp_path / "two", objects=OBJECTS)
    plan = plan_of(made, 7, "Two", "CT")
    assert [(rule.value, rule.name) for rule in plan.labels] == [(1, "Ball"), (2, "Nothing here")]
    assert plan.labels[0].codes == ("SCT:123037004",) and plan.unreviewed == "keep"


def test_proposals_lie_beside_the_volumes_that_nobody_has_saved(project):
    (project.volume("p1").path.parent / "p1.seg.nrrd").write_bytes(b"somebody's work")
    lines: list[str] = []
    (written,) = write_proposals(KeptOutcome(project), lines.append)
    assert written.name == "p0.sam2annotate-proposal.json" and any("left alone" in line for line in lines)
    content = json.loads(written.read_text())
    assert content["found"] and content["name"] == "Ball" and 0 < content["doubt"] < 1 and content["more"] == []
    assert content["stamp"].startswith("crowd:") and content["axis"] == "k"


def test_without_masks_there_is_nothing_to_export(tmp_path):
    made = a_crowd_project(tmp_path / "balls")
    with pytest.raises(InputError, match="no consensus"):
        KeptOutcome(made)
    make_outcome(made, said_by(made, {"a": Skill()}), None)
    with pytest.raises(InputError, match="without a model"):
        KeptOutcome(made)


def test_an_object_that_nobody_saw_is_told_and_not_proposed(tmp_path):
    made = a_crowd_project(tmp_path / "balls", volumes=1, gold=1)
    said = said_by(made, {"a": Skill()})
    absent = tuple(replace(one, kind="absent", boxes_rc=()) for one in said.answers)
    make_outcome(made, replace(said, answers=absent), model)
    (written,) = write_proposals(KeptOutcome(made))
    assert not json.loads(written.read_text())["found"]
    write_label_maps(KeptOutcome(made), tmp_path / "labels")
    assert not labels_of(tmp_path, "p0").any()


# -- the command ------------------------------------------------------------------------------------------------------------------


def test_the_command_exports_and_says_when_answers_came_since(project, tmp_path, capsys):
    assert main(["crowd", "export", str(project.folder), "-o", str(tmp_path / "labels"), "--proposals"]) == 0
    told = capsys.readouterr()
    assert "p0.nii.gz" in told.out and "proposal" in told.out and "came since" in told.err
    assert main(["crowd", "export", str(project.folder)]) == 2
    assert "Say what to export" in capsys.readouterr().err
    assert main(["crowd", "export", str(project.folder), "--nnunet", str(tmp_path), "--number", "501", "--name", "Crowd"]) == 0
    assert "Dataset501_Crowd" in capsys.readouterr().out


def test_the_command_knows_every_rule():
    assert command._DOUBTFUL == DOUBTFUL_RULES
