"""From a project's answers to what is kept of them: whole, resumable, and the same whatever the order."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from crowd_cases import a_crowd_project
from crowd_outcomes import model, said_by

from SAM2AnnotateLib.crowd.outcome import (
    WAYS,
    RunKey,
    Said,
    doubtful_slices,
    make_outcome,
    outline_of,
    read_outcome,
    read_run,
)
from SAM2AnnotateLib.crowd.simulated import PEOPLE, Skill
from SAM2AnnotateLib.errors import Cancelled, InputError
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.progress import CancelToken


@pytest.fixture
def project(tmp_path):
    return a_crowd_project(tmp_path / "balls")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_object_and_keeps_it(project, way):
    if way in ("majority", "staple"):
        pytest.importorskip("SimpleITK")
    said = said_by(project, {name: Skill() for name in "abc"})
    outcome = make_outcome(project, said, model, way)
    assert set(outcome.masks) == {RunKey("p0", "ball"), RunKey("p1", "ball")}
    run = read_run(project.folder, RunKey("p0", "ball"))
    assert sorted(run.slices) == list(range(8))
    found = np.stack([run.slices[n].mask for n in range(8)])
    assert found.sum() == pytest.approx(4 * 12 * 14, rel=0.03) and not found[:2].any() and not found[-2:].any()
    stored = read_outcome(project.folder)
    assert stored.text("way") == way and stored.text("digest") == said.digest
    assert stored.object("engine").text("model") == "scripted"
    assert {one["person"] for one in stored.items("people")} == {"a", "b", "c"}


def test_without_a_model_there_are_boxes_and_doubts(project):
    outcome = make_outcome(project, said_by(project, {"a": Skill()}), None)
    assert outcome.masks == {} and outcome.engine is None and outcome.way == ""
    rows = read_outcome(project.folder).items("slices")
    assert len(rows) == 16 and sum(bool(row["boxes_rc"]) for row in rows) == 8


def test_only_what_changed_is_made_anew(project):
    said = said_by(project, {"a": Skill(), "b": Skill()})
    engine, lines = model(), []
    first = make_outcome(project, said, lambda: engine, say=lines.append)
    encoded = engine.encoded_frames
    again = make_outcome(project, said, lambda: engine, say=lines.append)
    assert engine.encoded_frames == encoded and lines[-1].endswith("as before")
    assert all(np.array_equal(one.mask, again.masks[key][n].mask) for key, run in first.masks.items() for n, one in run.items())
    moved = next(one for one in said.answers if one.task.volume == "p1" and one.kind == "box")
    other = replace(moved, boxes_rc=(Box2D(2, 30, 2, 30),))
    changed = replace(said, answers=tuple(other if one is moved else one for one in said.answers))
    lines.clear()
    make_outcome(project, changed, lambda: engine, say=lines.append)
    assert engine.encoded_frames > encoded and [line.endswith("as before") for line in lines] == [True, False]


def test_stopped_it_goes_on_where_it_was(project):
    said = said_by(project, {"a": Skill()})
    token = CancelToken()

    def stop(progress):
        if progress.done > progress.total // 2:
            token.cancel()

    with pytest.raises(Cancelled):
        make_outcome(project, said, model, cancel=token, progress=stop)
    assert read_run(project.folder, RunKey("p0", "ball")) is not None and read_run(project.folder, RunKey("p1", "ball")) is None
    with pytest.raises(InputError, match="no consensus"):
        read_outcome(project.folder)
    lines: list[str] = []
    make_outcome(project, said, model, say=lines.append)
    assert lines[0].endswith("as before") and not lines[1].endswith("as before")


def test_progress_rises_to_its_end_over_all_volumes(project):
    told = []
    make_outcome(project, said_by(project, {"a": Skill()}), model, progress=told.append)
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert told[-1].done == told[-1].total


def test_a_damaged_file_of_masks_is_told_and_made_anew(project):
    said = said_by(project, {"a": Skill()})
    make_outcome(project, said, model)
    path = project.folder / "consensus" / "masks" / "p0" / "ball.json"
    content = json.loads(path.read_text())
    content["slices"][3]["mask"]["runs"] = [1]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="damaged"):
        read_run(project.folder, RunKey("p0", "ball"))
    make_outcome(project, said, model)
    assert read_run(project.folder, RunKey("p0", "ball")).slices[3].mask.any()


def test_the_digest_is_of_what_was_said_not_of_its_order(project):
    said = said_by(project, {"a": Skill(), "b": PEOPLE["typical"]})
    turned = replace(said, answers=said.answers[::-1])
    assert turned.digest == said.digest != said_by(project, {"a": Skill()}).digest


def test_doubtful_slices_come_with_boxes_outline_and_reasons(project):
    said = said_by(project, {"a": Skill(), "b": Skill()})
    far = Box2D(24, 31, 26, 35)
    answers = tuple(
        replace(one, boxes_rc=(far,)) if one.task.volume == "p0" and one.task.position == 3 and one.person == "b" else one
        for one in said.answers
    )
    outcome = make_outcome(project, replace(said, answers=answers), model)
    found = doubtful_slices(project, outcome)
    worst = next(one for one in found if (one.task.volume, one.task.position) == ("p0", 3))
    assert worst.reasons and worst.boxes_rc and worst.outline
    assert [one.doubt for one in found] == sorted((one.doubt for one in found), reverse=True)
    assert not any(one.task.volume == "g0" for one in found)
    assert doubtful_slices(project, outcome, 1.1) == []


def test_nothing_answered_and_unknown_ways_are_told(project):
    with pytest.raises(InputError, match="Nobody has answered"):
        make_outcome(project, Said((), {}, {}), None)
    with pytest.raises(InputError, match="Unknown way"):
        make_outcome(project, said_by(project, {"a": Skill()}), None, "guess")


# -- outlines ---------------------------------------------------------------------------------------------------------------------


def area_of(polygon) -> float:
    """Signed area (shoelace)."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True)) / 2


def test_an_outline_goes_around_parts_and_holes_and_keeps_the_area():
    mask = np.zeros((12, 14), dtype=bool)
    mask[2:9, 3:11] = True
    mask[4:6, 5:7] = False
    mask[10:12, 0:2] = True
    polygons = outline_of(mask)
    assert sorted(len(one) for one in polygons) == [4, 4, 4]
    assert abs(sum(area_of(one) for one in polygons)) == mask.sum()
    assert ((2.0, 3.0), (2.0, 11.0), (9.0, 11.0), (9.0, 3.0)) in polygons
    assert outline_of(np.zeros((3, 3), dtype=bool)) == ()


def test_parts_that_touch_at_a_corner_stay_apart():
    mask = np.eye(3, dtype=bool)
    assert [len(one) for one in outline_of(mask)] == [4, 4, 4]
    noise = np.random.default_rng(1).random((30, 30)) < 0.5
    assert abs(sum(area_of(one) for one in outline_of(noise))) == noise.sum()
