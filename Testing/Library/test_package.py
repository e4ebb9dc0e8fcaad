"""The package as a whole: importable with numpy alone, and every room imports only rooms below it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import SAM2AnnotateLib

HERE = Path(__file__).parent
LIBRARY = Path(SAM2AnnotateLib.__file__).parent
PACKAGE = LIBRARY.name

# From the ground up. A room may import the rooms of the lines above its own, and itself.
ROOMS = (
    # Single files; these may import one another.
    (
        "errors",
        "progress",
        "atomic_files",
        "optional_imports",
        "processors",
        "file_names",
        "json_input",
        "file_locks",
        "leftovers",
        "csv_cells",
        "ray_cluster",
    ),
    ("geometry", "yaml_config"),
    ("volume_io", "intensity", "prompts", "metrics", "statistics"),
    ("engine",),
    ("propagation", "setup_plan"),
    ("review",),
    ("annotator",),  # a single file: the steps of an annotation, joined
    ("adaptation",),
    ("auto_prompts",),
    ("prototypes",),
    ("pictures", "simulation", "worker"),
    ("training", "nnunet", "remote", "server", "simulated_learning"),
    ("crowd",),
    ("benchmark",),  # which trains, too
    ("study",),
    ("self_check",),  # a single file
    ("cli",),
    ("__main__",),
)
LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
# Rooms that are houses of their own, from the ground up; `presets` holds files only. None imports its house.
INNER_ROOMS = {
    "crowd": (
        "answers",
        "project",
        "records",
        "assignment",
        "consensus",
        "masks",
        "quality",
        "outcome",
        "report",
        "export",
        "simulated",
        "web",
    ),
    "engine": ("models",),
    "nnunet": ("cases", "sources", "data_sets", "runs", "scores"),
    "study": ("presets", "configuration", "records", "work", "tables", "report", "execution"),
}
# Files in a house's own folder: names that scripts were written with before it had rooms.
DOORS = {"nnunet": ("plan.py", "verify.py")}
# Houses whose own folder is a room too, above all inner ones.
LIVED_IN = {"engine"}
MOST_FILES = 20
MAY_IMPORT_ON_THEIR_LEVEL = {*ROOMS[0]}
MAY_IMPORT_TORCH = {"engine", "auto_prompts", "training", "benchmark"}
# Runs in nnU-Net's process, which subclassing its trainer takes; nothing else imports it.
MAY_IMPORT_TORCH_TOO = {Path("nnunet/runs/own_trainer.py")}
MODEL_PACKAGES = {"torch", "torchvision", "sam2", "transformers"}
SLICER_PACKAGES = {"slicer", "qt", "ctk", "vtk", "mrml", "PythonQt", "PySide6"}


def library_files() -> list[Path]:
    return sorted(LIBRARY.rglob("*.py"))


def room_of(file: Path, library: Path = LIBRARY) -> str:
    """The first folder below the library, or the file's own name for a file at its top ('__init__' for the library's own)."""
    return file.relative_to(library).with_suffix("").parts[0]


def imported_modules(source: str, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that a file imports, inside functions too, and by name in a string.

    Args:
        source: the file's text.
        package: names from the top package down to the one the file lies in.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            for alias in node.names:  # what follows `import` may be a module too
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            position = {"import_module": 0, "__import__": 0, "import_for": 1}.get(called)
            if position is not None and len(node.args) > position and isinstance(node.args[position], ast.Constant):
                yield node.lineno, str(node.args[position].value)


def violations(source: str, file: Path, library: Path) -> list[str]:
    """What a library file imports and may not, one sentence each."""
    room = room_of(file, library)
    package = (library.name, *file.relative_to(library).parent.parts)
    found = []
    for line, module in imported_modules(source, package):
        top, *below = module.split(".")
        where = f"{file.relative_to(library).as_posix()}:{line}"
        if top in SLICER_PACKAGES:
            found.append(f"{where} imports {top}, which only the Slicer module may")
        elif top in MODEL_PACKAGES and room not in MAY_IMPORT_TORCH and file.relative_to(library) not in MAY_IMPORT_TORCH_TOO:
            found.append(f"{where} imports {top}, which only {', '.join(sorted(MAY_IMPORT_TORCH))} may")
        elif top == library.name and below and below[0] in LEVELS and room in LEVELS and below[0] != room:
            allowed = LEVELS[below[0]] < LEVELS[room] or (LEVELS[below[0]] == LEVELS[room] and room in MAY_IMPORT_ON_THEIR_LEVEL)
            if not allowed:
                found.append(f"{where}: {room} imports {below[0]}, which does not lie below it")
        elif top == library.name and below[:1] == [room] and room in INNER_ROOMS and len(below) > 1:
            order, own = INNER_ROOMS[room], file.relative_to(library).parts[1]
            if own in order and (below[1] not in order or order.index(below[1]) > order.index(own)):
                found.append(f"{where}: {room}/{own} imports {room}/{below[1]}, which does not lie below it")
    return found


def test_every_room_has_its_place_in_the_order():
    unplaced = {room_of(file) for file in library_files()} - LEVELS.keys() - {"__init__"}
    assert not unplaced, f"Enter these in ROOMS: {sorted(unplaced)}"


@pytest.mark.parametrize("house", sorted(INNER_ROOMS))
def test_every_inner_room_has_its_place_in_the_order(house):
    assert {folder.name for folder in (LIBRARY / house).iterdir() if any(folder.glob("*.py"))} == set(INNER_ROOMS[house])
    if house not in LIVED_IN:
        assert {file.name for file in (LIBRARY / house).glob("*.py")} == {"__init__.py", *DOORS.get(house, ())}


def planned_rooms(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """Rooms and inner rooms in the order of the plan in CONTRIBUTING.md."""
    block = text.partition("SAM2AnnotateLib/\n")[2].partition("SAM2Annotate/")[0]
    rooms: list[str] = []
    inner: dict[str, list[str]] = {}
    for line in block.splitlines():
        name = line.split()[0]
        if line.startswith("    "):
            inner.setdefault(rooms[-1], []).append(name)
        elif not name.startswith("("):
            rooms.append(name)
    return rooms, inner


def test_the_plan_in_contributing_is_what_stands():
    rooms, inner = planned_rooms((LIBRARY.parent / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert [LEVELS[room] for room in rooms] == sorted(LEVELS[room] for room in rooms)
    assert sorted(rooms) == sorted(room for room in LEVELS if (LIBRARY / room).is_dir())
    assert inner == {house: list(order) for house, order in INNER_ROOMS.items()}


def test_a_door_leads_to_what_lives_in_the_room():
    from SAM2AnnotateLib.nnunet import plan, verify
    from SAM2AnnotateLib.nnunet.cases import plan as the_plan
    from SAM2AnnotateLib.nnunet.runs import verify as the_check

    assert plan.read_plan is the_plan.read_plan and plan.PLAN_FILE == the_plan.PLAN_FILE
    assert verify.verify_files is the_check.verify_files


def test_no_room_is_a_hall():
    rooms = {file.parent for file in library_files()} - {LIBRARY}
    sizes = {room.relative_to(LIBRARY).as_posix(): len([file for file in room.glob("*.py") if file.stem != "__init__"]) for room in rooms}
    assert not {room: size for room, size in sizes.items() if size > MOST_FILES}


def test_the_tests_stand_in_the_same_rooms():
    folders = {folder.name for folder in HERE.iterdir() if folder.is_dir() and any(folder.glob("test_*.py"))}
    assert folders <= {folder.name for folder in LIBRARY.iterdir() if folder.is_dir()}
    single = {file.stem for file in LIBRARY.glob("*.py")} | {"package", "dev"}
    astray = [file.name for file in HERE.glob("test_*.py") if file.stem.removeprefix("test_") not in single]
    assert not astray, f"Move these into the folder of the room that they test: {astray}"


def test_every_room_says_what_lives_there():
    houses = (LIBRARY, *(LIBRARY / house for house in INNER_ROOMS))
    rooms = [folder for house in houses for folder in house.iterdir() if any(folder.glob("*.py"))]
    silent = [
        room.name
        for room in rooms
        if not ((room / "__init__.py").is_file() and ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))))
    ]
    assert not silent, f"No docstring in the __init__.py of: {sorted(silent)}"


@pytest.mark.parametrize("file", library_files(), ids=lambda file: file.relative_to(LIBRARY).as_posix())
def test_a_file_imports_only_what_lies_below_it(file):
    assert violations(file.read_text(encoding="utf-8"), file, LIBRARY) == []


@pytest.mark.parametrize(
    ("place", "source", "complaint"),
    [
        ("geometry/boxes.py", "from ..engine import Engine", "geometry imports engine"),
        ("geometry/boxes.py", "def f():\n    from .. import engine", "geometry imports engine"),
        ("volume_io/read.py", "import SAM2AnnotateLib.intensity.mapping", "volume_io imports intensity"),
        ("errors.py", "from .geometry import Volume", "errors imports geometry"),
        ("propagation/passes.py", "def f():\n    import torch.nn", "imports torch"),
        ("cli/segment.py", "import_for('Segmenting', 'sam2.build_sam', 'pip install sam2')", "imports sam2"),
        ("engine/engine.py", "from slicer import util", "imports slicer"),
        ("engine/deep/model.py", "from ...cli.main import main", "engine imports cli"),
        ("study/records/units.py", "from ..work.tasks import Task", "study/records imports study/work"),
        ("nnunet/cases/plan.py", "from ..runs import folders", "nnunet/cases imports nnunet/runs"),
        ("nnunet/cases/plan.py", "from .. import DataSet", "nnunet/cases imports nnunet/DataSet"),
        ("engine/models/download.py", "from ..adapter import Adapter", "engine/models imports engine/adapter"),
    ],
)
def test_an_import_from_above_is_noticed(place, source, complaint):
    found = violations(source, LIBRARY / place, LIBRARY)
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (
            "engine/sam2_engine.py",
            "import torch\nfrom ..errors import EngineError\nfrom ..prompts import SlicePrompt\nfrom . import engine",
        ),
        ("engine/loading.py", "from .models.checkpoints import Checkpoint"),
        ("optional_imports.py", "from .errors import MissingPackageError"),
        ("geometry/boxes.py", "import torchlight"),
        ("__main__.py", "from .cli.main import main"),
    ],
)
def test_an_import_from_below_is_fine(place, source):
    assert violations(source, LIBRARY / place, LIBRARY) == []


def test_importing_the_library_loads_no_optional_package():
    code = f"import sys, {PACKAGE}; print(*sorted(name for name in sys.modules if '.' not in name))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert PACKAGE in loaded
    heavy = {*MODEL_PACKAGES, *SLICER_PACKAGES, "SimpleITK", "scipy", "PIL", "safetensors", "hydra", "iopath", "nibabel"}
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize("room", ["geometry", "volume_io", "intensity", "prompts", "propagation"])
def test_a_room_for_arrays_imports_with_numpy_alone(room):
    blocked = ["torch", "sam2", "SimpleITK", "scipy", "PIL", "safetensors", "hydra"]
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked})); import {PACKAGE}.{room}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_version_has_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", SAM2AnnotateLib.__version__)


def test_every_file_of_the_library_is_listed_for_cmake_and_every_listed_file_exists():
    listed = set(re.findall(r"^  ([\w./-]+\.\w+)$", (LIBRARY / "CMakeLists.txt").read_text(encoding="utf-8"), flags=re.MULTILINE))
    files = [path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert listed == set(files) - {"CMakeLists.txt"}
