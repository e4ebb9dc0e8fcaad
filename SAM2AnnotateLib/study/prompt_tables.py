"""Tables of the prompts compared, and of what each click adds (studies A and D). Imports statistics, study.results and study.tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..nnunet.comparison import significance_mark
from ..statistics import holm_adjusted, paired_differences, summarize, wilcoxon_signed_rank
from .results import ObjectKey, PromptScore
from .tables import Column, Table

REFERENCE = "box"
# Clicks behind the first score of `rounds`: a box comes before the clicks, and is a round of its own.
FIRST_CLICK = {"clicks": 1, "box+clicks": 0}


def prompt_kinds(scores: Sequence[PromptScore]) -> list[str]:
    """The prompts that were tried, in their order."""
    return list(dict.fromkeys(score.prompt for score in scores))


def prompt_table(scores: Sequence[PromptScore]) -> Table:
    """One row a prompt: scores on the prompted slice, of the volume and on salient slices, and the test against a box."""
    kinds = prompt_kinds(scores)
    p_values = prompt_p_values(scores)
    rows = []
    for kind in kinds:
        own = [score for score in scores if score.prompt == kind]
        gaps = paired_differences(*_paired_center_dsc(scores, kind)) if kind in p_values else np.array([])
        p = p_values.get(kind)
        rows.append(
            (
                kind,
                len(own),
                *(summarize([getattr(score, name) for score in own]) for name in ("center_dsc", "center_nsd", "volume_dsc", "volume_nsd")),
                sum(score.salient_slices > 0 for score in own),
                summarize([score.salient_dsc for score in own]),
                summarize([score.salient_nsd for score in own]),
                float(np.median(gaps)) if gaps.size else None,
                p,
                None if p is None else significance_mark(p),
            )
        )
    columns = (
        Column("prompt", "Prompt"),
        Column("objects", "Objects", "count"),
        Column("center_dsc", "DSC, prompted slice", "summary"),
        Column("center_nsd", "NSD, prompted slice", "summary"),
        Column("volume_dsc", "DSC, volume", "summary"),
        Column("volume_nsd", "NSD, volume", "summary"),
        Column("salient_objects", "Objects with salient slices", "count"),
        Column("salient_dsc", "DSC, salient slices", "summary"),
        Column("salient_nsd", "NSD, salient slices", "summary"),
        Column("center_dsc_difference", "Median difference to box", "signed_score"),
        Column("holm_p", "p (Holm)", "p"),
        Column("mark", "", "text"),
    )
    caption = (
        "Prompts compared, without any correction: median [quartiles] over objects. Difference and two-tailed Wilcoxon signed-rank test of "
        "the DSC on the prompted slice against the box, paired by object, Holm-corrected over the prompts. The prompt 'mask' is the truth "
        "on that slice."
    )
    return Table("prompts", caption, columns, tuple(rows))


def prompt_p_values(scores: Sequence[PromptScore]) -> dict[str, float]:
    """Adjusted p-value of every prompt but the box, by its DSC on the prompted slice; none if there was no box."""
    kinds = prompt_kinds(scores)
    if REFERENCE not in kinds:
        return {}
    others = [kind for kind in kinds if kind != REFERENCE]
    adjusted = holm_adjusted([wilcoxon_signed_rank(*_paired_center_dsc(scores, kind)).p_value for kind in others])
    return dict(zip(others, adjusted.tolist(), strict=True))


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
    caption = "Clicks, one a round in the largest error: median [quartiles] over objects. An object that needs no more keeps its score."
    return Table("clicks", caption, columns, tuple(rows))


def click_scores(scores: Sequence[PromptScore], prompt: str) -> np.ndarray:
    """(objects, rounds) DSC on the prompted slice, from `FIRST_CLICK` on; an object that needed fewer clicks keeps its last score."""
    rounds = [score.rounds for score in scores if score.prompt == prompt and score.rounds]
    most = max((len(one) for one in rounds), default=0)
    return np.array([[*one, *[one[-1]] * (most - len(one))] for one in rounds]).reshape(len(rounds), most)


def center_dsc(scores: Sequence[PromptScore], prompt: str) -> dict[ObjectKey, float]:
    """DSC on the prompted slice by object."""
    return {score.key: score.center_dsc for score in scores if score.prompt == prompt}


def _paired_center_dsc(scores: Sequence[PromptScore], prompt: str) -> tuple[list[float], list[float]]:
    own, boxes = center_dsc(scores, prompt), center_dsc(scores, REFERENCE)
    both = sorted(own.keys() & boxes.keys())
    return [own[key] for key in both], [boxes[key] for key in both]
