"""Brings the stand-in for Slicer up for every test below this folder, and gives each test an empty scene. Imports slicer_host.

Inside Slicer itself there is no stand-in: what is tested then are the files that do not ask for the host's own helpers, see README.md here.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
IN_SLICER = hasattr(sys.modules.get("slicer"), "app")  # the host is not up yet when this is read
_NEEDED = {"slicer": "slicer-core", "PySide6": "PySide6-Essentials", "vtk": "vtk"}
_MISSING = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]

MODULE_FOLDER = HERE.parents[1] / "SAM2Annotate"

# The host, and the module's folder, which Slicer puts there too.
for _folder in (HERE, MODULE_FOLDER):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))
sys.path.append(str(HERE.parent / "Library"))  # a server's process, and a network that can be cut


class _SkippedModule(pytest.Module):
    """A test file that cannot be imported here."""

    def collect(self):
        pytest.skip(f"the tests of the Slicer module need {', '.join(_MISSING)}", allow_module_level=True)


class _HostModule(pytest.Module):
    """A test file that asks for the host, inside Slicer."""

    def collect(self):
        pytest.skip("this file needs the test host, and this is Slicer itself", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Start the host before the first test file is imported: the files import qt and slicer at their top."""
    if IN_SLICER:
        source = module_path.read_text(encoding="utf-8")
        needsHost = any(name in source for name in ("slicer_host", "panel_bench", "data_set_worlds"))
        return _HostModule.from_parent(parent, path=module_path) if needsHost else None
    if _MISSING:
        return _SkippedModule.from_parent(parent, path=module_path)
    import slicer_host
    from slicer_host.pythonqt import truth

    slicer_host.start()
    truth.strict_folders[:] = [str(MODULE_FOLDER)]
    return None


@pytest.fixture(autouse=True)
def clean_slicer():
    """An empty scene, no messages, default settings and layout; fails the test if an observer, a slot or a module's cleanup raised."""
    if IN_SLICER:
        import slicer

        slicer.mrmlScene.Clear(False)
        slicer.mrmlScene.SetURL("")  # it outlives the scene that had it
        yield
        return
    from slicer_host import clean, errors

    clean.clean_up()
    yield
    clean.unload_modules()
    paused = clean.paused_views()
    report = errors.report()
    if paused:
        pytest.fail(f"rendering of {', '.join(paused)} was paused and not resumed", pytrace=False)
    if report:
        pytest.fail(f"an exception left an observer or a slot unseen:\n{report}", pytrace=False)
