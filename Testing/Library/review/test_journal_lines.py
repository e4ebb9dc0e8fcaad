"""A journal grows by lines: each decision costs what it changed, and any damage but a torn end is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from SAM2AnnotateLib.errors import GridMismatchError, InputError, OutputError, SAM2AnnotateError
from SAM2AnnotateLib.geometry import Box2D, Extent, Volume, VolumeGrid
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession, journal
from SAM2AnnotateLib.review.journal import JournaledObject, earlier_identity, read_journal, volume_identity, write_journal

SHAPE = (12, 10)


def a_session(slices: int = 9) -> ReviewSession:
    """All slices proposed."""
    session = ReviewSession({slices // 2: SlicePrompt(box=Box2D(2, 8, 3, 7))}, Extent(0, slices - 1), SHAPE)
    for position in range(slices):
        session.add_result(a_result(position, position == slices // 2))
    return session


def a_result(position: int, prompted: bool = False) -> SliceResult:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2 + position % 3 : 8, 3:7] = True
    return SliceResult(position, mask, 0.9, 0.8, 0.01, Box2D(-1, 12, 0, 10), prompted)


def a_volume(slices: int = 9, seed: int = 0) -> Volume:
    return Volume(VolumeGrid((slices, *SHAPE), np.eye(4)), np.random.default_rng(seed).integers(0, 99, (slices, *SHAPE), dtype=np.int16))


@pytest.fixture(autouse=True)
def _a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(journal, "_known_files", {})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "j.json"


def lines(path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def state(objects) -> str:
    return json.dumps({name: [one.axis, one.about, one.session.to_json()] for name, one in objects.items()}, sort_keys=True)


IDENTITY = volume_identity(a_volume())


def test_a_decision_adds_a_line_and_the_journal_reads_back_as_it_is(path):
    objects = {"a": JournaledObject("k", a_session(), {"n": 1}), "b": JournaledObject("k", a_session(), {})}
    write_journal(path, IDENTITY, objects)
    objects["a"].session.accept(3)
    write_journal(path, IDENTITY, objects)
    objects["b"].session.correct(4, np.ones(SHAPE, dtype=bool))
    write_journal(path, IDENTITY, objects)
    write_journal(path, IDENTITY, objects)  # nothing was decided: nothing is written
    assert len(lines(path)) == 3
    assert state(read_journal(path, IDENTITY)) == state(objects)


def test_random_steps_read_back_after_each(path):
    rng = np.random.default_rng(5)
    session, about = a_session(), {"clicks": 0}
    extra, snapshots, whole = a_session(), [], 0
    for step in range(150):
        position = int(rng.integers(0, 9))
        action = rng.integers(0, 9)
        if action == 0:
            session.accept(position) if session.mask(position) is not None else None
        elif action == 1:
            session.correct(position, rng.random(SHAPE) < 0.3)
        elif action == 2:
            session.unlock(position)
        elif action == 3:
            session.add_result(a_result(position))
        elif action == 4 and position not in session.locked:
            session.set_prompt(position, SlicePrompt(points=(Point(3, 4),)))
        elif action == 5 and len(session.prompts) > 1:
            session.remove_prompt(next(iter(session.prompts)))
        elif action == 6:
            snapshots.append(session.snapshot())
        elif action == 7 and snapshots:
            session.restore(snapshots.pop())
        else:
            about = {"clicks": step}
        objects = {"a": JournaledObject("k", session, about)} | ({"b": JournaledObject("k", extra, {})} if step % 7 else {})
        write_journal(path, IDENTITY, objects)
        whole += len(lines(path)) == 1
        assert state(read_journal(path, IDENTITY)) == state(objects), (step, action)
    assert whole == 1  # all others were added


def test_an_accept_adds_as_many_bytes_to_a_long_journal_as_to_a_short_one(path):
    added = {}
    for slices in (50, 2000):
        session = a_session(slices)
        objects = {"a": JournaledObject("k", session, {})}
        write_journal(path, volume_identity(a_volume(3)), objects)
        before = path.stat().st_size
        session.accept(11)
        write_journal(path, volume_identity(a_volume(3)), objects)
        added[slices] = path.stat().st_size - before
    assert added[2000] <= added[50] + 5 < 1000  # its numbers have more digits


def test_killed_at_any_byte_the_last_decisions_stand(path):
    session = a_session()
    objects = {"a": JournaledObject("k", session, {})}
    states = []
    for position in (1, 5, 7):
        session.accept(position)
        write_journal(path, IDENTITY, objects)
        states.append(state(objects))
    whole = path.read_bytes()
    ends = np.cumsum([len(line) for line in lines(path)])
    for length in range(int(ends[0]), len(whole) + 1):
        for tail in (b"", b"\0" * 40):
            path.write_bytes(whole[:length] + tail)
            done = int(np.searchsorted(ends, length, side="right")) - 1
            assert state(read_journal(path, IDENTITY)) == states[done], (length, tail)
    for length in range(0, int(ends[0]) - 1, 37):  # the first line is replaced atomically: cut off, it is damage
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_journal(path, IDENTITY)


def test_after_a_torn_line_the_next_process_begins_anew(path):
    objects = {"a": JournaledObject("k", a_session(), {})}
    write_journal(path, IDENTITY, objects)
    objects["a"].session.accept(2)
    write_journal(path, IDENTITY, objects)
    path.write_bytes(path.read_bytes()[:-5])
    objects["a"].session.accept(3)
    write_journal(path, IDENTITY, objects)  # this very process too: the file is not as it left it
    assert len(lines(path)) == 1
    assert state(read_journal(path, IDENTITY)) == state(objects)


def test_damage_anywhere_else_is_refused_whole(path):
    session = a_session()
    objects = {"a": JournaledObject("k", session, {})}
    for position in (1, 5, 7, 8):
        session.accept(position)
        write_journal(path, IDENTITY, objects)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1)
    rng = np.random.default_rng(3)
    for at in rng.integers(0, last, 300):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(0, 7))
        path.write_bytes(damaged)
        try:
            back = read_journal(path, IDENTITY)
        except SAM2AnnotateError as told:
            assert "\n" not in str(told)
        else:
            assert state(back) == state(objects), at  # such as a space of the JSON


def test_a_full_disk_leaves_the_last_line_and_the_next_write_goes_on(path, monkeypatch):
    objects = {"a": JournaledObject("k", a_session(), {})}
    write_journal(path, IDENTITY, objects)
    before, kept = state(objects), path.read_bytes()
    objects["a"].session.accept(2)

    def full(_handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fsync", full)
        with pytest.raises(OutputError, match="No space left on device. The last one stands"):
            write_journal(path, IDENTITY, objects)
    assert path.read_bytes() == kept and state(read_journal(path, IDENTITY)) == before
    write_journal(path, IDENTITY, objects)
    assert state(read_journal(path, IDENTITY)) == state(objects)


def test_what_another_program_wrote_is_not_added_to(path):
    mine, other = ({"a": JournaledObject("k", a_session(), {"who": who})} for who in (1, 2))
    write_journal(path, IDENTITY, mine)
    theirs = path.with_name("theirs")
    write_journal(theirs, IDENTITY, other)
    path.write_bytes(theirs.read_bytes())
    mine["a"].session.accept(1)
    write_journal(path, IDENTITY, mine)
    assert len(lines(path)) == 1 and state(read_journal(path, IDENTITY)) == state(mine)


def test_a_long_journal_is_written_short_again(path, monkeypatch):
    monkeypatch.setattr(journal, "_COMPACT_BEYOND", 5000)
    session = a_session()
    objects = {"a": JournaledObject("k", session, {})}
    counts = []
    for step in range(400):
        session.correct(step % 9, a_result(step).mask)
        write_journal(path, IDENTITY, objects)
        counts.append(len(lines(path)))
    assert 2 < counts.count(1) < 100
    assert path.stat().st_size < 20_000
    assert state(read_journal(path, IDENTITY)) == state(objects)


def test_one_voxel_tells_two_volumes_apart(path):
    for slices in (9, 200):
        volume = a_volume(slices)
        voxels = volume.array_kji.copy()
        voxels[5, 3, 2] += 1
        other = Volume(volume.grid, voxels)
        assert volume_identity(volume) != volume_identity(other)
        turned = Volume(VolumeGrid(voxels.T.shape, np.eye(4)), volume.array_kji.T)
        assert volume_identity(turned) == volume_identity(Volume(turned.grid, np.ascontiguousarray(turned.array_kji)))
    write_journal(path, volume_identity(volume), {"a": JournaledObject("k", a_session(), {})})
    with pytest.raises(GridMismatchError, match="belongs to another volume"):
        read_journal(path, volume_identity(other))


def test_a_journal_of_an_earlier_version_is_taken_where_its_identity_is_asked_for(path):
    volume, session = a_volume(), a_session()
    session.accept(3)
    stored = {"a": {"axis": "k", "about": {}, "session": session.to_json()}}
    path.write_text(json.dumps({"format": "sam2annotate-journal-2", "volume": earlier_identity(volume), "objects": stored}))
    assert read_journal(path, volume_identity(volume), earlier_identity(volume))["a"].session.locked == {3}
    with pytest.raises(GridMismatchError):
        read_journal(path, volume_identity(volume))


def test_what_a_decision_leaves_as_it_was_is_not_encoded_again(monkeypatch):
    """A review of thousands of slices is stored in a tag after every decision."""
    from SAM2AnnotateLib.prompts import mask_runs

    session, encoded = a_session(60), []
    real = mask_runs._runs_of
    monkeypatch.setattr(mask_runs, "_runs_of", lambda mask: encoded.append(1) or real(mask))
    before = session.to_json()
    session.correct(7, np.eye(*SHAPE, dtype=bool))
    encoded.clear()
    after = session.to_json()
    assert len(encoded) == 1 and after["results"] == before["results"]
    back = ReviewSession.from_json(json.loads(json.dumps(after)))
    assert back.to_json() == after
    known = len(mask_runs._known)
    del session, back, before, after
    assert len(mask_runs._known) < known  # remembered as long as the masks live
