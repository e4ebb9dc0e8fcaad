"""A file is written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from patients import names_in

from SAM2AnnotateLib.atomic_files import replaced_atomically, replaced_together, sole_writer, write_text_atomically
from SAM2AnnotateLib.errors import InputError, OutputError


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


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_stay_and_links_are_followed(tmp_path):
    path = tmp_path / "far" / "report.json"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o600)
    (tmp_path / "link.json").symlink_to(path)
    with replaced_atomically(tmp_path / "link.json") as partial:
        partial.write_text("new")
        assert partial.parent == path.parent and partial.stat().st_mode & 0o077 == 0
    assert (tmp_path / "link.json").is_symlink() and path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    write_text_atomically(tmp_path / "new.json", "x")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_writer_that_writes_nothing_leaves_the_older_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(OutputError, match="Cannot write"), replaced_atomically(path):
        pass
    assert path.read_text() == "old" and names_in(tmp_path) == ["report.json"]


def test_a_long_name_needs_no_longer_one(tmp_path):
    path = tmp_path / ("x" * 247 + ".nii.gz")
    write_text_atomically(path, "x")
    assert path.read_text() == "x"


def test_text_that_is_none_is_told(tmp_path):
    with pytest.raises(OutputError, match=r"the text holds '\\udcfc', which is no character"):
        write_text_atomically(tmp_path / "report.json", "M\udcfcller")
    assert names_in(tmp_path) == []


def test_files_that_belong_together_are_never_of_two_times(tmp_path, monkeypatch):
    """Stopped before any of its operations, what is there is all old, all new, or tells by what is missing that it is not whole."""
    paths = [tmp_path / name for name in ("mask.nii.gz", "report.json", "preview.png")]
    seen = set()
    for stop in range(20):
        for path in paths:
            path.write_text("old")
        left = [stop]

        def counted(real, left=left):
            def operation(*args, **more):
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
                return real(*args, **more)

            return operation

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(Path, "replace", counted(Path.replace))
            patch.setattr(Path, "unlink", counted(Path.unlink))
            with replaced_together(paths) as partials:
                for partial in partials:
                    partial.write_text("new")
        there = [path.read_text() for path in paths if path.exists()]
        assert len(set(there)) == 1 or stop < 1, there
        seen.add((len(there), there[0]))
        for path in tmp_path.iterdir():
            path.unlink()
    assert {(3, "old"), (3, "new"), (1, "new")} <= seen


def test_a_failure_while_several_are_written_changes_none(tmp_path):
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in paths:
        path.write_text("old")
    with pytest.raises(OutputError, match="Cannot write '.*a.txt', '.*b.txt': No space left"), replaced_together(paths) as partials:
        partials[0].write_text("new")
        raise OSError(28, "No space left on device")
    assert [path.read_text() for path in paths] == ["old", "old"] and names_in(tmp_path) == ["a.txt", "b.txt"]


def test_two_programs_into_one_output_the_second_is_refused(tmp_path):
    with sole_writer(tmp_path / "mask.nii.gz"):
        with pytest.raises(InputError, match="Another program writes to '.*mask.nii.gz' now"), sole_writer(tmp_path / "mask.nii.gz"):
            pass
        with sole_writer(tmp_path / "other.nii.gz"):
            pass
    assert names_in(tmp_path) == []
    with sole_writer(tmp_path / "mask.nii.gz"):
        pass


def test_a_file_may_become_empty_and_a_writer_that_wrote_nothing_is_told(tmp_path):
    path = tmp_path / "version"
    path.write_text("one")
    write_text_atomically(path, "")
    assert path.read_text() == ""
    write_text_atomically(path, "two")
    with pytest.raises(OutputError, match="nothing was written"), replaced_atomically(path):
        pass  # the writer forgot its file
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]
