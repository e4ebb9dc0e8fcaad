"""An nnU-Net data set from a crowd's labels, by the code that writes reviewed segments. Imports the rest of this room and nnunet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...geometry import Volume
from ...nnunet.cases.case import CaseImage, ExportCase, SegmentReview, SourceSegment
from ...nnunet.cases.plan import DataSetPlan, LabelRule, channel_name
from ...nnunet.data_sets.data_set import DataSet
from ...nnunet.data_sets.report import ExportReport
from ..outcome.queue import DOUBTFUL
from ..project import CrowdProject
from .kept import KeptOutcome, KeptVolume

_CODE = re.compile(r"[^:+\s]+:[^:+\s]+(\+[^:+\s]+:[^:+\s]+)?")
# What may become of slices that are in doubt and that nobody decided, see `DataSetPlan.unreviewed`.
DOUBTFUL_RULES = ("keep", "ignore", "leave_out", "refuse")


def plan_of(project: CrowdProject, number: int, name: str, channel: str, doubtful: str = "keep") -> DataSetPlan:
    """The plan of a project's data set: labels 1, 2, 3, ... in the project's order.

    Args:
        project: whose objects.
        number: nnU-Net's id of the data set.
        name: of the data set.
        channel: name of the image's channel, such as CT.
        doubtful: what becomes of slices in doubt, one of `DOUBTFUL_RULES`.

    Raises:
        InputError: if any of it is not what nnU-Net takes.
    """
    labels = []
    for value, one in enumerate(project.objects, start=1):
        codes = (one.terminology,) if one.terminology and _CODE.fullmatch(one.terminology) else ()
        labels.append(LabelRule(value, one.name, (one.name,), codes))
    return DataSetPlan(number, name, (channel,), tuple(labels), ignore=doubtful == "ignore", unreviewed=doubtful)


def export_data_set(
    kept: KeptOutcome,
    raw_folder: str | Path,
    number: int,
    name: str,
    *,
    channel: str | None = None,
    doubtful: str = "keep",
    least_doubt: float = DOUBTFUL,
    replace: bool = False,
) -> tuple[DataSet, ExportReport]:
    """Write a case for each volume with masks, all of them or none.

    Args:
        kept: the consensus.
        raw_folder: nnU-Net's folder of raw data.
        number, name: of the data set.
        channel: name of the image's channel; by default "CT" where the images say that they are, else their modality.
        doubtful: what becomes of slices in doubt that nobody decided: ``keep`` them, make them nnU-Net's ``ignore`` label, ``leave_out``
            the object of that case, or ``refuse`` the case.
        least_doubt: from which on a slice is in doubt.
        replace: whether cases that are there are replaced.

    Raises:
        InputError: if the data set has another plan, a case is there, or a name cannot be used.
        OutputError: if it cannot be written; nothing has changed then.
    """
    first = next(iter(kept.volumes()), None)
    if channel is None:
        channel = channel_name(first.image.modality if first is not None else None)
    data_set = DataSet.create(raw_folder, plan_of(kept.project, number, name, channel, doubtful))

    def cases() -> Iterator[ExportCase]:
        for volume in kept.volumes():
            yield _case(kept, volume, least_doubt)

    return data_set, data_set.export(cases(), replace_cases=replace)


def _case(kept: KeptOutcome, volume: KeptVolume, least_doubt: float) -> ExportCase:
    segments = []
    for one in kept.project.objects:
        if one.key in volume.masks:
            mask = Volume(volume.image.grid, kept.mask_kji(volume, one.key))
            segments.append(SourceSegment(one.name, mask, review=_review(kept, volume, one.key, least_doubt)))
    source = kept.project.volume(volume.key).path
    return ExportCase(
        volume.key, (CaseImage(volume.image, source.name),), tuple(segments),
        segments_source=f"crowd project '{kept.project.key}'", provenance=kept.provenance(volume),
    )  # fmt: skip


def _review(kept: KeptOutcome, volume: KeptVolume, name: str, least_doubt: float) -> SegmentReview:
    rows = volume.slices.get(name, {}).values()
    waiting = sum(row["source"] == "answers" and row["doubt"] >= least_doubt for row in rows)
    decided = sum(row["source"] == "decision" for row in rows)
    doubtful = Volume(volume.image.grid, kept.doubtful_kji(volume, name, least_doubt))
    return SegmentReview(doubtful, len(rows) - waiting - decided, decided, waiting, {"by": "crowd", "doubtful_from": least_doubt})
