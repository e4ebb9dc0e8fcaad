"""What a crowd made of boxes, opened by the worklist: several objects, doubts, nothing locked, and no search replaces it."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from panel_bench import makeBench, settle
from worlds import ballArray

from SAM2AnnotateLib.crowd.answers import Answer, Task
from SAM2AnnotateLib.crowd.export import KeptOutcome, write_proposals
from SAM2AnnotateLib.crowd.outcome import Said, make_outcome
from SAM2AnnotateLib.crowd.project import read_project
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import Box2D, Volume, VolumeGrid
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateSlicer.Worklist import CaseProposals

GRID = VolumeGrid((24, 40, 44), np.diag([-1.0, -1.0, 2.0, 1.0]))


@pytest.fixture
def folder(tmp_path):
    """A volume with a ball beside it the crowd's proposal of two objects: the ball, on one slice of which people disagree, and its core."""
    path = tmp_path / "cases"
    path.mkdir()
    write_volume(Volume(GRID, ballArray()), path / "a.nii.gz")
    write_volume(Volume(GRID, ballArray()), path / "b.nii.gz")
    crowd = tmp_path / "crowd"
    crowd.mkdir()
    objects = [{"key": key, "name": key.title(), "sentence": "Round.", "label": n} for n, key in enumerate(("ball", "core"), start=1)]
    volumes = [{"key": "a", "image": str(path / "a.nii.gz")}]
    entries = {"key": "crowd", "title": "Balls", "objects": objects, "window": [0, 255], "volumes": volumes}
    (crowd / "project.yaml").write_text(yaml.safe_dump(entries), encoding="utf-8")
    project = read_project(crowd)
    upright = project.volumes[0].stack.view(ballArray()) > 100
    answers = []
    for position, frame in enumerate(upright):
        for person in ("calm-otter", "kind-owl"):
            for key, least in (("ball", 0), ("core", 150)):
                boxes = (Box2D.around(frame),) if frame.sum() > least else ()
                if (key, position, person) == ("ball", 12, "kind-owl"):
                    boxes = (Box2D(1, 8, 1, 8),)
                answers.append(Answer(Task("a", key, position), person, "box" if boxes else "absent", boxes))
    make_outcome(project, Said(tuple(answers), {}, {}), ScriptedEngine)
    write_proposals(KeptOutcome(project))
    return path


def test_the_worklist_opens_all_objects_with_their_doubts_and_nothing_locked(tmp_path, monkeypatch, folder):
    bench = makeBench(tmp_path, monkeypatch)
    bench.click("worklist")
    page = bench.panel.dataSets.cases.page
    page.ui.folderEdit.currentPath = str(folder)
    settle()
    worklist = bench.panel.dataSets.worklist
    case = worklist.folder.find("a")
    known = CaseProposals.find(case)
    assert known.found and known.isOfPeople and known.doubt > 0
    assert worklist.next().name == "a"  # in doubt, so before the one that nobody looked into
    worklist.goTo(case)
    settle()
    objects = {one.name: one for one in bench.panel.logic.keeper.all()}
    assert set(objects) == {"Ball", "Core"}
    ball = objects["Ball"].session
    assert {ball.status(position) for position in ball.extent.indices} == {SliceStatus.PROPOSED}
    results = ball.results
    assert results[12].predicted_iou < 0.7 < results[10].predicted_iou
    assert results[12].mask.any()


def test_a_search_by_prototypes_leaves_what_people_made(tmp_path, monkeypatch, folder):
    bench = makeBench(tmp_path, monkeypatch)
    bench.panel.dataSets.worklist.openFolder(str(folder))
    case = bench.panel.dataSets.worklist.folder.find("a")
    proposer = bench.panel.dataSets.proposer
    proposer.name = "Another"
    assert not proposer._isDue(case)
