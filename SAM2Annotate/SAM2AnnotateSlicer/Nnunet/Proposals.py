"""Proposals: what a trained model predicted, as objects to review. Opens no dialog, knows no widget. Imports the library and the logic.

A label becomes one object: its slices are those of the volume's thickest axis, its extent the slices with voxels, its prompt the mask of
the slice with the largest area. All slices are proposed. nnU-Net's label map says nothing about its own confidence, so the model's scores
are left at 1: only jumps in area and place from slice to slice order the queue of doubtful slices.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Extent, SliceStack, VolumeGrid
from SAM2AnnotateLib.nnunet import DataSetPlan
from SAM2AnnotateLib.nnunet.cases.plan import PLAN_FILE, read_plan
from SAM2AnnotateLib.nnunet.data_sets.proposals import Proposal, read_proposals
from SAM2AnnotateLib.nnunet.data_sets.transaction import settle_around
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy, SliceResult
from SAM2AnnotateLib.review import ReviewSession

from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.Logic import AnnotationLogic
from ..Review.Workspace import now
from ..Scene.SceneBridge import volumeFromNode


def loadProposals(logic: AnnotationLogic, prediction: str | Path, dataSet: str | Path) -> list[AnnotatedSegment]:
    """Bring a prediction into new segments of the chosen volume, proposed on all of their slices; the first becomes the current object.

    The prediction lies in the volume's own frame, as images are exported; the volume's parent transform is not applied to it.

    Args:
        logic: whose volume it is.
        prediction: a label map on the volume's voxels, as `predict` writes it.
        dataSet: folder of the data set that the model was trained on, or its plan's file.

    Raises:
        InputError: if prediction or plan cannot be read, do not belong together, lie elsewhere than the volume, or there is no voxel;
            the scene is as it was.
    """
    volumeNode = logic.volumeNode
    grid = volumeFromNode(volumeNode).grid
    plan = planAt(dataSet)
    proposals = read_proposals(prediction, plan, grid)
    if not proposals:
        raise InputError(f"The prediction '{prediction}' holds no voxel of any label, so there is nothing to review.")
    axis = thickestAxis(grid)
    logic.leaveObject()
    made = []
    for one in proposals:
        session, center = reviewOf(one, SliceStack.along(grid, axis), logic.policy)
        source = {"prediction": Path(prediction).name, "data_set": plan.folder_name, "label": one.name}
        made.append(logic.addObject(one.name, axis, session, {"center": center, "started": now(), "proposed_by": source}))
    logic.selectSegment(made[0].segmentationNode, made[0].segmentId)
    logic.storeNow()
    return made


def planAt(dataSet: str | Path) -> DataSetPlan:
    """The plan in a data set's folder, or in a file. Raises InputError."""
    path = Path(dataSet)
    settle_around(path)
    return read_plan(path / PLAN_FILE if path.is_dir() else path)


def thickestAxis(grid: VolumeGrid) -> str:
    """The index axis (``i``, ``j``, ``k``) with the largest spacing, along which slices were acquired; ``k`` of equal ones."""
    spacing = dict(zip("kji", grid.spacing_kji_mm, strict=True))
    return max("kji", key=lambda axis: round(spacing[axis], 3))


def reviewOf(proposal: Proposal, stack: SliceStack, policy: RegionPolicy) -> tuple[ReviewSession, int]:
    """A review with all slices proposed, and the position of its center slice.

    Args:
        proposal: on the stack's grid, with at least one voxel.
        stack: of upright slices.
        policy: which part of a slice the model sees when slices are computed anew.
    """
    upright = stack.view(proposal.mask.array_kji)
    areas = upright.sum(axis=(1, 2))
    occupied = np.flatnonzero(areas)
    center = int(np.argmax(areas))
    prompt = SlicePrompt(mask=upright[center])
    box = prompt.bounding_box()
    if box is None:
        raise InputError(f"The proposal '{proposal.name}' has no voxel.")
    session = ReviewSession({center: prompt}, Extent(int(occupied[0]), int(occupied[-1])), stack.frame_shape_rc)
    crop = policy.crop_around(box, stack.frame_shape_rc, stack.frame_spacing_rc_mm)
    for position in session.extent.indices:
        mask = np.array(upright[position])
        session.add_result(SliceResult(position, mask, 1.0, float(mask.any()), 0.0, crop, position == center))
    return session, center
