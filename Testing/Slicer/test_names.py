"""No name in the module that Slicer lacks, by the checker of the team's shared folder where that is at hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKER = ROOT.parent / "shared" / "slicer-api" / "check_names.py"


@pytest.mark.skipif(not CHECKER.is_file(), reason=f"{CHECKER} is not here; the test host refuses unknown names too, as far as tests reach")
def test_every_name_of_the_module_and_its_ui_files_exists_in_slicer():
    done = subprocess.run(
        [sys.executable, str(CHECKER), "--strict", str(ROOT / "SAM2Annotate")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
