"""What a packaged extension has: its files, all of them and in their places, the library in reach, its tests, its entry in the index."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import list_files
import pytest
from extension_build import MODULES_FOLDER, ROOT, SHARE_FOLDER, build_and_install, configure, find_tool
from PIL import Image

TOP_LEVEL = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
TIME_LIMIT_S = 120  # for a program that would otherwise hang the tests; each needs some seconds
INDEX_ENTRY = ROOT / "Resources" / "ExtensionsIndex" / "SAM2Annotate.json"


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def files_expected() -> dict[str, Path]:
    """Where a file lies below Python's path folder, and its source. The module's files lie there themselves, the library's in a package."""
    module, library = list_files.PACKAGED_FOLDERS
    places = {file: ROOT / module.name / file for file in module.files_on_disk(ROOT)}
    places |= {f"{library.name}/{file}": ROOT / library.name / file for file in library.files_on_disk(ROOT)}
    return places


def metadata(key: str) -> str:
    """A value as the Extensions Index's robot reads it: set, name and value in quotes on one line."""
    found = re.findall(rf'set\s*\(EXTENSION_{key}\s*"([^"]+)"\)', TOP_LEVEL)
    assert len(found) == 1, f"EXTENSION_{key} is set {len(found)} times in a form that the index reads"
    return found[0]


# --- files


def test_every_file_is_installed_where_a_packaged_extension_has_it_and_nothing_else_is(extension):
    expected = {(MODULES_FOLDER / place).as_posix() for place in files_expected()}
    assert files_below(extension.prefix) == expected | {(SHARE_FOLDER / "SAM2Annotate.s4ext").as_posix()}


def test_every_installed_file_is_the_source_byte_for_byte(extension):
    assert [place for place, source in files_expected().items() if (extension.modules / place).read_bytes() != source.read_bytes()] == []


def test_the_build_folder_has_the_files_in_the_same_places(extension):
    assert files_below(extension.build / MODULES_FOLDER) == set(files_expected())


def test_beside_the_module_s_own_file_slicer_finds_no_other_to_take_for_a_module(installed_extension):
    assert [path.name for path in installed_extension.glob("*.py")] == ["SAM2Annotate.py"]


# --- what lies there works


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python in a folder, which `-c` puts on its path."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_S)


def run_code(folder: Path, code: str) -> str:
    """What code prints that finds our packages in a folder and nowhere else."""
    here = str(Path(__file__).parent)
    prologue = f"import sys; sys.path.append({here!r}); import extension_build; extension_build.forget_editable_installations()"
    done = run_python(folder, "-c", f"{prologue}\n{code}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_runs_from_the_installed_files_and_sees_the_bundled_weights(installed_extension):
    as_a_command = "import runpy; sys.argv = ['sam2annotate', 'models']; runpy.run_module('SAM2AnnotateLib', run_name='__main__')"
    models = run_code(installed_extension, as_a_command)
    assert re.search(r"^bundled\b.*\byes\b", models, flags=re.MULTILINE), models


def test_what_runs_is_the_installed_library_and_it_has_the_sample_case(installed_extension):
    code = "import SAM2AnnotateLib, SAM2AnnotateLib.cli.demo as demo; print(SAM2AnnotateLib.__file__); print(demo._SAMPLE)"
    library, sample = map(Path, run_code(installed_extension, code).splitlines())
    assert library == installed_extension / "SAM2AnnotateLib" / "__init__.py"
    assert sample.is_relative_to(installed_extension)
    assert files_below(sample) == {"image.nii.gz", "label.nii.gz"}


def enter_module(folder: Path, working_directory: Path) -> dict:
    """Load and enter the module of a folder in the test host, in a process of its own; what `enter_module.py` says of it."""
    for package, wheel in {"slicer": "slicer-core", "PySide6": "PySide6-Essentials"}.items():
        if find_spec(package) is None:
            pytest.skip(f"the test host needs {wheel}")
    program, host = Path(__file__).with_name("enter_module.py"), ROOT / "Testing" / "Slicer"
    done = run_python(working_directory, str(program), str(folder), str(host))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_module_runs_from_the_installed_tree(installed_extension, tmp_path):
    entered = enter_module(installed_extension, tmp_path)
    assert Path(entered["module"]) == installed_extension / "SAM2Annotate.py"
    assert Path(entered["library"]) == installed_extension / "SAM2AnnotateLib" / "__init__.py"
    assert entered["widgets"] > 10
    assert entered["missing"] == []


def test_the_module_runs_from_a_checkout(tmp_path):
    entered = enter_module(ROOT / "SAM2Annotate", tmp_path)
    assert Path(entered["library"]) == ROOT / "SAM2AnnotateLib" / "__init__.py"
    assert entered["missing"] == []


# --- what is registered with CTest


def names_of_tests(build: Path) -> set[str]:
    listing = subprocess.run([find_tool("ctest"), "--test-dir", build, "-N"], capture_output=True, text=True, check=True)
    return set(re.findall(r"Test +#\d+: (\S+)", listing.stdout))


def test_slicer_runs_the_module_s_own_test_and_the_generic_ones(extension):
    assert names_of_tests(extension.build) == {"py_SAM2Annotate", "py_nomainwindow_qSlicerSAM2AnnotateModuleGenericTest"}


def test_an_extension_built_without_tests_registers_none(tmp_path, cmake_works):
    configured = configure(ROOT, tmp_path, "-DBUILD_TESTING=OFF")
    assert configured.returncode == 0, configured.stderr
    assert names_of_tests(tmp_path) == set()


# --- the stand-ins are as strict as Slicer


def an_extension(folder: Path, module_arguments: str) -> Path:
    """The smallest extension: one module of one file."""
    (folder / "Toy.py").write_text("", encoding="utf-8")
    metadata_lines = "".join(
        f'set(EXTENSION_{key} "x")\n' for key in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS")
    )
    (folder / "CMakeLists.txt").write_text(
        f"""cmake_minimum_required(VERSION 3.16.3)
        project(Toy NONE)
        {metadata_lines}
        set(EXTENSION_DEPENDS "NA")
        find_package(Slicer REQUIRED)
        include(${{Slicer_USE_FILE}})
        slicerMacroBuildScriptedModule({module_arguments})
        include(${{Slicer_EXTENSION_GENERATE_CONFIG}})
        include(${{Slicer_EXTENSION_CPACK}})
        """,
        encoding="utf-8",
    )
    return folder


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("NAME Toy SCRIPTS Toy.py Missing.py", "no file 'Missing.py'"),
        ("NAME Toy SCRIPTS Toy.py RESOURCES Resources/UI/Toy.ui", "no file 'Resources/UI/Toy.ui'"),
        ("NAME Toy SCRIPTS ../Toy.py", "outside the module's folder"),
        ("SCRIPTS Toy.py", "NAME is mandatory"),
        ("Toy NAME Toy SCRIPTS Toy.py", "unknown arguments: Toy"),
    ],
)
def test_a_module_that_slicer_would_refuse_is_refused(tmp_path, cmake_works, arguments, complaint):
    configured = configure(an_extension(tmp_path, arguments), tmp_path / "build")
    assert configured.returncode != 0
    assert complaint in re.sub(r"\s+", " ", configured.stderr)


