"""The JSON files of a data set: nnU-Net's dataset.json, and where each case comes from. Imports nnunet.plan, case, labels; geometry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from ... import __version__
from ...geometry import VolumeGrid
from ..cases.case import ExportCase
from ..cases.plan import DataSetPlan
from .labels import LabelSummary


def dataset_json(plan: DataSetPlan, training_cases: int) -> dict:
    """nnU-Net's ``dataset.json``. The reader is left to nnU-Net, whose first choice for our file endings is SimpleITK, as here."""
    content = {
        "channel_names": {str(n): name for n, name in enumerate(plan.channels)},
        "labels": plan.nnunet_labels(),
        "numTraining": training_cases,
        "file_ending": plan.file_ending,
        "name": plan.name,
        "converted_by": f"SAM2Annotate {__version__}",
    }
    if plan.regions:
        content["regions_class_order"] = list(plan.class_order)
    return content


def provenance_of(case: ExportCase, plan: DataSetPlan, summary: LabelSummary, notes: Sequence[str], grid: VolumeGrid) -> dict:
    """Where a case comes from: files, who annotated, and for each segment its label and its review."""
    return {
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "sam2annotate": __version__,
        **case.provenance,
        "images": [{"channel": channel, "source": image.source} for channel, image in zip(plan.channels, case.images, strict=True)],
        "grid": {"size_ijk": list(grid.shape_kji[::-1]), "ijk_to_ras": grid.ijk_to_ras.tolist()},
        "segments_source": case.segments_source,
        "segments": [
            {"name": one.name, "label": plan.rule_of(one.value).name, "value": one.value, "voxels": one.voxels, "review": one.review}
            for one in summary.segments
        ],
        "left_out": [{"name": one.name, "reason": one.reason} for one in summary.left_out],
        "labels_without_voxels": list(summary.missing),
        "notes": list(notes),
    }
