"""Writing a segmentation to its file: whole or not at all, and never taken for saved if it was not."""

from __future__ import annotations

from pathlib import Path

import pytest
import slicer
from worlds import aVolume

from SAM2AnnotateSlicer.Scene.SceneBridge import newSegmentation
from SAM2AnnotateSlicer.Scene.SegmentationFile import storedPath, writeSegmentation


@pytest.fixture
def node():
    made = newSegmentation(aVolume())
    made.GetSegmentation().AddEmptySegment("", "Liver")
    return made


def test_it_is_written_and_counts_as_saved(node, tmp_path):
    path = tmp_path / "Fall 1.seg.nrrd"
    assert writeSegmentation(node, str(path)) == ""
    assert path.is_file() and storedPath(node) == str(path) and not node.GetModifiedSinceRead()
    assert [one.name for one in tmp_path.iterdir()] == ["Fall 1.seg.nrrd"]


def test_a_write_that_breaks_off_leaves_the_last_file_as_it_was(node, tmp_path, monkeypatch):
    path = tmp_path / "a.seg.nrrd"
    assert writeSegmentation(node, str(path)) == ""
    before = path.read_bytes()

    def writesHalf(_node, target, *_properties):
        Path(target).write_bytes(b"half")
        return False

    monkeypatch.setattr(slicer.util, "saveNode", writesHalf)
    assert "is there room on the disk?" in writeSegmentation(node, str(path))
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["a.seg.nrrd"]


def test_a_file_that_another_program_holds_open_is_told_and_the_work_counts_as_unsaved(node, tmp_path, monkeypatch):
    path = tmp_path / "a.seg.nrrd"
    assert writeSegmentation(node, str(path)) == ""
    node.GetSegmentation().AddEmptySegment("", "Spleen")

    def refused(_self, _target):
        raise PermissionError(13, "The process cannot access the file")  # as on Windows

    monkeypatch.setattr(Path, "replace", refused)
    assert "cannot access the file" in writeSegmentation(node, str(path))
    assert node.GetModifiedSinceRead() and storedPath(node) == str(path)


def test_a_first_write_that_fails_leaves_the_node_without_a_file(node, tmp_path, monkeypatch):
    monkeypatch.setattr(slicer.util, "saveNode", lambda *_arguments: False)
    assert "could not write it" in writeSegmentation(node, str(tmp_path / "a.seg.nrrd"))
    assert storedPath(node) == "" and list(tmp_path.iterdir()) == []
