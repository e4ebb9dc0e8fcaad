"""A crowd project of one object on one volume, for people who are not there. Imports project, yaml_config and this room's truth.

Beside the slices of the volume itself stand slices of a second volume `known`, the same image again, whose answers are known: they tell of
the people, and nothing of them goes into the object's labels.
"""

from __future__ import annotations

import json
from pathlib import Path

from ...atomic_files import write_text_atomically
from ...geometry import Extent, SliceStack
from ..project import PROJECT_FILE, CrowdProject, read_project
from .truth import ObjectTruth

VOLUME, KNOWN, OBJECT = "volume", "known", "object"
_ANSWERS_FILE = "known.json"


def asked_positions(truth: ObjectTruth, stack: SliceStack, beyond: int) -> Extent:
    """The slices that are asked: the object's, and `beyond` more at each end as far as the volume goes."""
    return Extent(max(0, truth.extent.first - beyond), min(stack.shape_src[0] - 1, truth.extent.last + beyond))


def made_up_project(
    folder: Path,
    image: Path,
    truth: ObjectTruth,
    stack: SliceStack,
    *,
    axis: str,
    window: str,
    people: int,
    beyond: int,
    gold_every: int,
    key: str = "simulated",
    name: str = "object",
) -> CrowdProject:
    """Write the project's files, and read them as the server does.

    Args:
        folder: of the project, made if it is missing.
        image: the volume.
        truth: where the object is.
        stack: of the volume along `axis`.
        axis, window: as in project.yaml.
        people: answers for each slice.
        beyond: slices that are asked beyond each end of the object.
        gold_every: each n-th of the asked slices is asked on the known volume, too.
        key: of the project.
        name: of the object.

    Raises:
        InputError, VolumeError, OutputError: as `read_project`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = asked_positions(truth, stack, beyond)
    ends = sorted(stack.index_of(position) for position in (asked.first, asked.last))
    slices = {"first": ends[0], "last": ends[1]}
    answers = [
        {
            "volume": KNOWN,
            "object": OBJECT,
            "slice": index,
            "boxes_rc": [[box.row_start, box.row_stop, box.col_start, box.col_stop] for box in truth.at(stack.position_of(index))],
        }
        for index in range(ends[0], ends[1] + 1, gold_every)
    ]
    content = {
        "key": key,
        "title": f"Simulated: {name}"[:100],
        "axis": axis,
        "window": window,
        "slices": slices,
        "people_per_slice": people,
        # As often as there are known slices for a real one, so that each person meets about all of them.
        "gold_share": len(answers) / (len(answers) + len(asked)),
        "training_count": 0,
        "objects": [{"key": OBJECT, "name": name[:80] or "object", "sentence": "Simulated.", "label": 1}],
        "known_answers": _ANSWERS_FILE,
        "volumes": [
            {"key": VOLUME, "image": str(image.resolve())},
            {"key": KNOWN, "image": str(image.resolve()), "slices": {**slices, "every": gold_every}},
        ],
    }
    write_text_atomically(folder / _ANSWERS_FILE, json.dumps(answers))
    write_text_atomically(folder / PROJECT_FILE, json.dumps(content, indent=1))  # YAML reads JSON
    return read_project(folder)
