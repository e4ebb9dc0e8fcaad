"""What one decision, one look and one volume cost as numbers grow.

Run: python Testing/benchmark_scale.py [journal worklist segment digests]. It prints for each part the measured values and their ratio, and
whether the ratio is within what we promise.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "SAM2Annotate")]

_SEGMENT = """
import resource, sys
from SAM2AnnotateLib.cli.main import main
code = main(sys.argv[1:])
try:  # Linux counts the parent's memory in maxrss, not in this
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print("peak", peak, code)
"""


def tell(line: str) -> None:
    """Say it to the person at the terminal."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def journal(folder: Path) -> bool:
    """An accept with its journal at 100 and at 2000 slices of 512 x 512."""
    from SAM2AnnotateLib.geometry import Box2D, Extent
    from SAM2AnnotateLib.prompts import SlicePrompt
    from SAM2AnnotateLib.propagation import SliceResult
    from SAM2AnnotateLib.review import ReviewSession
    from SAM2AnnotateLib.review.journal import JournaledObject, write_journal

    rows, cols = np.mgrid[:512, :512]
    disk = (rows - 256) ** 2 + (cols - 256) ** 2 < 100**2
    medians = {}
    for slices in (100, 2000):
        session = ReviewSession({slices // 2: SlicePrompt(box=Box2D(100, 400, 100, 400))}, Extent(0, slices - 1), (512, 512))
        for position in range(slices):
            session.add_result(SliceResult(position, disk.copy(), 0.9, 0.95, 0.1, Box2D(0, 512, 0, 512), position == slices // 2))
        objects = {"a": JournaledObject("k", session, {})}
        path = folder / f"{slices}.json"
        write_journal(path, {}, objects)
        taken = []
        for position in range(60):
            began = time.process_time()
            session.snapshot()
            session.accept(position)
            write_journal(path, {}, objects)
            taken.append(time.process_time() - began)
        medians[slices] = statistics.median(taken)
    ratio = medians[2000] / medians[100]
    tell(f"accept and journal: {1e3 * medians[100]:.2f} ms at 100 slices, {1e3 * medians[2000]:.2f} ms at 2000: ratio {ratio:.2f} (<= 2)")
    return ratio <= 2


def worklist(folder: Path) -> bool:
    """The second look at 5000 volumes with their segmentations."""
    from SAM2AnnotateLib.geometry import Box2D, Extent
    from SAM2AnnotateLib.prompts import SlicePrompt
    from SAM2AnnotateLib.review import ReviewSession
    from SAM2AnnotateLib.review.journal import JournaledObject
    from SAM2AnnotateLib.review.stored_object import TAG, pack_object
    from SAM2AnnotateSlicer.Worklist.WorklistFolder import WorklistFolder

    session = ReviewSession({5: SlicePrompt(box=Box2D(10, 30, 10, 30))}, Extent(0, 9), (64, 64))
    mask = np.zeros((64, 64), dtype=bool)
    mask[10:30, 10:30] = True
    for position in range(10):
        session.correct(position, mask)
    body = f"NRRD0004\nSegment0_ID:=a\nSegment0_Tags:={TAG}:{pack_object(JournaledObject('k', session))}|\n\n".encode()
    for number in range(5000):
        (folder / f"c{number:04}.nii").write_bytes(b"")
        (folder / f"c{number:04}.seg.nrrd").write_bytes(body)

    def look() -> float:
        began = time.process_time()
        found = WorklistFolder(folder)
        for case in found.cases():
            found.state(case)
        return time.process_time() - began

    first, second = look(), look()
    tell(f"worklist of 5000: {first:.2f} s of CPU at the first look, {second:.2f} s at the second: ratio {second / first:.2f} (< 0.5 s)")
    return second < 0.5


def segment(folder: Path) -> bool:
    """Peak memory of `segment` on 600 slices of 512 x 512, over that on a small volume, in volumes."""
    from SAM2AnnotateLib.geometry import Volume, VolumeGrid
    from SAM2AnnotateLib.volume_io import write_volume

    def peak(slices: int, side: int, suffix: str) -> float:
        image = folder / f"{slices}{suffix}"
        rows = np.arange(side, dtype=np.int16)
        frame = (rows[:, None] % 64 + rows[None, :] % 32) * 4
        frame[side // 4 : side // 2, side // 4 : side // 2] += 300
        write_volume(Volume(VolumeGrid((slices, side, side), np.diag([0.7, 0.7, 1.0, 1.0])), np.repeat(frame[None], slices, axis=0)), image)
        quarter, half = side // 4, side // 2
        command = [
            "segment",
            str(image),
            "-o",
            str(folder / f"mask{suffix}"),
            "--slice",
            "5",
            "--box",
            f"{quarter},{quarter},{half},{half}",
        ]
        command += ["--extent", "3,7", "--window", "0,600", "--overwrite", "--device", "cpu"]
        done = subprocess.run([sys.executable, "-c", _SEGMENT, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if not done.stdout.strip().endswith(" 0"):
            raise SystemExit(done.stderr)
        image.unlink()
        return float(done.stdout.split()[-2])

    good = True
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        base, large = peak(12, 64, suffix), peak(600, 512, suffix)
        volume = 600 * 512 * 512 * 2
        ratio = (large - base) / volume
        tell(f"segment {suffix}: base {base / 1e6:.0f} MB, 600 x 512 x 512 int16 ({volume / 1e6:.0f} MB) {large / 1e6:.0f} MB: "
              f"{ratio:.2f} volumes over the base (<= 1.8)")  # fmt: skip
        good &= ratio <= 1.8
    return good


def digests(folder: Path) -> bool:
    """Digests of 1000 and of 4000 files, a file each."""
    from SAM2AnnotateLib.study.records.digests import FileDigests

    taken = {}
    for number in range(4000):
        (folder / f"{number}.bin").write_bytes(json.dumps(number).encode())
    for count in (1000, 4000):
        found = FileDigests(folder / f"digests{count}.jsonl")
        began = time.process_time()
        for number in range(count):
            found.digest(folder / f"{number}.bin")
        taken[count] = (time.process_time() - began) / count
    ratio = taken[4000] / taken[1000]
    tell(f"digests: {1e6 * taken[1000]:.0f} us a file for 1000 files, {1e6 * taken[4000]:.0f} us for 4000: ratio {ratio:.2f} (<= 1.5)")
    return ratio <= 1.5


PARTS: dict[str, Callable[[Path], bool]] = {"journal": journal, "worklist": worklist, "segment": segment, "digests": digests}


def main() -> int:
    """Run the parts that are named, or all; returns 1 if one is not within what we promise."""
    good = True
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            good &= PARTS[name](Path(folder))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
