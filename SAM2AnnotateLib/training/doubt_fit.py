"""Fit the expected DSC, and try it on patients that were left out. Imports training.doubt_samples, review.expected_dsc, scipy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from ..review.expected_dsc import ExpectedDsc
from ..review.signals import SliceSignals
from .doubt_samples import SliceSample, by_object

COVERAGE = 0.8
BAD_DSC = 0.8
_RIDGE = 0.01  # on standardized terms: weights of terms that say the same share what they explain
_WIDEST = 3.0  # as in expected_dsc.py
_FEWEST_SLICES = 5  # of fewer there is no worst fifth

Terms = Mapping[str, Callable[[SliceSample], float]]


def terms_of(signals: Mapping[str, Callable[[SliceSignals], float]]) -> Terms:
    """Terms of samples from terms of signals."""

    def of_sample(term: Callable[[SliceSignals], float]) -> Callable[[SliceSample], float]:
        return lambda sample: term(sample.signals)

    return {name: of_sample(term) for name, term in signals.items()}


def object_weights(samples: Sequence[SliceSample]) -> np.ndarray:
    """Each object counts alike in each state, whatever its number of slices; a family by the square root of its number of objects."""
    weights = np.zeros(len(samples))
    families: dict[str, set] = {}
    for sample in samples:
        families.setdefault(sample.family, set()).add((sample.case, sample.label))
    for indices in by_object(samples).values():
        weights[indices] = 1 / len(indices) / np.sqrt(len(families[samples[indices[0]].family]))
    return weights / weights.sum()


@dataclass(frozen=True)
class Fit:
    """A fitted sum of terms; `low` and `high` as in `ExpectedDsc`."""

    intercept: float
    weights: np.ndarray
    low: tuple[float, float]
    high: tuple[float, float]

    def scores(self, values: np.ndarray) -> np.ndarray:
        """The sums of (samples, terms) values."""
        return self.intercept + values @ self.weights


def values_of(samples: Sequence[SliceSample], terms: Terms) -> np.ndarray:
    """(samples, terms) values."""
    return np.array([[term(sample) for term in terms.values()] for sample in samples], dtype=float)


def fit(samples: Sequence[SliceSample], values: np.ndarray) -> Fit:
    """Fit sum and interval; the interval on sums of patients that its own fit of the sum has left out."""
    weights, dsc = object_weights(samples), np.array([sample.dsc for sample in samples])
    intercept, slopes = _logistic_fit(values, dsc, weights)
    scores = left_out_scores(samples, values, [sample.patient for sample in samples])
    low, high = (_end_fit(scores, dsc, weights, side) for side in (-1, 1))
    return Fit(intercept, slopes, low, high)


def left_out_scores(samples: Sequence[SliceSample], values: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """The sums of each group's samples by a fit on all others."""
    weights, dsc, names = object_weights(samples), np.array([sample.dsc for sample in samples]), np.array(groups)
    scores = np.zeros(len(samples))
    for name in set(groups):
        out = names == name
        intercept, slopes = _logistic_fit(values[~out], dsc[~out], weights[~out])
        scores[out] = intercept + values[out] @ slopes
    return scores


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What was expected of samples by fits that had not seen their group: (samples,) each."""

    scores: np.ndarray
    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray


def leave_out(samples: Sequence[SliceSample], values: np.ndarray, groups: Sequence[str]) -> LeftOut:
    """Fit without each group in turn, interval and all, and apply to it."""
    names, scores = np.array(groups), np.zeros(len(samples))
    low, high = np.zeros(len(samples)), np.zeros(len(samples))
    for name in sorted(set(groups)):
        out = np.flatnonzero(names == name)
        kept = np.flatnonzero(names != name)
        found = fit([samples[int(index)] for index in kept], values[kept])
        scores[out] = found.scores(values[out])
        low[out], high[out] = _end(scores[out], -1, *found.low), _end(scores[out], 1, *found.high)
    return LeftOut(scores, _logistic(scores), low, high)


def apply(numbers: ExpectedDsc, samples: Sequence[SliceSample]) -> LeftOut:
    """What fitted numbers say of samples that they never saw."""
    found = [numbers.of(sample.signals) for sample in samples]
    columns = ([getattr(one, name) for one in found] for name in ("dsc", "low", "high"))
    return LeftOut(np.array([numbers.score(sample.signals) for sample in samples]), *(np.array(column) for column in columns))


def auroc(doubt: np.ndarray, bad: np.ndarray) -> float:
    """How often a bad slice is more in doubt than a good one; NaN if there are none of either."""
    count, others = int(bad.sum()), int((~bad).sum())
    if count == 0 or others == 0:
        return float("nan")
    return float((rankdata(doubt)[bad].sum() - count * (count + 1) / 2) / (count * others))


def worst_fifth_found(samples: Sequence[SliceSample], doubt: np.ndarray) -> float:
    """Mean over objects and states: share of the most doubtful fifth of the slices that is as bad as the worst fifth."""
    shares = []
    for indices in by_object(samples).values():
        count = max(1, round(len(indices) / 5))
        if len(indices) < _FEWEST_SLICES:
            continue
        dsc = np.array([samples[index].dsc for index in indices])
        most_doubtful = np.argsort(-doubt[indices], kind="stable")[:count]
        shares.append(float((dsc[most_doubtful] <= np.sort(dsc)[count - 1]).mean()))
    return float(np.mean(shares)) if shares else float("nan")


def covered(samples: Sequence[SliceSample], found: LeftOut) -> float:
    """Share of slices whose DSC the interval holds, objects counting as in the fit."""
    dsc = np.array([sample.dsc for sample in samples])
    weights = object_weights(samples)
    return float(weights @ ((found.low <= dsc) & (dsc <= found.high)))


def chosen(samples: Sequence[SliceSample], states: Iterable[str]) -> np.ndarray:
    """Indices of the samples in these states."""
    states = set(states)
    return np.array([index for index, sample in enumerate(samples) if sample.state in states], dtype=int)


def _logistic_fit(values: np.ndarray, dsc: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Intercept and slopes of the logistic function nearest to DSC, by cross entropy, with a small ridge."""
    mean, deviation = values.mean(axis=0), values.std(axis=0) + 1e-9
    design = np.column_stack([np.ones(len(values)), (values - mean) / deviation])
    weights = weights / weights.sum()

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        sums = design @ numbers
        gradient = design.T @ (weights * (_logistic(sums) - dsc))
        gradient[1:] += _RIDGE * numbers[1:]
        return float(weights @ (np.logaddexp(0, sums) - dsc * sums) + _RIDGE / 2 * (numbers[1:] ** 2).sum()), gradient

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
    slopes = found[1:] / deviation
    return float(found[0] - slopes @ mean), slopes


def _end_fit(scores: np.ndarray, dsc: np.ndarray, weights: np.ndarray, side: int) -> tuple[float, float]:
    """(offset, slope) of the interval's lower (side -1) or upper (1) end: the quantile of DSC that leaves half of what is not covered."""
    weights, level = weights / weights.sum(), (1 + side * COVERAGE) / 2

    def loss(numbers: np.ndarray) -> float:
        above = dsc - _end(scores, side, *numbers)
        return float(weights @ np.maximum(level * above, (level - 1) * above))

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-8, "maxiter": 2000}).x
    return float(found[0]), float(found[1])


def _end(scores: np.ndarray, side: int, offset: float, slope: float) -> np.ndarray:
    """An end of the interval, see `ExpectedDsc.of`."""
    return _logistic(scores + side * np.exp(np.minimum(_WIDEST, offset + slope * scores)))


def _logistic(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(value, -60, 60)))
