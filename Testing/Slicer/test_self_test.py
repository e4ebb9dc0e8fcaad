"""The module's own tests, which a person runs inside Slicer, pass on the host too; all but one with a model that answers by a rule."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
import slicer
from panel_bench import MODULE, makeBench

from SAM2AnnotateSlicer.SetUp import Installer
from slicer_host.modules.scripted_module import enter_module, load_module, unload_module

NEEDS_THE_MODEL = "test_the_panel_annotates_the_sample"
NAMES = (
    "test_the_panel_opens",
    "test_reload_leaves_a_panel_that_works",
    "test_the_terminology_can_be_chosen",
    "test_a_scene_comes_back_with_its_masks_in_sight",
    "test_the_worklist_opens_a_case",
    "test_the_export_page_opens",
    "test_an_object_is_annotated_by_keys",
)


def run(name):
    """One test as unittest runs it."""
    case = sys.modules["SAM2Annotate"].SAM2AnnotateTest(name)
    case.setUp()
    try:
        getattr(case, name)()
    finally:
        case.tearDown()


@pytest.mark.parametrize("name", NAMES)
def test_each_passes(tmp_path, monkeypatch, name):
    makeBench(tmp_path, monkeypatch)
    monkeypatch.setattr(Installer.Installer, "missing", lambda _self: [])
    run(name)


def test_all_are_run_here_and_by_reload_and_test(tmp_path, monkeypatch):
    makeBench(tmp_path, monkeypatch)
    cls = sys.modules["SAM2Annotate"].SAM2AnnotateTest
    assert sorted(name for name in dir(cls) if name.startswith("test_")) == sorted([*NAMES, NEEDS_THE_MODEL])
    ran = []
    for name in [*NAMES, NEEDS_THE_MODEL]:
        monkeypatch.setattr(cls, name, lambda self, name=name: ran.append((name, self.steps is not None)))
    slicer.selfTests["SAM2Annotate"]()
    assert sorted(ran) == sorted((name, True) for name in [*NAMES, NEEDS_THE_MODEL])


def test_a_file_without_the_host_takes_it_by_no_helper_either():
    """conftest.py tells by a file's own text whether it runs inside Slicer; a helper must not bring the host in by the back door."""
    here, marks = Path(__file__).parent, ("slicer_host", "panel_bench", "data_set_worlds")

    def helpers(path, seen):
        for name in re.findall(r"^(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            helper = here / f"{name}.py"
            if helper.is_file() and helper not in seen:
                seen.add(helper)
                helpers(helper, seen)
        return seen

    free = [path for path in here.rglob("test_*.py") if not any(mark in path.read_text(encoding="utf-8") for mark in marks)]
    assert len(free) > 10
    hidden = {path.name: {one.name for one in helpers(path, set()) if "slicer_host" in one.read_text(encoding="utf-8")} for path in free}
    assert {name: found for name, found in hidden.items() if found} == {}


@pytest.mark.parametrize(("fails", "status"), [(False, 0), (True, 1)])
def test_the_one_line_for_a_real_slicer_runs_both_and_ends_it_with_a_status(tmp_path, monkeypatch, fails, status):
    makeBench(tmp_path, monkeypatch)
    cls = sys.modules["SAM2Annotate"].SAM2AnnotateTest
    for name in [*NAMES, NEEDS_THE_MODEL]:
        monkeypatch.setattr(cls, name, lambda self: self.assertFalse(fails))
    ended, given = [], []
    monkeypatch.setattr(slicer.util, "exit", ended.append)
    monkeypatch.setattr(pytest, "main", lambda arguments: given.append(arguments) or 0)
    runpy.run_path(str(Path(__file__).with_name("in_slicer.py")))
    assert ended == [status] and given[0][0] == str(Path(__file__).parent)


@pytest.mark.slow
def test_the_sample_is_annotated_by_the_bundled_model():
    load_module(MODULE)
    enter_module("SAM2Annotate")
    run(NEEDS_THE_MODEL)
    unload_module("SAM2Annotate")
