"""Predictions of a trained model back as proposals to review. Imports volume_io, geometry, nnunet.plan, errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import VolumeError
from ...geometry import Volume, VolumeGrid
from ...volume_io import read_volume
from ...volume_io.label_values import whole_labels
from ..cases.plan import DataSetPlan


@dataclass(frozen=True)
class Proposal:
    """A segment that a model proposes.

    Args:
        name: the label's.
        value: its value.
        codes: terminology codes of the plan, the first of which says what it is.
        mask: bool, on the prediction's grid.
    """

    name: str
    value: int
    codes: tuple[str, ...]
    mask: Volume


def proposals_of(prediction: Volume, plan: DataSetPlan) -> list[Proposal]:
    """One proposal for each label of the plan with a voxel in the prediction, by value.

    Raises:
        VolumeError: if the prediction holds a value that the plan does not know, so it is another data set's.
    """
    labels_kji = whole_labels(prediction.array_kji, "the prediction")
    found = [float(value) for value in np.unique(labels_kji) if value != 0]
    known = {float(rule.value): rule for rule in plan.labels}
    foreign = [value for value in found if value not in known]
    if foreign:
        raise VolumeError(
            f"The prediction holds the value {foreign[0]:g}; the plan '{plan.name}' has 1..{len(plan.labels)}. "
            "Give the plan of the data set that the model was trained on."
        )
    rules = [known[value] for value in found]
    return [Proposal(rule.name, rule.value, rule.codes, Volume(prediction.grid, labels_kji == rule.value)) for rule in rules]


def read_proposals(path: str | Path, plan: DataSetPlan, image_grid: VolumeGrid) -> list[Proposal]:
    """Read a predicted labelmap that must lie on the image's grid.

    Raises:
        VolumeError: if it cannot be read or is another data set's.
        GridMismatchError: if it lies elsewhere than the image.
    """
    prediction = read_volume(path)
    image_grid.require_same(prediction.grid, "The image", f"the prediction '{path}'")
    return proposals_of(prediction, plan)
