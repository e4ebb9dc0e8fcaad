"""A worklist that is large, shared by two programs, or damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D, Extent
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.review.journal import JournaledObject
from SAM2AnnotateLib.review.stored_object import TAG, pack_object
from SAM2AnnotateSlicer.Worklist import WorklistFolder as WorklistFolderFile
from SAM2AnnotateSlicer.Worklist.WorklistFolder import LIST_FILE, CaseState, WorklistFolder

ROOT = Path(__file__).resolve().parents[3]
_WRITER = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/SAM2Annotate"]
from SAM2AnnotateSlicer.Worklist.WorklistFolder import WorklistFolder
listed = WorklistFolder(sys.argv[2])
cases = listed.cases()[int(sys.argv[3]) :: 2]
print("ready", flush=True)
for case in cases:
    listed.noteBegun(case)
    listed.noteExported(case, "Dataset001_A", [])
    print(case.name, flush=True)
"""


def volumes(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"c{number:04}.nii").write_bytes(b"")
    return folder


def writer(folder: Path, part: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", _WRITER, str(ROOT), str(folder), str(part)], stdout=subprocess.PIPE, text=True)


def listed(folder: Path) -> dict:
    return json.loads((folder / LIST_FILE).read_text())["cases"]


def test_two_programs_note_in_one_list_and_nothing_is_lost(tmp_path):
    folder = volumes(tmp_path / "w", 40)
    children = [writer(folder, part) for part in (0, 1)]
    said = [child.communicate()[0].split() for child in children]
    assert [len(words) for words in said] == [21, 21]
    assert set(listed(folder)) == {f"c{number:04}" for number in range(40)}
    assert all(entry["exported"]["data_set"] == "Dataset001_A" for entry in listed(folder).values())
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".nii") == [LIST_FILE]


@pytest.mark.parametrize("words", [3, 12, 20])
def test_one_of_two_killed_the_list_is_whole_and_the_next_start_removes_what_it_left(tmp_path, words):
    folder = volumes(tmp_path / "w", 60)
    killed, other = writer(folder, 0), writer(folder, 1)
    assert killed.stdout is not None
    said = [killed.stdout.readline().strip() for _ in range(words)]
    killed.kill()
    killed.communicate()
    assert len(other.communicate()[0].split()) == 31
    entries = listed(folder)
    assert {name for name in said if name != "ready"} <= set(entries) and {f"c{n:04}" for n in range(1, 60, 2)} <= set(entries)
    (folder / f".{LIST_FILE}.lock").touch()  # as a kill between two steps leaves it
    again = WorklistFolder(folder)
    again.noteBegun(again.cases()[-2])
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".nii") == [LIST_FILE]


def test_a_second_look_reads_no_segmentation_again(tmp_path, monkeypatch):
    folder = volumes(tmp_path / "w", 30)
    session = ReviewSession({1: SlicePrompt(box=Box2D(1, 3, 1, 3))}, Extent(0, 1), (4, 4))
    for position in (0, 1):
        session.correct(position, np.eye(4, dtype=bool))
    body = f"NRRD0004\nSegment0_ID:=a\nSegment0_Tags:={TAG}:{pack_object(JournaledObject('k', session))}|\n\n".encode()
    for number in range(30):
        (folder / f"c{number:04}.seg.nrrd").write_bytes(body)
    read: list[Path] = []
    real = WorklistFolderFile.storedSessions
    monkeypatch.setattr(WorklistFolderFile, "_summaries", {})
    monkeypatch.setattr(WorklistFolderFile, "storedSessions", lambda path: read.append(path) or real(path))
    for _look in range(2):
        found = WorklistFolder(folder)
        assert {found.state(case) for case in found.cases()} == {CaseState.REVIEWED}
    assert len(read) == 30
    changed = folder / "c0003.seg.nrrd"
    changed.write_bytes(body + b" ")
    assert found.state(found.find("c0003")) is CaseState.REVIEWED and read[30:] == [changed]


def test_a_drive_without_locks_has_its_list_all_the_same(tmp_path, monkeypatch):
    from SAM2AnnotateLib import file_locks

    def no_locks(_stream):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(file_locks, "_lock", no_locks)
    folder = volumes(tmp_path / "w", 2)
    found = WorklistFolder(folder)
    found.noteBegun(found.cases()[0])
    assert listed(folder) == {"c0000": {"begun": True}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"format": 2, "cases": {}}',
        '{"format": 1}',
        '{"format": 1, "cases": []}',
        '{"format": 1, "cases": {"a": 3}}',
        '{"format": 1, "cases": {"a": {"exported": 3}}}',
        '{"format": 1, "cases": {"a": {"exported": {"review": 9e999, "data_set": ""}}}}',
    ],
)
def test_a_damaged_list_is_one_line(tmp_path, content):
    folder = volumes(tmp_path / "w", 2)
    (folder / LIST_FILE).write_text(content)
    with pytest.raises(InputError, match="is damaged. .* Remove that file") as told:
        WorklistFolder(folder)
    assert "\n" not in str(told.value)


def test_names_in_a_list_reach_no_file(tmp_path):
    folder = volumes(tmp_path / "w", 1)
    (tmp_path / "victim.seg.nrrd").write_bytes(b"precious")
    (folder / LIST_FILE).write_text(json.dumps({"format": 1, "cases": {"../victim": {"begun": True}, "/etc/passwd": {"begun": True}}}))
    found = WorklistFolder(folder)
    assert [case.name for case in found.cases()] == ["c0000"]
    with pytest.raises(InputError, match="There is no volume"):
        found.find("../victim")
    found.noteBegun(found.cases()[0])
    assert (tmp_path / "victim.seg.nrrd").read_bytes() == b"precious"
