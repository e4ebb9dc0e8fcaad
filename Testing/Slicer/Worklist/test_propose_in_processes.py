"""'Propose for all' with a real worker process that is killed in the midst of it: it is started again, and every case is done."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from worlds import ballArray, makeLogic, waitFor

from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.prototypes import PrototypeLibrary, prototype_from
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateSlicer.Worklist import CaseProposals
from SAM2AnnotateSlicer.Worklist.ProposeForAll import ProposeForAll
from SAM2AnnotateSlicer.Worklist.Worklist import Worklist

GRID = VolumeGrid((24, 40, 44), np.diag([-1.0, -1.0, 2.0, 1.0]))


@pytest.mark.skipif(sys.platform == "win32", reason="kills by a POSIX signal")
def test_a_worker_that_is_killed_is_started_again_and_no_case_is_lost(tmp_path):
    (tmp_path / "cases").mkdir()
    for name, radii in (("a", (9, 11, 12)), ("b", (8, 10, 11))):
        write_volume(Volume(GRID, ballArray(radii_kji=radii)), tmp_path / "cases" / f"{name}.nii.gz")
    library = PrototypeLibrary(tmp_path / "prototypes")
    library.add(prototype_from(Volume(GRID, ballArray()), ballArray() > 100, "Ball", "k", "0,255"))
    logic = makeLogic(tmp_path)
    worklist = Worklist(logic)
    proposer = ProposeForAll(logic, worklist, library.folder)
    try:
        worklist.openFolder(str(tmp_path / "cases"))
        (tmp_path / "fault").write_text("die 3")
        seen: set[int] = set()
        proposer.changed.connect(lambda: seen.add(logic.service.processId or 0))
        proposer.start("Ball")
        waitFor(lambda: not proposer.running, 120)
        found = {case.name: CaseProposals.find(case) for case in worklist.folder.cases()}
        assert all(one is not None and one.found for one in found.values()), proposer.text
        assert not (tmp_path / "fault").exists() and len(seen - {0}) == 2 and not proposer.problems
        assert library.names() == ["Ball"] and len(library.prototypes("Ball")) == 1
    finally:
        proposer.cleanup()
        logic.service.close()
