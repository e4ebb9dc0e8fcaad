"""A crowd's masks as proposals beside their volumes, as Slicer's worklist opens them. Imports the rest of this room, review.

Nothing in a proposal is locked: a person looks at it slice by slice, the most doubtful first. A slice's doubt stands in its result as what
the model expects of it (predicted IoU), the lower of that and of 1 - doubt, because that is what the panel orders slices by.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from ...atomic_files import write_text_atomically
from ...geometry import Extent
from ...prompts import SlicePrompt
from ...review import ReviewSession
from ...volume_io import VOLUME_SUFFIXES
from ..project import CrowdProject
from .kept import KeptOutcome, KeptVolume

# See SAM2AnnotateSlicer/Worklist/CaseProposals.py, whose form this is; a test opens what is written here there.
PROPOSAL_SUFFIX = ".sam2annotate-proposal.json"
_SEGMENTATION = ".seg.nrrd"
_FORMAT = 1
_LEAST_IOU, _MOST_IOU = 0.01, 0.99


def write_proposals(kept: KeptOutcome, say: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Write a proposal beside each volume with masks; a volume that somebody has saved a segmentation of is left alone.

    Args:
        kept: the consensus.
        say: takes a line for each volume.

    Returns:
        The files.

    Raises:
        OutputError: if one cannot be written.
    """
    written = []
    for volume in kept.volumes():
        path = kept.project.volume(volume.key).path
        name = _stem(path)
        if path.with_name(f"{name}{_SEGMENTATION}").exists():
            say(f"{volume.key}: left alone, as '{name}{_SEGMENTATION}' is there already")
            continue
        objects = _objects(kept, volume)
        target = path.with_name(f"{name}{PROPOSAL_SUFFIX}")
        write_text_atomically(target, json.dumps(_content(kept, volume, objects)) + "\n")
        count = f"{len(objects)} object{'' if len(objects) == 1 else 's'}"
        say(f"{target}: {count}" + (f", doubt {objects[0]['doubt']:.2f}" if objects else ", nothing found"))
        written.append(target)
    return written


def _content(kept: KeptOutcome, volume: KeptVolume, objects: list[dict]) -> dict:
    grid = volume.image.grid
    content = {
        "format": _FORMAT, "found": bool(objects), "stamp": f"crowd:{kept.digest}", "shape_kji": list(grid.shape_kji),
        "ijk_to_ras": grid.ijk_to_ras.tolist(), "reason": "" if objects else "nobody in the crowd saw it",
        "name": kept.project.objects[0].name, "doubt": 0.0,
    }  # fmt: skip
    if objects:
        first, *others = objects
        content |= {**first, "more": others}
    return content


def _objects(kept: KeptOutcome, volume: KeptVolume) -> list[dict]:
    """Each object with a mask as a proposal, the most doubtful first."""
    found = []
    stack = kept.project.volume(volume.key).stack
    for one in kept.project.objects:
        made = _session(kept.project, volume, one.key)
        if made is None:
            continue
        session, center, doubt = made
        source = {"crowd": kept.project.key, "consensus": kept.digest[:12], "way": kept.about.text("way")}
        about = {"center": center, "started": datetime.now(timezone.utc).isoformat(timespec="seconds"), "proposed_by": source}
        found.append({"name": one.name, "doubt": doubt, "axis": stack.index_axis, "session": session.to_json(), "about": about})
    return sorted(found, key=lambda row: -row["doubt"])


def _session(project: CrowdProject, volume: KeptVolume, name: str) -> tuple[ReviewSession, int, float] | None:
    """A review with all slices from the first to the last with a mask proposed, its center slice, and the mean doubt."""
    masks = volume.masks.get(name, {})
    occupied = sorted(position for position, one in masks.items() if one.mask.any())
    if not occupied:
        return None
    rows = volume.slices.get(name, {})

    def doubt(position: int) -> float:
        row = rows.get(position)
        return float(row["doubt"]) if row is not None else 1 - masks[position].predicted_iou

    # A large slice that little speaks against.
    center = max(occupied, key=lambda p: (int(masks[p].mask.sum()) * (1 - doubt(p)), -p))
    prompt = SlicePrompt(mask=masks[center].mask)
    stack = project.volume(volume.key).stack
    session = ReviewSession({center: prompt}, Extent(occupied[0], occupied[-1]), stack.frame_shape_rc)
    doubts = []
    for position in session.extent.indices:
        one = masks.get(position)
        if one is None:
            continue
        doubts.append(doubt(position))
        expected = float(np.clip(min(one.predicted_iou, 1 - doubts[-1]), _LEAST_IOU, _MOST_IOU))
        session.add_result(replace(one.result, predicted_iou=expected, prompted=position == center))
    return session, center, round(float(np.mean(doubts)), 4)


def _stem(path: Path) -> str:
    """A case's name as the worklist makes it of its volume's file: without the ending, unless a neighbor would have the same."""
    siblings = [one for one in path.parent.iterdir() if one != path and not one.name.startswith(".")]
    stem = _without_ending(path)
    return path.name if any(_without_ending(one).casefold() == stem.casefold() for one in siblings) else stem


def _without_ending(path: Path) -> str:
    """Of a file that can be a volume, or of a folder; else nothing."""
    lower = path.name.lower()
    if path.is_dir():
        return path.name
    suffix = next((one for one in sorted(VOLUME_SUFFIXES, key=len, reverse=True) if lower.endswith(one)), "")
    return path.name[: -len(suffix)] if suffix and not lower.endswith(_SEGMENTATION) else ""
