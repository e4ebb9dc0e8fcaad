"""The Slicer module's rooms: the plan in `SAM2Annotate/README.md` is what lies on the disk, and no room imports one above it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SAM2Annotate" / "SAM2AnnotateSlicer"
OWN_FOLDER = "(the folder itself)"
MOST_FILES = 20


def planned_rows(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Rows of the plan, from the ground up: the room ('' for the folder itself) and its files."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and (cells[0] == OWN_FOLDER or re.fullmatch(r"`[A-Z]\w*`", cells[0])):
            files = re.findall(r"`([A-Z]\w*)`", cells[2])
            rows.append(("" if cells[0] == OWN_FOLDER else cells[0].strip("`"), tuple(files)))
    return rows


PLAN = planned_rows((ROOT / "SAM2Annotate" / "README.md").read_text(encoding="utf-8"))
LEVELS = {(room, file): level for level, (room, files) in enumerate(PLAN) for file in files}


def files_of(room: str) -> list[Path]:
    return sorted(path for path in (MODULE / room).glob("*.py") if path.stem != "__init__")


def imported_files(path: Path) -> set[tuple[str, str]]:
    """(room, file) of everything that a module file imports from the module itself, inside functions too."""
    found = set()
    here = path.parent.relative_to(MODULE).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = (*here[: len(here) - node.level + 1], *(node.module or "").split("."))
            parts = tuple(part for part in parts if part)
            for alias in node.names:
                whole = (*parts, alias.name) if (MODULE / Path(*parts, f"{alias.name}.py")).is_file() else parts
                found.add((whole[0], whole[1]) if len(whole) > 1 else ("", whole[0]))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            assert not any(name.split(".")[0] == "SAM2AnnotateSlicer" for name in names), f"{path.name} imports its own package by name"
    return found


def test_the_plan_names_every_room_and_every_file():
    rooms = {"", *(folder.name for folder in MODULE.iterdir() if any(folder.glob("*.py")))}
    assert {(room, path.stem) for room in rooms for path in files_of(room)} == set(LEVELS)


@pytest.mark.parametrize(("room", "file"), sorted(LEVELS))
def test_a_file_imports_only_its_own_room_and_rooms_below(room, file):
    level = LEVELS[room, file]
    above = {one for one in imported_files(MODULE / room / f"{file}.py") if LEVELS[one] > level}
    assert not above, f"{room}/{file} imports from above: {sorted(above)}"


def test_the_order_is_read_from_plan_and_imports():
    assert LEVELS["Panel", "Widget"] > LEVELS["Review", "Logic"] > LEVELS["Scene", "SceneBridge"] > LEVELS["", "Event"]
    assert ("Review", "Logic") in imported_files(MODULE / "Panel" / "Widget.py")
    assert ("", "Event") in imported_files(MODULE / "Model" / "ModelService.py")


def test_a_room_is_no_hall_and_says_what_lives_there():
    for room in {room for room, _files in PLAN}:
        assert len(files_of(room)) <= MOST_FILES, f"{room} holds {len(files_of(room))} files"
        assert ast.get_docstring(ast.parse((MODULE / room / "__init__.py").read_text(encoding="utf-8"))), f"{room} does not say what it is"
