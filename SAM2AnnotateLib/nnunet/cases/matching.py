"""Which label of the plan a segment belongs to. Imports nnunet.plan, nnunet.case, errors."""

from __future__ import annotations

from fnmatch import fnmatchcase

from ...errors import InputError
from .case import SourceSegment
from .plan import DataSetPlan, LabelRule

# How surely a rule means a segment; the surest wins.
_BY_NAME, _BY_CODE_AND_MODIFIER, _BY_CODE, _BY_PATTERN = 4, 3, 2, 1


def rule_for(segment: SourceSegment, plan: DataSetPlan) -> LabelRule | None:
    """The plan's rule for a segment; None if it has none.

    A name as it stands counts before a code with its modifier, that before a code, that before a pattern.

    Raises:
        InputError: if two rules fit equally well.
    """
    fits = [(_fit(segment, rule), rule) for rule in plan.labels]
    best = max((fit for fit, _ in fits), default=0)
    if best == 0:
        return None
    rules = [rule for fit, rule in fits if fit == best]
    if len(rules) > 1:
        raise InputError(
            f"The segment '{segment.name}' fits the labels {' and '.join(repr(rule.name) for rule in rules)} equally well. "
            "Name it in full under one of them in the plan."
        )
    return rules[0]


def _fit(segment: SourceSegment, rule: LabelRule) -> int:
    name = segment.name.strip().casefold()
    patterns = [pattern.strip().casefold() for pattern in rule.segments]
    if name in patterns:
        return _BY_NAME
    if any("+" in code and code in segment.codes for code in rule.codes):
        return _BY_CODE_AND_MODIFIER
    if {code for code in rule.codes if "+" not in code} & {code.split("+")[0] for code in segment.codes}:
        return _BY_CODE
    # '[' has a meaning to fnmatch that the plan's patterns do not know.
    return _BY_PATTERN if any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns) else 0
