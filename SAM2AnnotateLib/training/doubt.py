"""``python -m SAM2AnnotateLib.training.doubt``: fit the numbers by which a slice's DSC is expected, and say how far they can be trusted.

Collects samples of slices in many states of a review (an hour or so on two cores; kept in a file, and taken up again), fits, leaves each
patient out in turn, and prints the tables of DOUBT.md. With ``--write`` it replaces review/expected_dsc.json. Imports the files beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import __version__
from ..atomic_files import write_text_atomically
from ..engine import load_engine
from ..processors import wait_patiently
from ..review.expected_dsc import NUMBERS_FILE, TERMS, ExpectedDsc
from .doubt_cases import FITTED_CASES, HELD_OUT_CASES, DoubtCase
from .doubt_fit import (
    BAD_DSC,
    COVERAGE,
    LeftOut,
    Terms,
    apply,
    auroc,
    chosen,
    covered,
    fit,
    leave_out,
    left_out_scores,
    object_weights,
    terms_of,
    values_of,
    worst_fifth_found,
)
from .doubt_samples import SliceSample, read_samples, samples_of_case

# Columns of the tables: states that are looked at together.
STATES: Mapping[str, tuple[str, ...]] = {
    "one box": ("box",),
    "1 corrected": ("worst 1", "random 1"),
    "2, 3 corrected": ("worst 2", "random 2", "worst 3", "random 3"),
    "accepted": ("accepted",),
}
_BINS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
_LIMITS = (0.8, 0.85, 0.9, 0.95)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m SAM2AnnotateLib.training.doubt", description=__doc__)
    parser.add_argument("--cases", type=Path, help="folder of the shared cases; needed for what is not collected yet")
    parser.add_argument("--folder", type=Path, required=True, help="keeps the samples, a file a case")
    parser.add_argument("--checkpoint", default="bundled")
    parser.add_argument("--write", action="store_true", help=f"write {NUMBERS_FILE.name}")
    options = parser.parse_args(arguments)
    wait_patiently()
    fitted = _collected(options, FITTED_CASES)
    held_out = _collected(options, HELD_OUT_CASES)
    terms = terms_of(TERMS)
    values = values_of(fitted, terms)
    found = fit(fitted, values)
    about = {
        "what": "expected DSC of a slice: logistic function of intercept + weights x terms, see expected_dsc.py",
        "made_by": "python -m SAM2AnnotateLib.training.doubt --cases CASES --folder FOLDER --write",
        "version": __version__,
        "model": options.checkpoint,
        "patients": len({sample.patient for sample in fitted}),
        "objects": len({(sample.case, sample.label) for sample in fitted}),
        "slices": len(fitted),
    }
    weights = {name: round(float(weight), 4) for name, weight in zip(terms, found.weights, strict=True)}
    low, high = ((round(a, 4), round(b, 4)) for a, b in (found.low, found.high))
    numbers = ExpectedDsc(round(found.intercept, 4), weights, low, high, COVERAGE, about)
    print(json.dumps(numbers.to_json(), indent=1))
    print("\n## Terms\n\n" + _table_of_terms(fitted))
    patients, families = [sample.patient for sample in fitted], [sample.family for sample in fitted]
    by_patient = leave_out(fitted, values, patients)
    trials = {
        "each patient in turn": (fitted, by_patient),
        "each kind of data in turn": (fitted, leave_out(fitted, values, families)),
        "ten patients that were never fitted on": (held_out, apply(numbers, held_out)),
    }
    print("\n## Left out\n\n" + _table_of_trials(trials))
    print("\n## Calibration, each patient left out\n\n" + _table_of_calibration(fitted, by_patient))
    print("\n## Accepted together after one box, each patient left out\n\n" + _table_of_together(fitted, by_patient))
    if options.write:
        write_text_atomically(NUMBERS_FILE, json.dumps(numbers.to_json(), indent=1) + "\n")
    return 0


def _collected(options: argparse.Namespace, cases: Sequence[DoubtCase]) -> list[SliceSample]:
    """The samples of all cases; what is not there is collected."""
    options.folder.mkdir(parents=True, exist_ok=True)
    samples, engine = [], None
    for case in cases:
        path = options.folder / f"{case.name}.jsonl"
        if not path.exists():
            engine = engine or load_engine(options.checkpoint)
            lines = [json.dumps(sample.to_json()) for sample in samples_of_case(engine, options.cases, case, finding_back=True)]
            write_text_atomically(path, "\n".join(lines) + "\n")
            print(f"{case.name}: {len(lines)} slices", flush=True)
        samples += read_samples(path)
    return samples


def _logit(value: float) -> float:
    value = min(max(value, 0.01), 0.99)
    return float(np.log(value / (1 - value)))


def _found_back(sample: SliceSample) -> float:
    return 0.0 if sample.back is None else 1 - sample.back


def _table_of_terms(samples: Sequence[SliceSample]) -> str:
    """AUROC and share of the worst fifth, each patient left out, for single signals and sums of terms."""
    single: dict[str, Callable[[SliceSample], float]] = {
        "1 - predicted IoU": lambda sample: -sample.signals.predicted_iou,
        "way from the known slice to the end": lambda sample: sample.signals.way,
        "distance, in sizes of the object": lambda sample: sample.signals.distance,
        "finding back in one step": _found_back,
    }
    rows = [(f"{name} (not fitted)", np.array([one(sample) for sample in samples])) for name, one in single.items()]
    kept = terms_of(TERMS)
    others: dict[str, Terms] = {
        "as kept": kept,
        **{f"without {name}": {other: term for other, term in kept.items() if other != name} for name in kept},
        "with the worst IoU on the way": {**kept, "worst": lambda sample: _logit(sample.signals.worst_iou)},
        "with object score": {**kept, "object_score": lambda sample: sample.signals.object_score},
        "with the way itself": {**kept, "way": lambda sample: sample.signals.way},
        "with distance, in sizes": {**kept, "distance": lambda sample: min(3.0, sample.signals.distance)},
        "with distance in mm": {**kept, "mm": lambda sample: float(np.log1p(sample.signals.distance_mm))},
        "with the length of the gap": {**kept, "gap": lambda sample: min(3.0, sample.signals.stretch) if sample.signals.between else 0.0},
        "with change of area": {
            **kept,
            "larger": lambda sample: max(0.0, sample.signals.area_change),
            "smaller": lambda sample: max(0.0, -sample.signals.area_change),
        },
        "with disagreement": {**kept, "disagreement": lambda sample: sample.signals.disagreement},
        "with finding back": {**kept, "back": _found_back},
    }
    patients = [sample.patient for sample in samples]
    rows += [(name, -left_out_scores(samples, values_of(samples, terms), patients)) for name, terms in others.items()]
    lines = ["| signals | " + " | ".join(STATES) + " |", "|---|" + "---|" * len(STATES)]
    for name, doubt in rows:
        cells = []
        for states in STATES.values():
            at = chosen(samples, states)
            some = [samples[index] for index in at]
            bad = np.array([sample.dsc < BAD_DSC for sample in some])
            cells.append(f"{auroc(doubt[at], bad):.3f}, {worst_fifth_found(some, doubt[at]):.2f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    seconds = [sample.back_seconds for sample in samples if sample.back is not None]
    lines.append(f"\nFinding back took {1000 * float(np.mean(seconds)):.0f} ms a slice.") if seconds else None
    return "\n".join(lines)


def _table_of_trials(trials: Mapping[str, tuple[Sequence[SliceSample], LeftOut]]) -> str:
    """AUROC, worst fifth, mean error and coverage by state."""
    lines = [
        f"| left out | state | slices | AUROC for DSC < {BAD_DSC} | worst fifth | mean error | in the interval of {COVERAGE:.0%} |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (samples, found) in trials.items():
        dsc = np.array([sample.dsc for sample in samples])
        for state, states in STATES.items():
            at = chosen(samples, states)
            some = [samples[index] for index in at]
            part = LeftOut(found.scores[at], found.expected[at], found.low[at], found.high[at])
            error = float(object_weights(some) @ np.abs(part.expected - dsc[at]))
            lines.append(
                f"| {name} | {state} | {len(some)} | {auroc(-part.scores, dsc[at] < BAD_DSC):.3f} | "
                f"{worst_fifth_found(some, -part.scores):.2f} | {error:.3f} | {covered(some, part):.2f} |"
            )
    return "\n".join(lines)


def _table_of_calibration(samples: Sequence[SliceSample], found: LeftOut) -> str:
    """Expected and actual DSC by bins of the expected one; each slice counts alike."""
    dsc = np.array([sample.dsc for sample in samples])
    lines = ["| expected | slices | mean expected | mean DSC | DSC > 0.9 | DSC > 0.8 | in the interval |", "|---|---|---|---|---|---|---|"]
    for low, high in itertools.pairwise(_BINS):
        at = (found.expected >= low) & (found.expected < high)
        if at.any():
            inside = (found.low[at] <= dsc[at]) & (dsc[at] <= found.high[at])
            cells = [found.expected[at].mean(), dsc[at].mean(), (dsc[at] > 0.9).mean(), (dsc[at] > 0.8).mean(), inside.mean()]
            lines.append(f"| {low} to {high} | {int(at.sum())} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)


def _table_of_together(samples: Sequence[SliceSample], found: LeftOut) -> str:
    """What accepting all slices from an expected DSC on would let pass, on the masks of one box; each slice counts alike."""
    at = chosen(samples, STATES["one box"])
    expected, dsc = found.expected[at], np.array([samples[index].dsc for index in at])
    lines = ["| expected from | slices | of all | mean DSC | DSC <= 0.9 | DSC <= 0.8 |", "|---|---|---|---|---|---|"]
    for limit in _LIMITS:
        taken = dsc[expected >= limit]
        if len(taken):
            shares = [len(taken) / len(dsc), taken.mean(), (taken <= 0.9).mean(), (taken <= 0.8).mean()]
            lines.append(f"| {limit} | {len(taken)} | " + " | ".join(f"{share:.2f}" for share in shares) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
