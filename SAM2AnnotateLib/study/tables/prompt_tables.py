"""Tables of the prompts compared, and of what each click adds (studies A and D). Imports nnunet, statistics and study.results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...nnunet.scores.comparison import significance_mark
from ...statistics import holm_adjusted, summarize
from ..records.results import ObjectKey, PromptScore
from .case_means import PairedCases, case_means, paired_cases
from .tables import Column, Table

REFERENCE = "box"
CENTER = "center_dsc"
VOLUME = "volume_dsc"
# What cannot come out otherwise on the prompted slice, so that a test would only look like a finding.
KNOWN_BEFOREHAND = {
    "mask": "'mask' is the truth on the prompted slice, and not tested there.",
    "box+clicks": "Of 'box+clicks' the best round counts, the box alone being one (study B), so it cannot be worse than the box on the "
    "prompted slice, and is not tested there.",
}
# Clicks behind the first score of `rounds`: a box comes before the clicks, and is a round of its own.
FIRST_CLICK = {"clicks": 1, "box+clicks": 0}


def prompt_kinds(scores: Sequence[PromptScore]) -> list[str]:
    """The prompts that were tried, in their order."""
    return list(dict.fromkeys(score.prompt for score in scores))


def prompt_table(scores: Sequence[PromptScore]) -> Table:
    """One row a prompt: scores on the prompted slice, and the tests against a box."""
    caption = (
        "Prompts on the prompted slice: median [quartiles] over objects. Differences to the box and two-tailed Wilcoxon signed-rank tests "
        f"are over cases (means of their objects), Holm-corrected over the prompts. {_why_not_tested(scores)}"
    )
    return Table("prompts", caption.rstrip(), *_tested_columns(scores, CENTER, "prompted slice"))


def volume_table(scores: Sequence[PromptScore]) -> Table:
    """One row a prompt: scores in 3-D after propagation without any correction, the tests against a box, and salient slices."""
    columns, rows = _tested_columns(scores, VOLUME, "volume")
    salient = any(score.salient_slices for score in scores)
    more = (
        Column("salient_objects", "Objects with salient slices", "count", salient),
        Column("salient_dsc", "DSC, salient slices", "summary", salient),
        Column("salient_nsd", "NSD, salient slices", "summary", salient),
    )
    wider = []
    for row in rows:
        own = [score for score in scores if score.prompt == row[0]]
        count = sum(score.salient_slices > 0 for score in own)
        wider.append((*row, count, *(summarize([getattr(score, name) for score in own]) for name in ("salient_dsc", "salient_nsd"))))
    caption = (
        "The same prompts in 3-D, propagated through the object without any correction: median [quartiles] over objects; differences and "
        "tests as above."
    )
    return Table("prompts_volume", caption, (*columns, *more), tuple(wider))


def _tested_columns(scores: Sequence[PromptScore], metric: str, place: str) -> tuple[tuple[Column, ...], tuple[tuple[object, ...], ...]]:
    """Columns and rows of `CENTER` or `VOLUME`, with the NSD of the same masks."""
    tests, nsd = prompt_tests(scores, metric), metric.replace("dsc", "nsd")
    rows = []
    for kind in prompt_kinds(scores):
        own = [score for score in scores if score.prompt == kind]
        test, p = tests.get(kind, (None, None))
        summaries = [summarize([getattr(score, name) for score in own]) for name in (metric, nsd)]
        marks = (None, None, None) if test is None or p is None else (test.difference, p, significance_mark(p))
        rows.append((kind, len({score.key.case for score in own}), len(own), *summaries, *marks))
    columns = (
        Column("prompt", "Prompt"),
        Column("cases", "Cases", "count"),
        Column("objects", "Objects", "count"),
        Column(metric, f"DSC, {place}", "summary"),
        Column(nsd, f"NSD, {place}", "summary"),
        Column(f"{metric}_difference", "DSC, median difference to box [95 % CI]", "interval"),
        Column(f"{metric}_holm_p", "p (Holm)", "p"),
        Column(f"{metric}_mark", ""),
    )
    return columns, tuple(rows)


def prompt_tests(scores: Sequence[PromptScore], metric: str) -> dict[str, tuple[PairedCases, float]]:
    """Every prompt against the box, by case, and its adjusted p-value; none if there was no box.

    Args:
        metric: `CENTER` or `VOLUME`. What is known beforehand on the prompted slice is not tested there.
    """
    kinds = prompt_kinds(scores)
    if REFERENCE not in kinds:
        return {}
    others = [kind for kind in kinds if kind != REFERENCE and not (metric == CENTER and kind in KNOWN_BEFOREHAND)]
    tests = [paired_cases(_case_means(scores, kind, metric), _case_means(scores, REFERENCE, metric), "median") for kind in others]
    adjusted = holm_adjusted([test.p_value for test in tests])
    return {kind: (test, float(p)) for kind, test, p in zip(others, tests, adjusted, strict=True)}


def click_table(scores: Sequence[PromptScore]) -> Table:
    """One row a prompt with clicks and number of clicks: the DSC on the prompted slice, and what the last click added."""
    rows: list[tuple[object, ...]] = []
    for kind in (kind for kind in prompt_kinds(scores) if kind in FIRST_CLICK):
        by_click = click_scores(scores, kind)
        for at in range(by_click.shape[1]):
            gain = float(np.median(by_click[:, at] - by_click[:, at - 1])) if at else None
            rows.append((kind, FIRST_CLICK[kind] + at, by_click.shape[0], summarize(by_click[:, at]), gain))
    columns = (
        Column("prompt", "Prompt"),
        Column("clicks", "Clicks", "count"),
        Column("objects", "Objects", "count"),
        Column("center_dsc", "DSC, prompted slice", "summary"),
        Column("median_gain", "Median gain by this click", "signed_score"),
    )
    caption = (
        "Clicks, one a round in the largest error, each row the mask after that click whether better or worse: median [quartiles] over "
        "objects. An object that needs no more clicks keeps its score. The median gain is not the gain of the medians."
    )
    return Table("clicks", caption, columns, tuple(rows))


def click_scores(scores: Sequence[PromptScore], prompt: str) -> np.ndarray:
    """(objects, rounds) DSC on the prompted slice, from `FIRST_CLICK` on; an object that needed fewer clicks keeps its last score."""
    rounds = [score.rounds for score in scores if score.prompt == prompt and score.rounds]
    most = max((len(one) for one in rounds), default=0)
    return np.array([[*one, *[one[-1]] * (most - len(one))] for one in rounds]).reshape(len(rounds), most)


def center_dsc(scores: Sequence[PromptScore], prompt: str) -> dict[ObjectKey, float]:
    """DSC on the prompted slice by object."""
    return {score.key: score.center_dsc for score in scores if score.prompt == prompt}


def _case_means(scores: Sequence[PromptScore], prompt: str, metric: str) -> dict[str, float]:
    return case_means((score.key, getattr(score, metric)) for score in scores if score.prompt == prompt)


def _why_not_tested(scores: Sequence[PromptScore]) -> str:
    kinds = prompt_kinds(scores)
    return " ".join(why for kind, why in KNOWN_BEFOREHAND.items() if kind in kinds and REFERENCE in kinds)
