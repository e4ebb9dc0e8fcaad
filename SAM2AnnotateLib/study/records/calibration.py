"""Thresholds at which a wanted share of slices is corrected, from the sweeps of all cases. Imports config, simulation, errors."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...errors import InputError
from ...json_input import is_number
from ...simulation.acceptance import Acceptance
from ..configuration.config import NO_EDITS, CalibrationConfig
from .calibration_curve import CurvePoint, first_rise, percent, reach, threshold_at
from .plain_json import plain


@dataclass(frozen=True)
class JointPoint:
    """The two thresholds that each correct a share, and what they correct together.

    Args:
        share: each alone.
        dsc: threshold of the DSC.
        nsd: threshold of the NSD.
        corrected: share corrected by both together; None until it was tried.
    """

    share: float
    dsc: float
    nsd: float
    corrected: float | None = None


@dataclass(frozen=True)
class Thresholds:
    """Those of a scenario.

    Args:
        target: share of slices that is to be corrected.
        dsc: threshold of the DSC.
        nsd: threshold of the NSD.
    """

    target: float
    dsc: float
    nsd: float


@dataclass(frozen=True)
class Calibration:
    """Content of calibration.json.

    Args:
        slices: how many slices the curves are of.
        dsc: the curve of the DSC.
        nsd: that of the NSD.
        joint: pairs that are tried together; none with ``as_published``.
        thresholds: by scenario; empty as long as the pairs are not tried.
        problems: sentences for the report.
        inputs: SHA-256 of all that decides this result; set by `Study.write_calibration`.
    """

    slices: int
    dsc: tuple[CurvePoint, ...]
    nsd: tuple[CurvePoint, ...]
    joint: tuple[JointPoint, ...] = ()
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    inputs: str = ""

    def to_json(self) -> dict:
        """Readable by `from_json`."""
        return plain(self)

    @classmethod
    def from_json(cls, content: Mapping) -> Calibration:
        """Raises InputError if it is no calibration."""
        try:
            dsc, nsd = (tuple(CurvePoint(**point) for point in content[name]) for name in ("dsc", "nsd"))
            joint = tuple(JointPoint(**point) for point in content["joint"])
            thresholds = {name: Thresholds(**entry) for name, entry in content["thresholds"].items()}
            for one in (*dsc, *nsd, *joint, *thresholds.values()):
                if not all(value is None or isinstance(value, bool) or is_number(value) for value in vars(one).values()):
                    raise TypeError(f"{type(one).__name__} holds something else than numbers")
            return cls(content["slices"], dsc, nsd, joint, thresholds, tuple(content["problems"]), content["inputs"])
        except (KeyError, TypeError, AttributeError) as exc:
            raise InputError(
                f"The calibration cannot be read: {type(exc).__name__} {exc}. Remove its file and run the study again."
            ) from exc


def calibrate(sweeps: Iterable[Mapping], config: CalibrationConfig) -> Calibration:
    """The calibration from the sweeps of all training cases.

    With ``as_published`` it is complete; with ``to_target`` it holds the pairs to be tried, see `calibrate_jointly`.

    Args:
        sweeps: results of the unit ``sweep``.
        config: thresholds swept, and targets.

    Raises:
        InputError: if a target lies beyond a curve, or there is no slice.
    """
    sweeps = list(sweeps)
    curves = {}
    for metric in ("dsc", "nsd"):
        thresholds = getattr(config, metric)
        shares, slices = corrected_shares(sweeps, metric, len(thresholds))
        curves[metric] = tuple(CurvePoint(threshold, share) for threshold, share in zip(thresholds, shares, strict=True))
    calibration = Calibration(slices, curves["dsc"], curves["nsd"])
    if config.joint == "to_target":
        joint = tuple(JointPoint(*point) for point in joint_grid(calibration, config.joint_shares))
        if len(joint) < 2:
            reached = f"{reach('DSC', calibration.dsc)}, {reach('NSD', calibration.nsd)}"
            raise InputError(
                f"Fewer than two of the joint shares lie on both curves: {reached}. Widen calibration.dsc and calibration.nsd."
            )
        return replace(calibration, joint=joint)
    found = {name: Thresholds(target, *_pair_at(calibration, target)) for name, target in config.targets.items()}
    problems = _ambiguous({"DSC": calibration.dsc, "NSD": calibration.nsd}, config.targets.values())
    return replace(calibration, thresholds=found, problems=problems)


def corrected_shares(sweeps: Iterable[Mapping], counted: str, points: int) -> tuple[tuple[float, ...], int]:
    """Share of corrected slices over all objects of all cases, at each of several points, and the number of slices.

    Args:
        sweeps: results of the unit ``sweep`` or ``joint``.
        counted: the key of an object's counts: ``dsc``, ``nsd`` or ``corrected``.
        points: how many counts each object has.

    Raises:
        InputError: if an object has another number of counts, or there is no slice at all.
    """
    corrected, slices = np.zeros(points), 0
    for one in itertools.chain.from_iterable(result["objects"] for result in sweeps):
        if len(one[counted]) != points:
            raise InputError(f"A sweep has {len(one[counted])} counts of '{counted}', expected {points}. Run the sweeps again.")
        corrected += one[counted]
        slices += int(one["slices"])
    if slices == 0:
        raise InputError("The sweeps hold no slice: the training cases have no object of the values in data.values. Check these.")
    return tuple((corrected / slices).tolist()), slices


def joint_grid(calibration: Calibration, shares: Iterable[float]) -> list[tuple[float, float, float]]:
    """For each share that lies on both curves: the share, and the thresholds of DSC and NSD there."""
    grid = []
    for share in shares:
        pair = [first_rise([(point.threshold, point.share) for point in curve], share) for curve in (calibration.dsc, calibration.nsd)]
        if pair[0] is not None and pair[1] is not None:
            grid.append((share, pair[0], pair[1]))
    return grid


def calibrate_jointly(calibration: Calibration, joint_results: Iterable[Mapping], targets: Mapping[str, float]) -> Calibration:
    """Complete a calibration with ``to_target`` by what the pairs corrected together.

    Args:
        calibration: with the pairs that were tried.
        joint_results: results of the unit ``joint``.
        targets: share by scenario.

    Raises:
        InputError: if a target lies beyond what the pairs corrected.
    """
    corrected, _ = corrected_shares(joint_results, "corrected", len(calibration.joint))
    joint = tuple(replace(point, corrected=share) for point, share in zip(calibration.joint, corrected, strict=True))
    found = {}
    for name, target in targets.items():
        share = first_rise([(point.share, both) for point, both in zip(joint, corrected, strict=True)], target)
        if share is None:
            raise InputError(
                f"{100 * target:g} % for the scenario '{name}' lies beyond what pairs of thresholds correct together: "
                f"{percent(corrected[0])}..{percent(max(corrected))} %. Widen calibration.dsc, calibration.nsd and "
                "calibration.joint_shares."
            )
        found[name] = Thresholds(target, *_pair_at(calibration, share))
    pairs = tuple(CurvePoint(point.share, share) for point, share in zip(joint, corrected, strict=True))
    return replace(calibration, joint=joint, thresholds=found, problems=_ambiguous({"both metrics together": pairs}, targets.values()))


def acceptance_of(scenario: str, calibration: Calibration | None) -> Acceptance:
    """The rule of a scenario; the one without edits needs no calibration.

    Raises:
        InputError: if the scenario is not calibrated.
    """
    if scenario == NO_EDITS:
        return Acceptance()
    found = None if calibration is None else calibration.thresholds.get(scenario)
    if found is None:
        raise InputError(f"The scenario '{scenario}' is not calibrated yet. Run the sweeps of all training cases first.")
    return Acceptance(found.dsc, found.nsd)


def _pair_at(calibration: Calibration, share: float) -> tuple[float, float]:
    return threshold_at(calibration.dsc, share, "dsc"), threshold_at(calibration.nsd, share, "nsd")


def _ambiguous(curves: Mapping[str, Sequence[CurvePoint]], targets: Iterable[float]) -> tuple[str, ...]:
    """A sentence for each target that a curve passes more than once."""
    sentences = []
    for target in targets:
        for metric, curve in curves.items():
            falls = [first.threshold for first, second in itertools.pairwise(curve) if first.share >= target > second.share]
            if falls:
                sentences.append(
                    f"The curve of {metric} falls through {100 * target:g} % again behind {falls[0]:g}; its first rise was taken."
                )
    return tuple(sentences)
