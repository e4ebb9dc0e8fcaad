"""CMake's file lists: they agree with the disk, and the program that keeps them so notices when they do not."""

from __future__ import annotations

from pathlib import Path

import list_files
import pytest

CMAKE = """set({name}_PYTHON_SCRIPTS
{scripts}  )

set({name}_PYTHON_RESOURCES
{resources}  )
some_macro(NAME {name})
"""


def a_listing(name: str, scripts: list[str], resources: list[str]) -> str:
    return CMAKE.format(name=name, scripts="".join(f"  {s}\n" for s in scripts), resources="".join(f"  {r}\n" for r in resources))


@pytest.fixture
def a_repository(tmp_path: Path) -> Path:
    """Two packaged folders with right lists."""
    for file in (
        "SAM2Annotate/SAM2Annotate.py",
        "SAM2Annotate/Helpers/Tool.py",
        "SAM2Annotate/Resources/UI/Panel.ui",
        "SAM2Annotate/README.md",
        "SAM2AnnotateLib/__init__.py",
        "SAM2AnnotateLib/data/README.md",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    module, library = (tmp_path / name / "CMakeLists.txt" for name in ("SAM2Annotate", "SAM2AnnotateLib"))
    module.write_text(a_listing("SAM2Annotate", ["Helpers/Tool.py", "SAM2Annotate.py"], ["Resources/UI/Panel.ui"]), "utf-8")
    library.write_text(a_listing("SAM2AnnotateLib", ["__init__.py"], ["data/README.md"]), "utf-8")
    return tmp_path


def test_every_file_of_module_and_library_is_listed_and_every_listed_file_exists():
    assert list_files.differences(list_files.ROOT) == [], "run: python3 Testing/Packaging/list_files.py --write"


def test_right_lists_have_no_differences(a_repository):
    assert list_files.differences(a_repository) == []


def test_a_new_file_is_noticed(a_repository):
    (a_repository / "SAM2Annotate" / "Helpers" / "New.py").touch()
    assert list_files.differences(a_repository) == ["SAM2Annotate/Helpers/New.py exists and is not listed in SAM2Annotate_PYTHON_SCRIPTS."]


def test_a_removed_file_is_noticed(a_repository):
    (a_repository / "SAM2AnnotateLib" / "data" / "README.md").unlink()
    expected = "SAM2AnnotateLib/data/README.md is listed in SAM2AnnotateLib_PYTHON_RESOURCES and does not belong there."
    assert list_files.differences(a_repository) == [expected]


def test_a_file_listed_twice_is_noticed(a_repository):
    path = a_repository / "SAM2AnnotateLib" / "CMakeLists.txt"
    path.write_text(a_listing("SAM2AnnotateLib", ["__init__.py", "__init__.py"], ["data/README.md"]), "utf-8")
    assert list_files.differences(a_repository) == ["SAM2AnnotateLib/__init__.py is listed twice in SAM2AnnotateLib_PYTHON_SCRIPTS."]


def test_a_picture_listed_as_a_script_is_noticed(a_repository):
    path = a_repository / "SAM2Annotate" / "CMakeLists.txt"
    path.write_text(a_listing("SAM2Annotate", ["Helpers/Tool.py", "Resources/UI/Panel.ui", "SAM2Annotate.py"], []), "utf-8")
    found = list_files.differences(a_repository)
    assert len(found) == 2
    assert all("Panel.ui" in sentence for sentence in found)


@pytest.mark.parametrize("by_product", ["__pycache__/SAM2Annotate.cpython-312.pyc", ".mask.partial.7", ".hidden/file.py", "Old.pyc"])
def test_what_programs_leave_behind_is_not_packaged(a_repository, by_product):
    path = a_repository / "SAM2Annotate" / by_product
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert list_files.differences(a_repository) == []


def test_writing_makes_the_lists_right_and_changes_nothing_else(a_repository):
    (a_repository / "SAM2Annotate" / "Helpers" / "New.py").touch()
    (a_repository / "SAM2Annotate" / "Resources" / "UI" / "Panel.ui").unlink()
    list_files.write_lists(a_repository)
    assert list_files.differences(a_repository) == []
    text = (a_repository / "SAM2Annotate" / "CMakeLists.txt").read_text("utf-8")
    assert text == a_listing("SAM2Annotate", ["Helpers/New.py", "Helpers/Tool.py", "SAM2Annotate.py"], [])


def test_a_list_in_another_form_is_refused_rather_than_misread():
    with pytest.raises(ValueError, match="one file a line"):
        list_files.listed_files("SAM2Annotate_PYTHON_SCRIPTS", "set(SAM2Annotate_PYTHON_SCRIPTS a.py b.py)\n")


def test_the_command_says_what_differs_and_fails(a_repository, monkeypatch, capsys):
    monkeypatch.setattr(list_files, "ROOT", a_repository)
    assert list_files.main(["--check"]) == 0
    (a_repository / "SAM2Annotate" / "New.py").touch()
    assert list_files.main(["--check"]) == 1
    assert "SAM2Annotate/New.py exists" in capsys.readouterr().err
    assert list_files.main(["--write"]) == 0
