"""A simulated crowd through the real project, assignment and records: balanced, complete, repeatable; people who leave cost nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")
pytest.importorskip("yaml")
pytest.importorskip("scipy")

from SAM2AnnotateLib.crowd.consensus import consensus_of_all
from SAM2AnnotateLib.crowd.export import KeptOutcome, write_label_maps
from SAM2AnnotateLib.crowd.outcome import make_outcome
from SAM2AnnotateLib.crowd.outcome.make import Said
from SAM2AnnotateLib.crowd.records import CrowdRecords
from SAM2AnnotateLib.crowd.simulated import PEOPLE, ObjectTruth, SimulatedPerson, Skill
from SAM2AnnotateLib.crowd.simulated.crowd import run_crowd
from SAM2AnnotateLib.crowd.simulated.made_up_project import KNOWN, OBJECT, VOLUME, made_up_project
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import read_volume, write_volume

# Slices run against the index, so that a mix-up of index and position shows.
GRID = VolumeGrid((20, 40, 50), np.diag([1.0, 1.0, -3.0, 1.0]))
STACK = SliceStack.along(GRID, "axial")


@pytest.fixture
def image(tmp_path):
    voxels = np.zeros(GRID.shape_kji, dtype=np.int16)
    voxels[5:13, 10:30, 15:35] = 100
    write_volume(Volume(GRID, voxels), tmp_path / "image.nii.gz")
    return tmp_path / "image.nii.gz", ObjectTruth.of_masks({p: STACK.view(voxels)[p] > 0 for p in range(20)})


def run(folder, image, people, *, k, seed=1, beyond=2):
    path, truth = image
    project = made_up_project(folder, path, truth, STACK, axis="axial", window="0,100", people=k, beyond=beyond, gold_every=3)
    with CrowdRecords.open("sqlite://", durable=False) as records:
        records.add_project(project)
        return run_crowd(records, project, {(VOLUME, OBJECT): truth, (KNOWN, OBJECT): truth}, people, seed)


def crowd(number, skill="typical"):
    return {f"person {n}": SimulatedPerson(PEOPLE[skill], n) for n in range(number)}


def test_every_slice_gets_as_many_answers_as_asked_and_none_twice(tmp_path, image):
    done = run(tmp_path / "p", image, crowd(5), k=3)
    real = [one for one in done.answers if not one.gold]
    assert Counter(one.task.position for one in real) == dict.fromkeys(range(STACK.position_of(12) - 2, STACK.position_of(5) + 3), 3)
    assert len({(one.person, one.task) for one in done.answers}) == len(done.answers)
    assert min(Counter(one.person for one in real).values()) >= 3  # of 36; who is faster does more
    known = [one for one in done.answers if one.gold]
    assert {one.task.volume for one in known} == {KNOWN} and {one.task.volume for one in real} == {VOLUME}
    assert {one.task.position for one in known} <= {STACK.position_of(index) for index in (3, 6, 9, 12)}
    assert done.unfinished == 0 and len(set(done.pseudonyms.values())) == 5


def test_the_same_crowd_leaves_the_same_answers(tmp_path, image):
    first, second = (run(tmp_path / name, image, crowd(4), k=2) for name in "ab")
    assert first.answers == second.answers and first.ended == second.ended
    assert first.answers != run(tmp_path / "c", image, crowd(4), k=2, seed=2).answers


def test_faultless_people_agree_on_the_truth(tmp_path, image):
    done = run(tmp_path / "p", image, crowd(3, "faultless"), k=3)
    found = consensus_of_all(done.answers)
    for task, one in found.items():
        assert tuple(box.box_in(STACK.frame_shape_rc) for box in one.counted_boxes) == image[1].at(task.position)


def test_what_people_hold_who_leave_is_given_to_others(tmp_path, image):
    people = crowd(2) | {"leaver": SimulatedPerson(Skill(leaves_after=2), 9)}
    done = run(tmp_path / "p", image, people, k=2)
    assert done.unfinished == 0
    assert Counter(one.person for one in done.answers)["leaver"] <= 2


def test_too_few_who_stay_leave_slices_unfinished_and_the_run_ends(tmp_path, image):
    done = run(tmp_path / "p", image, {"alone": SimulatedPerson(Skill(leaves_after=3), 9)}, k=1)
    assert done.unfinished == 12 - sum(not one.gold for one in done.answers)


def test_a_volume_without_a_truth_is_refused(tmp_path, image):
    path, truth = image
    project = made_up_project(tmp_path / "p", path, truth, STACK, axis="axial", window="0,100", people=1, beyond=0, gold_every=3)
    with CrowdRecords.open("sqlite://", durable=False) as records:
        records.add_project(project)
        with pytest.raises(InputError, match="no truth for object on known"):
            run_crowd(records, project, {(VOLUME, OBJECT): truth}, crowd(1), 0)


def test_from_many_people_to_a_label_map_through_everything_that_is_real(tmp_path, image):
    path, truth = image
    project = made_up_project(tmp_path / "p", path, truth, STACK, axis="axial", window="0,100", people=3, beyond=2, gold_every=1)
    people = crowd(4, "careful") | {"random": SimulatedPerson(Skill(random_share=1.0, random_absent=0.0), 9)}
    with CrowdRecords.open("sqlite://", durable=False) as records:
        records.add_project(project)
        done = run_crowd(records, project, {(VOLUME, OBJECT): truth, (KNOWN, OBJECT): truth}, people, 1)
        said = Said(tuple(records.answers(project.key)), records.gold_answers(project.key), records.decisions(project.key))
    outcome = make_outcome(project, said, ScriptedEngine)
    told = {one.person for one in outcome.people.values() if one.is_random}
    assert told == {done.pseudonyms["random"]}
    write_label_maps(KeptOutcome(project), tmp_path / "labels")
    labels, voxels = read_volume(tmp_path / "labels" / f"{VOLUME}.nii.gz"), read_volume(path)
    voxels.grid.require_same(labels.grid, "image", "labels")
    found, right = labels.array_kji > 0, voxels.array_kji > 0
    assert (
        2 * np.count_nonzero(found & right) / (np.count_nonzero(found) + np.count_nonzero(right)) > 0.8
    )  # a third of the answers are random
