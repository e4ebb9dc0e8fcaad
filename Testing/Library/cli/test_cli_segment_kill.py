"""``segment`` killed at any change of the disk: no report or picture stands beside a mask that it does not speak of."""

from __future__ import annotations

import os
import sys

import pytest
from patients import run_python

pytest.importorskip("SimpleITK")
pytest.importorskip("PIL")
pytestmark = pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "fork"), reason="kills a forked process")

_PROGRAM = """
import json, os, sys
from pathlib import Path
import numpy as np
from SAM2AnnotateLib import leftovers
from SAM2AnnotateLib.cli import segment
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.engine.scripted_engine import ScriptedEngine
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import read_volume, write_volume

folder = Path(sys.argv[1])
segment.engine_from = lambda options: ScriptedEngine()
voxels = np.zeros((4, 24, 24), np.int16)
voxels[:, 6:16, 6:16] = 100
write_volume(Volume(VolumeGrid(voxels.shape, np.eye(4)), voxels), folder / "image.nii.gz")
names = ("mask.nii.gz", "report.json", "preview.png")
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}

def run(last):
    command = ["segment", str(folder / "image.nii.gz"), "-o", str(folder / names[0]), "--report", str(folder / names[1]), "--overwrite"]
    command += ["--preview", str(folder / names[2]), "--slice", "1", "--box", "5,5,17,17", "--extent", f"0,{last}", "--window", "0,100"]
    assert main(command) == 0

def killed_before(nth):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        leftovers._swept.clear()
        seen = 0
        def hook(event, arguments):
            nonlocal seen
            if event in CHANGES and str(arguments[0]).startswith(str(folder)):
                seen += 1
                if seen == nth:
                    os._exit(9)
        sys.addaudithook(hook)
        run(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def reported():
    return len(json.loads((folder / names[1]).read_text())["slices"])

run(1)
old = int((read_volume(folder / names[0]).array_kji.sum()))
picture = (folder / names[2]).read_bytes()
for nth in range(1, 60):
    for name in names[1:]:
        (folder / name).unlink(missing_ok=True)
    run(1)
    code = killed_before(nth)
    there = [name for name in names if (folder / name).exists()]
    is_new = int(read_volume(folder / names[0]).array_kji.sum()) != old
    if names[1] in there:
        assert (reported() == 4) == is_new, (nth, there)
    if names[2] in there:
        assert ((folder / names[2]).read_bytes() == picture) != is_new, (nth, there)
    if code == 0:
        break
    leftovers._swept.clear()
    run(1)  # the next start
    assert sorted(path.name for path in folder.iterdir()) == sorted(["image.nii.gz", *names]), nth
print(nth)
"""


def test_killed_anywhere_the_outputs_belong_together_or_tell_that_they_do_not(tmp_path):
    assert int(run_python(_PROGRAM, tmp_path).splitlines()[-1]) > 6
