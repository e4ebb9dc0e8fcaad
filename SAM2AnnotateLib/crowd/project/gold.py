"""Known answers: from label maps, and from a JSON file. Imports answers, project, volume_io, geometry and (inside functions) scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import InputError
from ...geometry import Box2D
from ...json_input import Fields, is_whole, read_json
from ...optional_imports import import_for
from ...volume_io import read_volume
from ...volume_io.label_values import whole_labels
from ..answers import GoldAnswer, Task
from .project import CrowdProject
from .values import CrowdVolume


def gold_answers(project: CrowdProject) -> dict[Task, GoldAnswer]:
    """All known answers of a project; those of its JSON file win over those of label maps.

    Each connected part of a label on a slice (diagonals too) has a box of its own. A slice on which all of an object is smaller than
    `Rules.smallest_gold_pixels` is left out: whether that is the object is no fair question. On others, smaller parts are passed over.

    Raises:
        InputError: if a label map does not lie on its image's grid, or the file names what is not there.
    """
    found: dict[Task, GoldAnswer] = {}
    for volume in project.volumes:
        if volume.gold is not None:
            found.update(_from_labels(project, volume, volume.gold))
    if project.known_answers is not None:
        found.update(_from_file(project, project.known_answers))
    return dict(sorted(found.items()))


def parts_of(mask_rc: np.ndarray, smallest_pixels: int) -> tuple[Box2D, ...] | None:
    """Boxes of the connected parts of a mask, from top to bottom.

    Args:
        mask_rc: (rows, columns) bool.
        smallest_pixels: smaller parts have no box.

    Returns:
        No box where the mask is empty; None where there is something, and all of it is smaller.
    """
    if not mask_rc.any():
        return ()
    ndimage = import_for("Reading known answers", "scipy.ndimage", "pip install scipy")
    labels, _ = ndimage.label(mask_rc, structure=np.ones((3, 3), dtype=bool))
    counts = np.bincount(labels.ravel())
    boxes = [
        Box2D(rows.start, rows.stop, cols.start, cols.stop)
        for number, (rows, cols) in enumerate(ndimage.find_objects(labels), start=1)
        if counts[number] >= smallest_pixels
    ]
    return tuple(boxes) or None


def _from_labels(project: CrowdProject, volume: CrowdVolume, path: Path) -> dict[Task, GoldAnswer]:
    image, labels = read_volume(volume.path), read_volume(path)
    labels.grid.require_same(image.grid, f"the known answers '{path.name}'", f"the image of volume '{volume.key}'")
    stack = volume.stack.view(whole_labels(labels.array_kji, str(path)))
    answers: dict[Task, GoldAnswer] = {}
    for one in project.objects:
        for position in volume.gold_positions:
            boxes = parts_of(stack[position] == one.label, project.rules.smallest_gold_pixels)
            if boxes is not None:
                task = Task(volume.key, one.key, position)
                answers[task] = GoldAnswer(task, boxes)
    return answers


def _from_file(project: CrowdProject, path: Path) -> dict[Task, GoldAnswer]:
    content = read_json(path, "the known answers")
    if not isinstance(content, list):
        raise InputError(f"The known answers '{path}': expected a list of objects with volume, object, slice and boxes_rc.")
    answers: dict[Task, GoldAnswer] = {}
    for number, one in enumerate(content, start=1):
        what = f"the known answers '{path}', entry {number}"
        entry = Fields(one, what)
        entry.require_only("volume", "object", "slice", "boxes_rc")
        volume = project.volume(entry.text("volume"))
        count = volume.stack.shape_src[0]
        task = Task(volume.key, project.object(entry.text("object")).key, volume.stack.position_of(entry.whole("slice", 0, count - 1)))
        if task in answers:
            raise InputError(f"{what[:1].upper()}{what[1:]}: this slice and object have an answer already. Give all boxes in one entry.")
        answers[task] = GoldAnswer(task, tuple(_box(box, volume.stack.frame_shape_rc, what) for box in entry.items("boxes_rc")))
    return answers


def _box(value: object, shape_rc: tuple[int, int], what: str) -> Box2D:
    rows, cols = shape_rc
    if not (isinstance(value, list) and len(value) == 4 and all(is_whole(one) for one in value)):
        raise InputError(f"{what[:1].upper()}{what[1:]}: a box is [row, row past it, column, column past it], got {str(value)[:60]}.")
    r0, r1, c0, c1 = value
    if not (0 <= r0 < r1 <= rows and 0 <= c0 < c1 <= cols):
        raise InputError(f"{what[:1].upper()}{what[1:]}: the box {value} is empty or leaves the slice ({rows} rows, {cols} columns).")
    return Box2D(r0, r1, c0, c1)
