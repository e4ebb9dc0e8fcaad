"""'Propose for all': every case that nobody has begun, in the background; stopped, resumed, learned again; no person's work is replaced."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import slicer
from dicom_files import a_slice, write
from panel_bench import makeBench, plainText, settle
from worlds import ballArray, waitFor

from SAM2AnnotateLib.engine import Adapter
from SAM2AnnotateLib.errors import WorkerError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.prototypes import PrototypeLibrary, prototype_from
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateSlicer.Worklist import CaseProposals, LearnedOfCases
from SAM2AnnotateSlicer.Worklist.WorklistFolder import storedObjects

GRID = VolumeGrid((24, 40, 44), np.diag([-1.0, -1.0, 2.0, 1.0]))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2ANNOTATE_PROTOTYPES", str(tmp_path / "prototypes"))
    volume = Volume(GRID, ballArray())
    PrototypeLibrary().add(prototype_from(volume, ballArray() > 100, "Ball", "k", "0,255"))
    return makeBench(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path):
    """Two balls of different sizes, and a volume without one."""
    path = tmp_path / "cases"
    path.mkdir()
    for name, radii in (("a", (9, 11, 12)), ("b", (8, 10, 11))):
        write_volume(Volume(GRID, ballArray(radii_kji=radii)), path / f"{name}.nii.gz")
    write_volume(Volume(GRID, np.full((24, 40, 44), 10, dtype=np.int16)), path / "empty.nii.gz")
    return path


def openPage(bench, folder):
    bench.click("worklist")
    page = bench.panel.dataSets.cases.page
    page.ui.folderEdit.currentPath = str(folder)
    settle()
    return page


def press(page, name):
    button = getattr(page.ui, f"{name}Button")
    assert button.enabled, button.toolTip
    button.click()
    settle()


def proposed(bench, page):
    """All cases looked into."""
    press(page, "propose")
    waitFor(lambda: not bench.panel.dataSets.proposer.running, 120, "for the proposals")
    settle()


def states(page):
    table = page.ui.casesTable
    return {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount)}


def cases(bench):
    return {case.name: case for case in bench.panel.dataSets.worklist.folder.cases()}


def test_a_tilted_series_is_looked_into_with_its_slices_shifted_back_where_one_wants_it(bench, folder):
    for k in range(10):
        write(a_slice(ballArray()[k].astype(np.int16), k + 1, (-5, 7 + 1.5 * k, 3 * k)), folder / "tilted" / f"{k}.dcm")
    page = openPage(bench, folder)
    proposed(bench, page)
    assert "was tilted" in bench.panel.dataSets.proposer.problems["tilted"] and CaseProposals.find(cases(bench)["tilted"]) is None
    page.ui.untiltCheckBox.click()
    proposed(bench, page)
    assert not bench.panel.dataSets.proposer.problems and CaseProposals.find(cases(bench)["tilted"]) is not None
    page.ui.untiltCheckBox.click()


def test_all_cases_are_proposed_in_the_background_and_the_most_doubtful_comes_next(bench, folder):
    page = openPage(bench, folder)
    proposed(bench, page)
    shown = states(page)
    assert {name for name, text in shown.items() if text.startswith("proposed, doubt")} == {"a", "b"} and shown["empty"] == "not found"
    assert "3 of 3 cases" in plainText(page.ui.proposeLabel) and not list(folder.glob("*.seg.nrrd"))
    doubts = {name: CaseProposals.find(case).doubt for name, case in cases(bench).items() if name != "empty"}
    assert bench.panel.dataSets.worklist.next().name == max(doubts, key=doubts.get)
    press(page, "next")
    annotated = bench.annotated
    assert annotated is not None and annotated.name == "Ball" and not annotated.session.locked
    assert all(annotated.session.status(p) is SliceStatus.PROPOSED for p in annotated.session.extent.indices)
    assert annotated.volumeNode.GetName() == max(doubts, key=doubts.get)


def test_cases_where_nothing_was_found_come_last(bench, folder):
    page = openPage(bench, folder)
    proposed(bench, page)
    order = []
    for _ in range(3):
        press(page, "next")
        order.append(bench.logic.parameters.volume.GetName())
        if bench.annotated is not None:
            for position in bench.annotated.session.extent.indices:
                bench.logic.accept(position)
            bench.panel.dataSets.worklist.save()
    assert order[-1] == "empty" and set(order) == {"a", "b", "empty"}


def test_what_a_person_saved_is_never_proposed_over_and_a_proposal_ends_when_its_case_is_saved(bench, folder):
    page = openPage(bench, folder)
    proposed(bench, page)
    press(page, "next")
    name = bench.logic.parameters.volume.GetName()
    bench.logic.accept(bench.annotated.center)
    press(page, "save")
    case = cases(bench)[name]
    assert case.segmentation.is_file() and not CaseProposals.pathOf(case).exists()
    before = case.segmentation.read_bytes()
    PrototypeLibrary().add(prototype_from(Volume(GRID, ballArray()), ballArray() > 100, "Ball", "k", "0,255"))
    proposed(bench, page)
    assert case.segmentation.read_bytes() == before and not CaseProposals.pathOf(case).exists()


def test_it_is_stopped_and_goes_on_with_what_is_left(bench, folder):
    page, proposer = openPage(bench, folder), None
    proposer = bench.panel.dataSets.proposer
    bench.service.held = True
    press(page, "propose")
    waitFor(lambda: bench.service.busy, 60)
    bench.service.letThrough(2)
    settle()
    assert "% of it" in proposer.text and not page.ui.proposeButton.enabled
    press(page, "stop")
    assert not proposer.running and "go on" in plainText(page.ui.proposeLabel) and page.ui.proposeButton.enabled
    bench.service.held = False
    proposed(bench, page)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob(f"*{CaseProposals.SUFFIX}")}
    asked = bench.service.asked.count("object")
    assert len(before) == 3
    proposed(bench, page)  # nothing is left
    assert bench.service.asked.count("object") == asked
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob(f"*{CaseProposals.SUFFIX}")} == before


def test_a_volume_that_cannot_be_read_is_left_out_and_told(bench, folder):
    (folder / "broken.nii.gz").write_bytes(b"no volume")
    page = openPage(bench, folder)
    proposed(bench, page)
    assert "broken" in plainText(page.ui.proposeLabel) and "1 could not be looked into" in plainText(page.ui.proposeLabel)
    assert len(list(folder.glob(f"*{CaseProposals.SUFFIX}"))) == 3


def test_a_model_that_dies_is_asked_once_more_and_then_it_stops_with_the_reason(bench, folder):
    page = openPage(bench, folder)
    bench.service.fault = WorkerError("The model's process ended unexpectedly.")
    proposed(bench, page)
    assert len(list(folder.glob(f"*{CaseProposals.SUFFIX}"))) == 3
    for path in folder.glob(f"*{CaseProposals.SUFFIX}"):
        path.unlink()

    def dies(request, _replies):
        request.onFailed(WorkerError("The model's process ended unexpectedly."))
        return request

    bench.service._answer = dies
    proposed(bench, page)
    assert "ended unexpectedly" in plainText(page.ui.proposeLabel) and "go on" in plainText(page.ui.proposeLabel)
    assert not list(folder.glob(f"*{CaseProposals.SUFFIX}")) and PrototypeLibrary().names() == ["Ball"]


def test_it_learns_from_reviewed_cases_and_proposes_the_rest_anew(bench, folder):
    page = openPage(bench, folder)
    proposer = bench.panel.dataSets.proposer
    proposer.learning.options = {"steps": 6}
    proposed(bench, page)
    stamps = {name: CaseProposals.find(case).stamp for name, case in cases(bench).items()}
    press(page, "next")
    name = bench.logic.parameters.volume.GetName()
    for position in bench.annotated.session.extent.indices:
        bench.logic.accept(position)
    press(page, "save")
    waitFor(lambda: not proposer.running, 120)
    settle()
    assert "learn" in bench.service.asked
    left = {other: CaseProposals.find(case) for other, case in cases(bench).items() if other != name}
    assert all(one.stamp != stamps[other] for other, one in left.items())
    known = json.loads((folder / "sam2annotate_proposals.json").read_text())["objects"]["Ball"]
    assert known["learned_from"] == [name] and known["learned"]
    assert storedObjects(cases(bench)[name].segmentation)[0].about["segment"] == "Ball"
    asked = bench.service.asked.count("learn")
    proposed(bench, page)
    assert bench.service.asked.count("learn") == asked
    kept = bench.logic.learnedModels
    file = kept.folder / f"{known['learned']}.safetensors"
    own = Adapter.from_bytes(file.read_bytes())
    foreign = kept.keep(Adapter(own.tensors, replace(own.card, base_sha256="0" * 64)).to_bytes())
    for sha256 in (foreign.sha256, "0" * 64):  # of another model, which shows when it is asked; and gone
        LearnedOfCases.write(folder, "Ball", LearnedOfCases.LearnedOfCases(sha256, (name,)))
        bench.service.description = None
        asked += 1
        proposed(bench, page)
        assert bench.service.asked.count("learn") == asked and not proposer.problems
        assert LearnedOfCases.read(folder, "Ball").sha256 == known["learned"] and "was looked for in" in proposer.text


def test_a_damaged_proposal_is_told_when_its_case_is_opened_and_is_made_anew(bench, folder):
    page = openPage(bench, folder)
    proposed(bench, page)
    path = CaseProposals.pathOf(cases(bench)["a"])
    content = json.loads(path.read_text())
    for harm in ({"session": {}}, {"axis": "z"}, {"shape_kji": [1, 2, 3]}, {"about": {}}, {"ijk_to_ras": "x"}, {"format": 7}):
        path.write_text(json.dumps({**content, **harm}))
        bench.panel.dataSets.worklist.goTo(cases(bench)["a"])
        settle()
        assert bench.annotated is None and "proposal" in bench.message and "Unexpected" not in bench.message, harm
    path.write_text("{")
    bench.panel.dataSets.worklist.goTo(cases(bench)["b"])
    assert CaseProposals.find(cases(bench)["a"]) is None
    proposed(bench, page)
    assert CaseProposals.find(cases(bench)["a"]).found


def test_another_folder_ends_it(bench, folder, tmp_path):
    page = openPage(bench, folder)
    bench.service.held = True
    press(page, "propose")
    waitFor(lambda: bench.service.busy, 60)
    (tmp_path / "other").mkdir()
    page.ui.folderEdit.currentPath = str(tmp_path / "other")
    bench.service.held = False
    bench.service.letThrough(None)
    settle()
    assert not bench.panel.dataSets.proposer.running and not list((tmp_path / "other").iterdir())


def test_closing_the_scene_does_not_end_it(bench, folder):
    page = openPage(bench, folder)
    bench.service.held = True
    press(page, "propose")
    waitFor(lambda: bench.service.busy, 60)
    slicer.mrmlScene.Clear(False)
    settle()
    bench.service.held = False
    bench.service.letThrough(None)
    waitFor(lambda: not bench.panel.dataSets.proposer.running, 120)
    assert len(list(folder.glob(f"*{CaseProposals.SUFFIX}"))) == 3
