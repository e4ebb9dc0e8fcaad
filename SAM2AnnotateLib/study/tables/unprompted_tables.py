"""Tables of what nobody prompted: study B's methods, study E's prototypes. Imports study.results, the configuration and the tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..configuration.config_learning import LADDER
from ..records.results import AutoScore, PrototypeScore
from .case_means import case_means, mean_of, paired_cases
from .tables import Column, Table

# The baseline of either study.
AUTO_BASELINE, PROTOTYPE_BASELINE = "threshold", "prompt_each"
_METHODS = {
    "threshold": "points carried by a threshold",
    "sap_net": "SAP-Net, all of it",
    "learned": "learned decoder",
    "sap_prototypes": "SAP-Net: prototypes alone",
    "sap_position": "SAP-Net: with position",
    "sap_biased": "SAP-Net: with the biased Dice loss",
}
_WAYS = {
    "prompt_each": "a prompt on every volume",
    "prototype": "prototypes",
    "prototype_learned": "prototypes, and what was learned from them",
}


def auto_table(scores: Sequence[AutoScore]) -> Table:
    """One row a method, the ladder's in its order."""
    by_method = _by_name([(one.method, one) for one in scores])
    names = [name for name in by_method if name not in (*LADDER, "sap_net")]
    names += [name for name in (*LADDER, "sap_net") if name in by_method]
    base = case_means((one.key, one.dsc) for one in by_method.get(AUTO_BASELINE, ()))
    rows = []
    for name in names:
        own = by_method[name]
        dsc = case_means((one.key, one.dsc) for one in own)
        pairs = paired_cases(dsc, base) if base and name != AUTO_BASELINE else None
        absent = sum(one.absent for one in own)
        told = sum(one.absent * one.absent_told for one in own if one.absent)
        rows.append(
            (
                _METHODS.get(name, name),
                len(own),
                sum(one.slices for one in own),
                mean_of(dsc),
                None if pairs is None else pairs.difference,
                None if pairs is None else pairs.p_value,
                mean_of(case_means((one.key, one.found) for one in own)),
                absent,
                told / absent if absent else None,
            )
        )
    columns = (
        Column("method", "Method"),
        Column("objects", "Objects", "count"),
        Column("slices", "Slices", "count"),
        Column("dsc", "DSC (mean of cases)", "score"),
        Column("difference", "Difference to carried points", "interval"),
        Column("p", "p", "p"),
        Column("found", "Found, doubt up to 0.5", "share"),
        Column("absent", "Slices without the object", "count"),
        Column("absent_told", "of these empty or doubted", "share"),
    )
    caption = (
        "Slices that nobody prompted, by methods that were given some annotated slices of the same volume (study B). Slices without the "
        "object lie at least 3 beyond its ends. Differences and Wilcoxon tests by case."
    )
    return Table("auto_prompts", caption, columns, tuple(rows))


def prototype_table(scores: Sequence[PrototypeScore]) -> Table:
    """One row a way and label value, on the objects that all ways have finished."""
    by_way = _by_name([(one.way, one) for one in scores])
    common = set.intersection(*({one.key for one in own} for own in by_way.values())) if by_way else set()
    rows = []
    for label in sorted({key.label for key in common}):
        base = [one for one in by_way.get(PROTOTYPE_BASELINE, ()) if one.key in common and one.key.label == label]
        asked = sum(one.prompts for one in base)
        for way, every in by_way.items():
            own = [one for one in every if one.key in common and one.key.label == label]
            dsc, jaccard = (case_means((one.key, getattr(one, name)) for one in own) for name in ("dsc", "jaccard"))
            tested = bool(base) and way != PROTOTYPE_BASELINE
            pairs = paired_cases(dsc, case_means((one.key, one.dsc) for one in base)) if tested else None
            prompts = sum(one.prompts for one in own)
            errors = [abs(value) for one in own for value in (one.first_error, one.last_error) if not math.isnan(value)]
            rows.append(
                (
                    own[0].key.name,
                    _WAYS.get(way, way),
                    len(own),
                    sum(one.found for one in own),
                    mean_of(dsc),
                    mean_of(jaccard),
                    None if pairs is None else pairs.difference,
                    None if pairs is None else pairs.p_value,
                    prompts,
                    1 - prompts / asked if tested and asked else None,
                    float(np.median(errors)) if errors else None,
                )
            )
    columns = (
        Column("label", "Object"),
        Column("way", "Way"),
        Column("cases", "Cases", "count"),
        Column("found", "Found", "count"),
        Column("dsc", "3-D DSC (mean)", "score"),
        Column("jaccard", "Jaccard (mean)", "score"),
        Column("difference", "DSC: difference to a prompt each", "interval"),
        Column("p", "p", "p"),
        Column("prompts", "Gestures on these volumes", "count"),
        Column("prompts_saved", "saved", "share"),
        Column("end_error", "Ends: median error, slices", "number"),
    )
    caption = (
        "One prompt a volume against one for the data set (study E), nothing corrected. A prompt each: box or points, both ends marked, "
        "propagated. Prototypes: annotated on other patients' volumes; nobody marks anything on these, not even the ends. What is not found"
        " counts as 0. Wilcoxon tests by case."
    )
    return Table("prototypes", caption, columns, tuple(rows), grouped=True)


def _by_name(pairs: Sequence[tuple]) -> dict:
    found: dict = {}
    for name, one in pairs:
        found.setdefault(name, []).append(one)
    return found
