"""A file is written whole or not at all."""

from __future__ import annotations

import pytest
from patients import names_in

from SAM2AnnotateLib.atomic_files import replaced_atomically, write_text_atomically
from SAM2AnnotateLib.errors import OutputError


def test_text_is_written_as_utf8_and_replaces_the_older_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    write_text_atomically(path, "größer\n")
    assert path.read_bytes() == b"gr\xc3\xb6\xc3\x9fer\n"
    assert names_in(tmp_path) == ["report.json"]


def test_the_older_file_stands_until_the_end(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with replaced_atomically(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent
    assert path.read_text() == "new"


def test_the_temporary_name_keeps_the_suffix_in_lower_case(tmp_path):
    with replaced_atomically(tmp_path / "Mask.NII.gz") as partial:
        assert partial.name.endswith(".nii.gz")
        partial.write_bytes(b"x")
    assert names_in(tmp_path) == ["Mask.NII.gz"]


@pytest.mark.parametrize("error, expected", [(OSError(28, "No space left"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)])
def test_a_failure_half_way_leaves_the_older_file_and_nothing_else(tmp_path, error, expected):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(expected), replaced_atomically(path) as partial:
        partial.write_text("ha")
        raise error
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["report.json"]


def test_a_full_disk_is_named_in_the_error(tmp_path):
    expected = "Cannot write '.*report.json': No space left on device. Nothing was changed there."
    with pytest.raises(OutputError, match=expected), replaced_atomically(tmp_path / "report.json"):
        raise OSError(28, "No space left on device")


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="Cannot write"), replaced_atomically(tmp_path / "report.json"):
        pass
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "name, reason",
    [("gone/report.json", "No such file"), ("file/report.json", "Not a directory|No such file"), ("n" * 300, "too long|"), ("folder", "")],
)
def test_a_place_where_nothing_can_be_written_is_an_output_error(tmp_path, name, reason):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=f"Cannot write '.*{name}': .*({reason})"):
        write_text_atomically(tmp_path / name, "text")
    assert names_in(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"
