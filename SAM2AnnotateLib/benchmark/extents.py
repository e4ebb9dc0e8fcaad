"""``python -m SAM2AnnotateLib.benchmark.extents CASES``: how far proposed ends are off, and the numbers behind them. Imports prototypes.

CASES holds one folder a case with ``image.*`` and ``label.*``, and ``hippo_study``. One jittered box an object, on its center slice. The
numbers of ``prototypes/presence.py`` are fitted (``--fit``) on the cases that the bundled model was trained on and on six of hippo_study;
figures are of all others.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..csv_cells import safe_cell
from ..engine import EmbeddingStore, SegmentationEngine, load_engine
from ..geometry import SliceStack, Volume
from ..intensity import choose_mapping
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder
from ..propagation.growing_view import GrowingView
from ..propagation.propagate import predict_slice
from ..propagation.signed_distance import overlap
from ..prototypes import drained, propose_extent
from ..prototypes.presence import TERMS, WEIGHTS, WaySignals
from ..simulation import gestures_from_truth
from ..volume_io import read_volume, resample_nearest

FITTED_ON = {
    "ct_torso_ts": (1, 2, 3, 5, 6, 21, 25, 29, 13, 52, 79, 80, 88, 10, 20), "mr_abdomen_ts": (1, 2, 3, 5, 6, 23), "ct_sarcoma_001": (1,),
    "mr_sarcoma_001": (1,), "mr_cardiac_1": (1, 2), "mr_cardiac_5": (1,), "mr_cord_t1": (1,), "mr_cord_gm": (1,),
}  # fmt: skip
OTHERS = {
    "ct_liver_chaos": (1,), "ct_sarcoma_003": (1,), "mr_sarcoma_003": (1,), "mr_cardiac_3": (1, 2), "ct_lung_elastix": (1,),
    "ct_abdomen_ts": (1, 5, 6, 7, 32, 52, 63), "mr_brain_001": (1,), "mr_gbm_006": (1,),
}  # fmt: skip
# Of hippo_study, every second patient from the eleventh: six.
_STUDY_PATIENTS = slice(10, 22, 2)
_RIDGE, _ROUNDS = 1.0, 40
# A way that is fitted on is followed to so many times the object's slices.
_FOLLOWED, _AT_LEAST = 3, 12
_STORE_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class Marked:
    """An object with its box."""

    name: str
    encoder: SliceEncoder
    truth: np.ndarray
    center: int
    prompt: SlicePrompt


def objects(engine: SegmentationEngine, cases: Path, fit: bool) -> Iterator[Marked]:
    """Those to fit on, or those to tell figures of."""
    for case, values in (FITTED_ON if fit else OTHERS).items():
        image = read_volume(next(iter((cases / case).glob("image.*"))))
        labels = resample_nearest(read_volume(next(iter((cases / case).glob("label.*")))), image.grid).array_kji
        for value in values:
            yield _marked(engine, f"{case}:{value}", image, labels == value)
    if fit:
        images = sorted((cases / "hippo_study" / "images").glob("*.nii.gz"))[_STUDY_PATIENTS]
        pairs = [(image.name[:15], image, cases / "hippo_study" / "labels" / image.name) for image in images]
    else:
        folders = sorted(cases.glob("mr_hippo_*"))
        pairs = [(folder.name, next(iter(folder.glob("image.*"))), next(iter(folder.glob("label.*")))) for folder in folders]
    for name, image_file, label_file in pairs:
        image, labels = read_volume(image_file), read_volume(label_file).array_kji
        for word, mask in (("1", labels == 1), ("2", labels == 2), ("1+2", labels > 0)):
            yield _marked(engine, f"{name}:{word}", image, mask)


def _marked(engine: SegmentationEngine, name: str, image: Volume, mask_kji: np.ndarray) -> Marked:
    stack = SliceStack.along(image.grid, "k")
    gestures = gestures_from_truth(mask_kji, stack, np.random.default_rng(0))
    frame = stack.frame(image.array_kji, gestures.center)
    mapping = choose_mapping(image, "auto", frame[gestures.box.clipped(stack.frame_shape_rc).slices_rc])
    encoder = SliceEncoder(engine, image, stack, mapping, EmbeddingStore(_STORE_BYTES))
    return Marked(name, encoder, stack.view(mask_kji), gestures.center, SlicePrompt(box=gestures.box))


def end_rows(engine: SegmentationEngine, cases: Path) -> Iterator[dict]:
    """A row an end: how many slices it is off, and whether it lies at the end of the volume."""
    for one in objects(engine, cases, fit=False):
        found = drained(propose_extent(one.encoder, one.center, one.prompt, RegionPolicy()))
        shown = np.flatnonzero(one.truth.any(axis=(1, 2)))
        first = "first", int(shown[0]), found.extent.first, found.certainty_first
        last = "last", int(shown[-1]), found.extent.last, found.certainty_last
        for word, end, said, sure in (first, last):
            row = {"object": one.name, "end": word, "slices": abs(end - one.center), "off": said - end, "certainty": sure}
            yield {**row, "at volume end": end in (0, one.encoder.slice_count - 1)}


def way_terms(one: Marked) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(slices, terms) and (slices,) whether the object is there, of both ways outward."""
    encoder, stack, policy = one.encoder, one.encoder.stack, RegionPolicy()
    first = predict_slice(encoder, one.center, one.prompt, policy)
    shown = np.flatnonzero(one.truth.any(axis=(1, 2)))
    if not first.mask.any():
        return
    spacing_mm, rows_mm, cols_mm = stack.spacing_src_mm
    area = int(first.mask.sum())
    for step in (-1, 1):
        view = GrowingView(encoder, policy, [one.prompt, SlicePrompt(mask=first.mask)], first.crop, step < 0)
        view.condition(one.center, one.prompt, first.mask)
        signals, last = WaySignals(area, float(np.sqrt(area * rows_mm * cols_mm)), spacing_mm), first.mask
        terms: list[np.ndarray] = []
        there: list[bool] = []
        position = one.center + step
        while 0 <= position < encoder.slice_count and len(terms) < max(_FOLLOWED * len(shown), _AT_LEAST):
            seen = view.step(position)
            terms.append(signals.terms(int(seen.mask.sum()), seen.predicted_iou, seen.object_score, overlap(seen.mask, last)))
            there.append(bool(shown[0] <= position <= shown[-1]))
            last = seen.mask if seen.mask.any() else last
            position += step
        if terms:
            yield np.stack(terms), np.array(there, dtype=float)


