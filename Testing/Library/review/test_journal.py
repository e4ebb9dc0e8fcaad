"""What was decided survives: snapshots for undo, and the journal on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest

from SAM2AnnotateLib.errors import GridMismatchError, InputError, OutputError, PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent, Volume, VolumeGrid
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession, SliceStatus, journal
from SAM2AnnotateLib.review.journal import JournaledObject, read_journal, volume_identity, write_journal


def _mask(*rows_cols):
    mask = np.zeros((6, 8), dtype=bool)
    mask[tuple(slice(*pair) for pair in rows_cols)] = True
    return mask


@pytest.fixture
def a_session():
    """Slices 3..6 proposed, 4 accepted, 5 corrected, 6 emptied."""
    session = ReviewSession({3: SlicePrompt(box=Box2D(1, 4, 2, 6), points=(Point(2, 3),))}, Extent(2, 6), (6, 8))
    for position in (3, 4, 5, 6):
        session.add_result(SliceResult(position, _mask((1, 4), (2, 6)), 0.9, 0.8, 0.01, Box2D(-1, 7, 0, 8), position == 3))
    session.accept(4)
    session.correct(5, _mask((2, 3), (3, 5)))
    session.correct(6, np.zeros((6, 8), dtype=bool))
    return session


@pytest.fixture
def a_volume():
    """Seven slices of noise."""
    return Volume(VolumeGrid((7, 6, 8), np.diag([-1.0, -1.0, 2.0, 1.0])), np.random.default_rng(0).normal(size=(7, 6, 8)))


def _same(one: ReviewSession, other: ReviewSession) -> bool:
    return json.dumps(one.to_json(), sort_keys=True) == json.dumps(other.to_json(), sort_keys=True)


def test_undo_brings_back_masks_locks_and_statuses(a_session):
    before = a_session.snapshot()
    stored = json.dumps(a_session.to_json())
    a_session.correct(4, _mask((0, 6), (0, 8)))
    a_session.unlock(5)
    assert json.dumps(a_session.to_json()) != stored
    a_session.restore(before)
    assert json.dumps(a_session.to_json()) == stored and a_session.locked == {4, 5, 6}


def test_a_snapshot_is_not_changed_by_what_comes_after(a_session):
    before = a_session.snapshot()
    a_session.correct(3, _mask((0, 1), (0, 1)))
    assert before.status[3] is SliceStatus.PROPOSED and 3 not in before.final


def test_a_session_comes_back_from_json_whole(a_session):
    back = ReviewSession.from_json(json.loads(json.dumps(a_session.to_json())))
    assert _same(back, a_session)
    assert [back.status(p).value for p in range(2, 7)] == ["empty", "proposed", "accepted", "corrected", "corrected"]
    assert back.mask(5).tobytes() == _mask((2, 3), (3, 5)).tobytes() and not back.mask(6).any()
    assert back.due_work(5).locked == {4, 5, 6}


def test_a_journal_is_read_back_for_its_own_volume(a_session, a_volume, tmp_path):
    write_journal(tmp_path / "j.json", volume_identity(a_volume), {"tumor 1": JournaledObject("axial", a_session, {"clicks": 3})})
    back = read_journal(tmp_path / "j.json", volume_identity(a_volume))["tumor 1"]
    assert back.axis == "axial" and back.about == {"clicks": 3} and _same(back.session, a_session)


def test_a_journal_of_another_volume_is_refused(a_session, a_volume, tmp_path):
    write_journal(tmp_path / "j.json", volume_identity(a_volume), {"tumor 1": JournaledObject("axial", a_session, {"clicks": 3})})
    moved = np.array(a_volume.grid.ijk_to_ras)
    moved[0, 3] += 1
    voxels = a_volume.array_kji.copy()
    voxels[3, 2, 2] += 1
    for other in (Volume(VolumeGrid((7, 6, 8), moved), a_volume.array_kji), Volume(a_volume.grid, voxels)):
        with pytest.raises(GridMismatchError, match="belongs to another volume"):
            read_journal(tmp_path / "j.json", volume_identity(other))


@pytest.mark.parametrize("content", ["", "[]", '{"format": "something else"}'])
def test_a_file_that_is_no_journal_is_refused(a_volume, tmp_path, content):
    (tmp_path / "j.json").write_text(content)
    with pytest.raises(InputError, match="journal"):
        read_journal(tmp_path / "j.json", volume_identity(a_volume))


def test_a_journal_without_its_parts_is_told_as_damaged(a_session, a_volume, tmp_path):
    write_journal(tmp_path / "j.json", volume_identity(a_volume), {"tumor 1": JournaledObject("axial", a_session)})
    content = json.loads((tmp_path / "j.json").read_text())
    del content["objects"]["tumor 1"]["axis"]
    (tmp_path / "j.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="damaged"):
        read_journal(tmp_path / "j.json", volume_identity(a_volume))


def test_a_damaged_session_is_told_as_such(a_session, a_volume, tmp_path):
    write_journal(tmp_path / "j.json", volume_identity(a_volume), {"tumor 1": JournaledObject("axial", a_session, {"clicks": 3})})
    content = json.loads((tmp_path / "j.json").read_text())
    content["objects"]["tumor 1"]["session"]["final"]["5"]["runs"][0] += 1
    (tmp_path / "j.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="damaged: its content does not fit its checksum"):
        read_journal(tmp_path / "j.json", volume_identity(a_volume))
    content["check"] = journal._check_of(content["objects"])  # made up, not damaged
    (tmp_path / "j.json").write_text(json.dumps(content))
    with pytest.raises(PromptError, match="damaged: the runs of a mask do not fill it"):
        read_journal(tmp_path / "j.json", volume_identity(a_volume))


def test_a_journal_that_cannot_be_written_leaves_the_last_one(a_session, a_volume, tmp_path, monkeypatch):
    from pathlib import Path

    write_journal(tmp_path / "j.json", volume_identity(a_volume), {"tumor 1": JournaledObject("axial", a_session, {"clicks": 3})})
    content = (tmp_path / "j.json").read_bytes()

    def full(self, *_args, **_options):
        with open(self, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(journal, "_known_files", {})
    with pytest.raises(OutputError, match="No space left on device"):
        write_journal(tmp_path / "j.json", volume_identity(a_volume), {})
    assert (tmp_path / "j.json").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["j.json"]
