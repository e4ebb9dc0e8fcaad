"""``python -m SAM2AnnotateLib.benchmark.corrections CASES``: what corrections do to the slices that were not corrected.

Of each object: the exact box on its center slice and its true extent, propagated; then the worst slice is corrected with the truth, three
times in a row; and from the start again, the worst slice but the two at each end and the center. ``CASES`` holds one folder a case with
``image.*`` and ``label.*``; labels on another grid are laid onto their image's. Imports the library.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..annotator import AnnotatedObject, Annotator
from ..engine import Embedding, SegmentationEngine, SlicePrediction, Track, load_engine
from ..errors import InputError
from ..metrics import dice
from ..prompts import SlicePrompt
from ..simulation.objects import StackedTruth, truth_objects
from ..volume_io import read_volume, resample_nearest

# What the rule was chosen on, and what was kept aside; label values by case.
_HIPPOCAMPI = ("001", "105", "123", "154", "165", "203", "265", "349", "359", "367")
_HIPPOCAMPI_ASIDE = ("067", "108", "127", "160", "194", "210", "308", "351", "361", "389")
CHOSEN_ON = {
    "ct_sarcoma_001": (1,), "ct_sarcoma_003": (1,), "mr_sarcoma_001": (1,), "mr_sarcoma_003": (1,), "ct_liver_chaos": (1,),
    "ct_lung_elastix": (1,), "mr_cardiac_3": (1, 2), "mr_cardiac_5": (1,), "mr_cord_t1": (1,), "mr_cord_gm": (1,),
    "mr_brain_001": (1,), "mr_gbm_006": (1,), "ct_torso_ts": (1, 2, 3, 5, 6, 21, 29, 25, 76, 84, 88, 79, 52),
    **{f"mr_hippo_{number}": (1, 2) for number in _HIPPOCAMPI},
}  # fmt: skip
KEPT_ASIDE = {
    "mr_cardiac_1": (1, 2), "ct_abdomen_ts": (1, 5, 6, 52, 86, 20, 63), "mr_abdomen_ts": (1, 2, 5, 6, 46, 15, 23),
    **{f"mr_hippo_{number}": (1, 2) for number in _HIPPOCAMPI_ASIDE},
}  # fmt: skip
# Of fewer slices none is left between the center and the two at each end.
_FEWEST_SLICES = 7
_CORRECTIONS = 3


@dataclass(frozen=True)
class CorrectionRow:
    """One correction on one object.

    Args:
        case, label: the object.
        kept_aside: whether the rule was not chosen on it.
        way: ``carried`` or ``stock``, see `Annotator`.
        which: ``worst``, or ``interior``: but the two slices at each end.
        number: of the correction, from 1.
        slice_dsc: of the corrected slice before.
        pixels: that the correction changed.
        others_before, others_after: mean DSC of the slices that no correction up to this one touched.
        volume_before, volume_after: 3-D DSC, corrected slices included.
        steps: of the model.
    """

    case: str
    label: int
    kept_aside: bool
    way: str
    which: str
    number: int
    slice_dsc: float
    pixels: int
    others_before: float
    others_after: float
    volume_before: float
    volume_after: float
    steps: int


class _CountingEngine:
    """Counts the steps of the engine that it wraps."""

    def __init__(self, engine: SegmentationEngine):
        self._engine, self.steps = engine, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def start_track(self, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool) -> _CountingTrack:
        return _CountingTrack(self, self._engine.start_track(frame_shape_rc, slice_count, reverse))


class _CountingTrack:
    def __init__(self, engine: _CountingEngine, track: Track):
        self._engine, self._track = engine, track

    def __getattr__(self, name: str) -> Any:
        return getattr(self._track, name)

    def step(self, position: int, embedding: Embedding) -> SlicePrediction:
        self._engine.steps += 1
        return self._track.step(position, embedding)


def correct_object(
    engine: SegmentationEngine, cases: Path, case: str, label: int, kept_aside: bool, ways: Sequence[str]
) -> Iterator[CorrectionRow]:
    """Propagate and correct one object; nothing if it has too few slices.

    Args:
        cases: folder of the cases.
        case, label: the object.
        kept_aside: for the rows.
        ways: of `Annotator`.
    """
    image = read_volume(_only_file(cases / case, "image.*"))
    labels = resample_nearest(read_volume(_only_file(cases / case, "label.*")), image.grid).array_kji
    objects, _ = truth_objects(labels.astype(np.int64), [label], separate=False)
    counting, store = _CountingEngine(engine), None
    for way in ways:
        annotator = Annotator(image, counting, store=store, corrections=way)
        truth = StackedTruth.of(objects[0], annotator.stack)
        if len(truth.extent) < _FEWEST_SLICES:
            return
        frames = {position: truth.frame(position) for position in truth.extent.indices}
        item = AnnotatedObject(annotator, truth.center, SlicePrompt(box=truth.tight_box(truth.center)), truth.extent)
        store = annotator.store
        for _ in item.propagate():
            pass
        start = item.review.snapshot()
        for which, times in (("worst", _CORRECTIONS), ("interior", 1)):
            item.review.restore(start)
            touched: set[int] = set()
            for number in range(1, times + 1):
                before = {position: _known(item, position) for position in frames}
                scores = {position: dice(before[position], frames[position]) for position in frames}
                ends = [*truth.extent.indices[:2], *truth.extent.indices[-2:]] if which == "interior" else []
                worst = min((p for p in frames if p not in touched and p not in (*ends, truth.center)), key=scores.__getitem__)
                touched.add(worst)
                counting.steps = 0
                for _ in item.correct(annotator.stack.index_of(worst), annotator.stack.slice_from_frame(frames[worst])):
                    pass
                after = {position: _known(item, position) for position in frames}
                others = [position for position in frames if position not in touched]
                yield CorrectionRow(
                    case, label, kept_aside, way, which, number, scores[worst], int((before[worst] ^ frames[worst]).sum()),
                    float(np.mean([scores[p] for p in others])), float(np.mean([dice(after[p], frames[p]) for p in others])),
                    _volume_dice(before, frames), _volume_dice(after, frames), counting.steps,
                )  # fmt: skip


def table(rows: Sequence[CorrectionRow]) -> str:
    """A Markdown table of what corrections did, by way and correction."""
    lines = [
        "| objects | way | corrected | others' mean DSC | fell by > 0.02 / 0.05 | 3-D DSC | fell by > 0.01 | steps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for aside in (False, True):
        for way, which, number in dict.fromkeys((row.way, row.which, row.number) for row in rows):
            chosen = [row for row in rows if (row.kept_aside, row.way, row.which, row.number) == (aside, way, which, number)]
            if not chosen:
                continue
            others = np.array([(row.others_before, row.others_after) for row in chosen])
            volume = np.array([(row.volume_before, row.volume_after) for row in chosen])
            change, change_3d = np.diff(others)[:, 0], np.diff(volume)[:, 0]
            what = f"{which} slice" if number == 1 else f"{which} slice, correction {number}"
            lines.append(
                f"| {'kept aside' if aside else 'chosen on'} | {way} | {what} | {others[:, 0].mean():.3f} to {others[:, 1].mean():.3f} "
                f"({change.mean():+.3f}) | {(change < -0.02).sum()} / {(change < -0.05).sum()} of {len(chosen)} | "
                f"{volume[:, 0].mean():.3f} to {volume[:, 1].mean():.3f} ({change_3d.mean():+.3f}) | {(change_3d < -0.01).sum()} | "
                f"{np.mean([row.steps for row in chosen]):.0f} |"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m SAM2AnnotateLib.benchmark.corrections", description="What corrections do to the slices that were not corrected."
    )
    parser.add_argument("cases", type=Path, help="folder with one folder a case, which holds image.* and label.*")
    parser.add_argument(
        "--objects", nargs="+", metavar="CASE:VALUE,VALUE", help="by default those that the rule was chosen on and those kept aside"
    )
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--adapter", type=Path, help="what was learned of the object")
    parser.add_argument("--ways", nargs="+", choices=("carried", "stock"), default=["carried", "stock"])
    parser.add_argument("--csv", type=Path, help="write a row for each correction, as it is done")
    options = parser.parse_args(arguments)
    if options.objects:
        pairs = [one.rpartition(":") for one in options.objects]
        asked = [(case, int(value)) for case, _, values in pairs for value in values.split(",")]
        wanted = [(case, value, value in KEPT_ASIDE.get(case, ())) for case, value in asked]
    else:
        wanted = [(c, v, aside) for aside, some in ((False, CHOSEN_ON), (True, KEPT_ASIDE)) for c, values in some.items() for v in values]
    engine = load_engine(options.checkpoint, precision="fp32", adapter=options.adapter)
    rows: list[CorrectionRow] = []
    for case, label, aside in wanted:
        rows += correct_object(engine, options.cases, case, label, aside, options.ways)
        print(f"{case} {label}", file=sys.stderr, flush=True)
        if options.csv:
            with options.csv.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, [one.name for one in fields(CorrectionRow)])
                writer.writeheader()
                writer.writerows(asdict(row) for row in rows)
    print(table(rows))
    return 0


def _known(item: AnnotatedObject, position: int) -> np.ndarray:
    mask = item.review.mask(position)
    if mask is None:
        raise RuntimeError(f"Slice {position} has no mask after propagation.")
    return mask


def _volume_dice(found: dict[int, np.ndarray], frames: dict[int, np.ndarray]) -> float:
    return dice(np.stack([found[position] for position in frames]), np.stack(list(frames.values())))


def _only_file(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        raise InputError(f"Expected one file '{pattern}' in '{folder}', found {len(files)}.")
    return files[0]


if __name__ == "__main__":
    raise SystemExit(main())