def fitted(ways: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(terms,) weights of a ridge logistic function, by Newton's method; a way of many slices counts as the root of their number."""
    terms, there = np.concatenate([way[0] for way in ways]), np.concatenate([way[1] for way in ways])
    counts = np.concatenate([np.full(len(way[0]), 1 / np.sqrt(len(way[0]))) for way in ways])
    middle, spread = terms.mean(axis=0), terms.std(axis=0)
    middle[0], spread[0] = 0.0, 1.0
    scaled = (terms - middle) / spread
    ridge = np.full(len(middle), _RIDGE)
    ridge[0] = 1e-6
    weights = np.zeros(len(middle))
    for _ in range(_ROUNDS):
        likely = 1 / (1 + np.exp(-scaled @ weights))
        slope = scaled.T @ (counts * (likely - there)) + ridge * weights
        bend = (scaled * (counts * likely * (1 - likely))[:, None]).T @ scaled + np.diag(ridge)
        weights = weights - np.linalg.solve(bend, slope)
    plain = weights / spread
    plain[0] = weights[0] - float((weights[1:] * middle[1:] / spread[1:]).sum())
    return plain


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m SAM2AnnotateLib.benchmark.extents", description=__doc__)
    parser.add_argument("cases", type=Path, metavar="CASES")
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--fit", action="store_true", help="print the numbers instead, fitted anew")
    parser.add_argument("--csv", type=Path, help="write a row an end")
    options = parser.parse_args(arguments)
    engine = load_engine(options.checkpoint)
    if options.fit:
        ways = [way for one in objects(engine, options.cases, fit=True) for way in way_terms(one)]
        for name, weight, now in zip(TERMS, fitted(ways), WEIGHTS, strict=True):
            print(f"{name}: {weight:.3f} (now {now:.3f})")
        return 0
    rows = []
    for row in end_rows(engine, options.cases):
        rows.append(row)
        print(f"{row['object']} {row['end']}: off by {row['off']}, certainty {row['certainty']:.2f}", flush=True)
    for word, chosen in (("all ends", rows), ("ends within the volume", [row for row in rows if not row["at volume end"]])):
        off = np.abs([row["off"] for row in chosen])
        shares = ", ".join(f"within {most} {np.mean(off <= most):.0%}" for most in (1, 2, 3))
        print(f"{word}: {len(off)}, median {np.median(off):.1f} slices, {shares}")
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([list(rows[0]), *([safe_cell(value) for value in row.values()] for row in rows)])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
