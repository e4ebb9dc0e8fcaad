"""No two files import each other, also not by a detour or inside a function; those that must are named here with the reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("SAM2AnnotateLib", "SAM2Annotate/SAM2AnnotateSlicer", "Testing/Slicer/slicer_host")
EXPLAINED = {
    # A wrapped object has members, members take and give values, values may be wrapped objects: PythonQt is one idea in seven files.
    frozenset(f"pythonqt/{name}" for name in ("shells", "special", "signals", "calls", "members", "proxy", "conversion")),
    # A parameter pack has members that need serializers, and a serializer may be that of a pack.
    frozenset({"parameters/parameter_serializers", "parameters/parameter_packs"}),
}


def imports_within(folder: Path) -> dict[str, set[str]]:
    """For each file of a package the other files of it that it imports when it runs; by path below the folder, without suffix."""
    files = {path.relative_to(folder).with_suffix("").parts for path in folder.rglob("*.py") if path.stem != "__init__"}
    graph = {}
    for parts in sorted(files):
        found = set()
        for node in run_time_nodes(ast.parse((folder / Path(*parts)).with_suffix(".py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = (*parts[: len(parts) - node.level], *(name for name in (node.module or "").split(".") if name))
                found |= {each for alias in node.names for each in ((*base, alias.name), base) if each in files}
        graph["/".join(parts)] = {"/".join(each) for each in found - {parts}}
    return graph


def run_time_nodes(tree: ast.AST):
    """All nodes but those below ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from run_time_nodes(child)


def reached_from(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for other in graph[waiting.pop()] - found:
            found.add(other)
            waiting.append(other)
    return found


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Groups of files that all reach one another."""
    reached = {file: reached_from(graph, file) for file in graph}
    return {frozenset(other for other in reached[file] if file in reached[other]) for file in graph if file in reached[file]}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_circle_is_left_unexplained(package):
    unexplained = circles(imports_within(ROOT / package)) - EXPLAINED
    assert not unexplained, f"These import each other: {[sorted(circle) for circle in unexplained]}"


def test_every_explained_circle_is_there():
    assert circles(imports_within(ROOT / "Testing/Slicer/slicer_host")) == EXPLAINED


def test_a_circle_by_a_detour_is_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}
    assert circles(graph) == {frozenset("abc")}