def test_a_file_that_is_not_listed_is_not_installed(tmp_path, cmake_works):
    source = an_extension(tmp_path, "NAME Toy SCRIPTS Toy")
    (source / "Forgotten.py").touch()
    configured = configure(source, tmp_path / "build")
    assert configured.returncode == 0, configured.stderr
    build_and_install(tmp_path / "build", tmp_path / "installed")
    assert files_below(tmp_path / "installed" / MODULES_FOLDER) == {"Toy.py"}


def test_a_subfolder_module_is_installed_under_its_own_name(tmp_path, cmake_works):
    source = an_extension(tmp_path, "NAME Toy SCRIPTS Toy.py WITH_SUBDIR")
    assert configure(source, tmp_path / "build").returncode == 0
    build_and_install(tmp_path / "build", tmp_path / "installed")
    assert files_below(tmp_path / "installed" / MODULES_FOLDER) == {f"{source.name}/Toy.py"}


# --- what the Extensions Index asks for


def test_the_index_reads_every_metadata_field():
    keys = ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS")
    assert all(metadata(key).strip() for key in keys)


def test_the_installed_description_says_what_the_metadata_say(extension):
    lines = (extension.prefix / SHARE_FOLDER / "SAM2Annotate.s4ext").read_text(encoding="utf-8").splitlines()
    described = dict(line.split(" ", 1) for line in lines)
    assert described == {key.lower(): metadata(key) for key in (line.split(" ")[0].upper() for line in lines)}


@pytest.mark.parametrize("url", [metadata("ICONURL"), *metadata("SCREENSHOTURLS").split()])
def test_a_picture_named_for_the_index_is_in_the_repository(url):
    raw = metadata("HOMEPAGE").replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
    assert url.startswith(raw)
    with Image.open(ROOT / url.removeprefix(raw)) as picture:
        assert picture.format == "PNG"


def test_the_icon_is_of_the_size_that_the_index_asks_for():
    with Image.open(ROOT / "SAM2Annotate" / "Resources" / "Icons" / "SAM2Annotate.png") as icon:
        assert icon.size == (128, 128)
        assert icon.mode == "RGBA"
        assert icon.getpixel((0, 0))[3] == 0


def test_the_index_entry_has_the_fields_of_the_schema_and_no_others():
    entry = json.loads(INDEX_ENTRY.read_text(encoding="utf-8"))
    types = {
        "$schema": str,
        "category": str,
        "scm_url": str,
        "scm_revision": str,
        "scm_type": str,
        "build_dependencies": list,
        "build_subdirectory": str,
        "enabled": bool,
        "tier": int,
    }
    assert {key: type(value) for key, value in entry.items()} == types
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert entry["category"] == "Segmentation"
    assert entry["scm_type"] == "git"
    assert entry["tier"] in (1, 3, 5)


def test_the_index_entry_agrees_with_the_extension():
    entry = json.loads(INDEX_ENTRY.read_text(encoding="utf-8"))
    assert re.search(r"project\s*\(\s*([^\s)]+)", TOP_LEVEL)[1] == INDEX_ENTRY.stem
    assert entry["scm_url"].removesuffix(".git") == metadata("HOMEPAGE")
    assert entry["scm_url"].rsplit("/", 1)[1].startswith("Slicer")
    assert entry["build_dependencies"] == metadata("DEPENDS").split()


def test_the_index_entry_has_line_feeds_only():
    assert b"\r" not in INDEX_ENTRY.read_bytes()


def test_the_licence_lies_in_the_root_where_the_index_looks():
    assert (ROOT / "LICENSE").is_file()
