"""An export killed at every single file operation leaves the old data set or the new one."""

from __future__ import annotations

import os
import sys

import pytest
from patients import ROOT, run_python

pytest.importorskip("SimpleITK")
pytestmark = pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "fork"), reason="kills a forked process")

# In a process of its own, which forks: a fork is killed from Python's audit hook right before its n-th change of the disk.
_PROGRAM = """
import os, shutil, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from nnunet_cases import a_case, a_plan, contents
from SAM2AnnotateLib.nnunet import DataSet
from SAM2AnnotateLib.nnunet.runs.verify import verify_files

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate", "shutil.rmtree"}
raw, action = Path(sys.argv[1]), sys.argv[3]
folder = raw / "Dataset007_Test"

def change():
    if action == "create":
        DataSet.create(raw, a_plan()).export([a_case("p3")])
    elif action == "replace":
        DataSet.open(folder).export([a_case("p1", part="test"), a_case("p3")], replace_cases=True)
    elif action == "remove":
        DataSet.open(folder).remove(["p1"])

def state():
    return contents(folder) if folder.exists() else None

def begin():
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir()
    if action != "create":
        DataSet.create(raw, a_plan()).export([a_case("p1"), a_case("p2")])

def in_fork(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def killed_before(nth):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        written = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if event in CHANGES or written:
            seen += 1
            if seen == nth:
                os._exit(9)
    sys.addaudithook(hook)
    change()

def again_killed_before(nth):
    def work():
        seen = 0
        def hook(event, arguments):
            nonlocal seen
            if event in CHANGES:
                seen += 1
                if seen == nth:
                    os._exit(9)
        sys.addaudithook(hook)
        recovered()
    return work

def recovered():
    if action == "create" and not folder.exists():
        DataSet.create(raw, a_plan())
    else:
        DataSet.open(folder)

begin()
old = state()
assert in_fork(change) == 0
new = state()
assert old != new
outcomes = []
for nth in range(1, 1000):
    begin()
    code = in_fork(lambda: killed_before(nth))
    if code == 0:
        break
    assert code == 9, code
    in_fork(again_killed_before(1 + nth % 4))  # and killed again while it recovers
    recovered()
    now = state()
    assert now in (old, new), (nth, sorted(now or ()))
    assert not [path.name for path in raw.iterdir() if "staging" in path.name], nth
    outcomes.append("old" if now == old else "new")
    if folder.exists():
        assert verify_files(DataSet.open(folder)).problems == ()
        # The next export finds nothing in its way.
        DataSet.open(folder).export([a_case("later")])
print(" ".join(outcomes))
"""


@pytest.mark.parametrize("action", ["create", "replace", "remove"])
def test_killed_at_any_operation_the_data_set_is_the_old_or_the_new_one(tmp_path, action):
    outcomes = run_python(_PROGRAM, tmp_path / "raw", ROOT / "Testing" / "Library", action).split()
    assert len(outcomes) > 10
    assert outcomes == sorted(outcomes, reverse=True)  # old up to the decision, new from then on
    assert {"old", "new"} == set(outcomes)
