"""What killed programs leave is removed by the next start; what living ones use is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patients import ROOT, names_in

from SAM2AnnotateLib import leftovers
from SAM2AnnotateLib.atomic_files import write_text_atomically
from SAM2AnnotateLib.leftovers import owned_token, remove_leftovers, temporary_folder

_LEAVE = """
import os, sys
from pathlib import Path
from SAM2AnnotateLib.atomic_files import replaced_atomically
from SAM2AnnotateLib.leftovers import temporary_folder
folder = temporary_folder("volumes", sys.argv[1])
(Path(folder.name) / "volume").write_bytes(b"a patient's")
with replaced_atomically(Path(sys.argv[1]) / "mask.nii.gz") as partial:
    partial.write_bytes(b"half")
    print(partial.name, flush=True)
    if sys.argv[2] == "killed":
        os._exit(9)
    sys.stdin.read()
"""


def start(folder, how: str) -> subprocess.Popen:
    command = [sys.executable, "-c", _LEAVE, str(folder), how]
    child = subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert child.stdout is not None and "partial" in child.stdout.readline()
    return child


@pytest.fixture(autouse=True)
def _a_new_start(monkeypatch):
    monkeypatch.setattr(leftovers, "_swept", set())


def test_the_next_start_removes_what_a_kill_left(tmp_path):
    start(tmp_path, "killed").communicate()
    (tmp_path / ".hidden.partial.txt").write_text("a person's own")
    assert len(names_in(tmp_path)) == 3
    write_text_atomically(tmp_path / "other.txt", "done")
    assert names_in(tmp_path) == [".hidden.partial.txt", "other.txt"]


def test_a_temporary_folder_takes_the_place_of_a_killed_ones(tmp_path):
    start(tmp_path, "killed").communicate()
    with temporary_folder("volumes", tmp_path) as folder:
        assert names_in(tmp_path) == [Path(folder).name]
        assert sys.platform == "win32" or Path(folder).stat().st_mode & 0o077 == 0
    assert names_in(tmp_path) == []


def test_what_a_living_program_uses_stays(tmp_path):
    child = start(tmp_path, "living")
    before = names_in(tmp_path)
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == before and len(before) == 2
    child.communicate("")


def test_another_computers_is_removed_when_it_is_a_day_old(tmp_path):
    other = tmp_path / ".000000-4d2-9f3e.partial.nii.gz"
    other.write_text("half")
    remove_leftovers(tmp_path)
    assert other.exists()
    long_ago = time.time() - 90_000
    os.utime(other, (long_ago, long_ago))
    leftovers._swept.clear()
    remove_leftovers(tmp_path)
    assert not other.exists()


def test_a_link_of_such_a_name_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data").write_text("precious")
    token = owned_token().replace(f"-{os.getpid():x}-", "-fffffff-")
    (tmp_path / f"sam2annotate-export-{token}_x").symlink_to(tmp_path / "mine")
    remove_leftovers(tmp_path)
    assert (tmp_path / "mine" / "data").read_text() == "precious"
