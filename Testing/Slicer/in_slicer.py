"""Runs the module's own tests and all tests that need no stand-in, inside a real Slicer, then ends it; the exit code is 0 if all passed.

    Slicer --testing --no-splash --additional-module-paths REPOSITORY/SAM2Annotate --python-script REPOSITORY/Testing/Slicer/in_slicer.py

With ``--testing`` Slicer has settings of its own, so that no journal or folder of yours is touched, and shows no message boxes.
"""

import importlib
import sys
import unittest
from pathlib import Path

import slicer

HERE = Path(__file__).resolve().parent
# Slicer's standard streams are no files, which pytest's handler of crashes and its capture would need.
PYTEST_OPTIONS = ["-q", "--capture=no", "-p", "no:cacheprovider", "-p", "no:faulthandler"]


def ownTests() -> bool:
    """SAM2AnnotateTest; whether it passed."""
    module = importlib.import_module("SAM2Annotate")  # which Slicer has loaded at its start
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(module.SAM2AnnotateTest)
    return unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite).wasSuccessful()


def hostFreeTests() -> bool:
    """The files of this folder that need no stand-in; whether they passed."""
    try:
        import pytest
    except ImportError:
        slicer.util.pip_install("pytest")
        import pytest
    return pytest.main([str(HERE), *PYTEST_OPTIONS]) == 0


def main() -> None:
    """Run all, end Slicer."""
    passed = [ownTests(), hostFreeTests()]
    print(  # noqa: T201 - for the terminal that Slicer was started from
        f"SAM2AnnotateTest {'passed' if passed[0] else 'FAILED'}, host-free tests {'passed' if passed[1] else 'FAILED'}"
    )
    slicer.util.exit(0 if all(passed) else 1)


main()
