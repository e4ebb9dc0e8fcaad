"""A new project.yaml that works, with a word on each entry. Imports the rest of this room, volume_io and file_names."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...atomic_files import write_text_atomically
from ...errors import InputError, OutputError
from ...file_names import is_reserved
from ...volume_io import VOLUME_SUFFIXES
from .gold import gold_answers
from .project import CrowdProject
from .read import PREPARED_FOLDER, PROJECT_FILE, project_from_text

_TEXT = """\
# A crowd project: many people draw boxes in a browser. Check it with: sam2annotate crowd status {folder}
# Paths count from the folder of this file. What is changed here later counts from the next start of the server on; answers are kept.

key: {key}                 # names the project in the database; leave it when the folder moves
title: {title}
instructions: |
  Draw a box around each part of the object that you are asked for, as tight as you can.
  If it is not on the slice, say so. If you are not sure, say that: it helps more than a guess.

axis: {axis}               # axial, coronal, sagittal, or an index axis: i, j, k
window: {window}           # gray window: auto, mr, abdomen, liver, lung, bone, brain, mediastinum, or two values such as [-55, 155]

slices: {slices}           # all, {{every: 4}} for each 4th, or {{first: 10, last: 60, every: 2}}; a volume may have its own
people_per_slice: {people}        # how many people answer each slice
gold_share: {gold_share}            # share of slices whose answer is known, mixed in unseen; takes known answers (gold, known_answers)
training_count: {training}          # slices with feedback that each person does first; they take known answers, too
training_iou: 0.6          # there, a box is right from this overlap with the known one on
training_pass: 0           # share of them that must be right, such as 0.8; below it what was wrong comes again, before answers count
reservation_minutes: 15    # a slice that somebody was given waits so long, then another person gets it
session_hours: 12          # until people have to sign in again
context_slices: 10         # neighbors that may be looked at, on either side

objects:
{objects}
# known_answers: answers.json     # besides label maps: [{{"volume": "...", "object": "...", "slice": 12, "boxes_rc": [[10, 40, 22, 60]]}}]

volumes:                   # gold: a label map of known answers, whose values are the objects' labels; gold_slices: where it is right
{volumes}
"""


def write_project(
    folder: str | Path,
    volumes: Sequence[Path],
    objects: Mapping[str, str],
    *,
    gold: Mapping[Path, Path] | None = None,
    title: str | None = None,
    axis: str = "axial",
    window: str = "auto",
    every: int = 1,
    people: int = 3,
    training: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> CrowdProject:
    """Make a project's folder and its project.yaml, and prepare the volumes.

    Args:
        folder: made if it is missing.
        volumes: images: files or DICOM folders.
        objects: name to sentence; the labels are 1, 2, 3 in this order.
        gold: label maps of known answers, by image.
        title: as people read it; by default made from the folder's name.
        axis, window: see `CrowdProject`.
        every: ask each n-th slice.
        people: for each slice.
        training: slices with feedback; by default 5 where there are known answers.
        say: takes a line for each volume that is read.

    Returns:
        The project as it was written.

    Raises:
        InputError: if there is a project already, or anything given is wrong; nothing was written then.
        OutputError: if it cannot be written.
    """
    folder, gold = Path(folder), dict(gold or {})
    path = folder / PROJECT_FILE
    if path.exists():
        raise InputError(f"There is a project in '{folder}' already. Edit its '{PROJECT_FILE}', or choose another folder.")
    if not volumes:
        raise InputError("A project needs a volume at least.", "sam2annotate crowd init FOLDER --volumes IMAGE... --object NAME")
    if not objects:
        raise InputError("A project needs an object to look for.", "sam2annotate crowd init FOLDER --volumes IMAGE... --object NAME")
    strange = [image for image in gold if image not in volumes]
    if strange:
        raise InputError(f"There are known answers for '{strange[0]}', which is none of the volumes.")
    was_there = [one for one in (folder, folder / PREPARED_FOLDER) if one.exists()]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make the folder '{folder}': {exc.strerror or exc}.") from exc
    name = folder.resolve().name
    keys: list[str] = []
    lines = []
    for image in volumes:
        keys.append(_key(_stem(image), keys, "volume"))
        lines.append(f"  - key: {_quoted(keys[-1])}\n    image: {_quoted(_relative(image, folder))}")
        if image in gold:
            lines.append(f"    gold: {_quoted(_relative(gold[image], folder))}\n    gold_slices: all")
    object_keys: list[str] = []
    object_lines = []
    for number, (called, sentence) in enumerate(objects.items(), start=1):
        object_keys.append(_key(called, object_keys, "object"))
        object_lines.append(
            f"  - key: {_quoted(object_keys[-1])}\n    name: {_quoted(called)}\n    sentence: {_quoted(sentence)}\n"
            f"    examples: []             # pictures in this folder that show it: [examples/one.png]\n    label: {number}"
        )
    text = _TEXT.format(
        folder=name,
        key=_quoted(_key(name, [], "project")),
        title=_quoted(title or f"Boxes: {', '.join(objects)}"),
        axis=_quoted(axis),
        window=_quoted(window),
        slices="all" if every == 1 else f"{{every: {every}}}",
        people=people,
        gold_share=0.1 if gold else 0,
        training=(5 if gold else 0) if training is None else training,
        objects="\n".join(object_lines),
        volumes="\n".join(lines),
    )
    try:
        project = project_from_text(folder, text, say)
        known = gold_answers(project)  # read now: a label map that does not fit is told before there is a project
        if len(known) < project.training_count:
            raise InputError(
                f"The training round has {project.training_count} slices, but only {len(known)} answers are known.",
                "Give label maps by --gold, or a smaller --training.",
            )
    except BaseException:
        for one in (folder / PREPARED_FOLDER, folder):
            if one not in was_there:
                shutil.rmtree(one, ignore_errors=True)
        raise
    write_text_atomically(path, text)
    return project


def _stem(image: Path) -> str:
    name = image.resolve().name if image.name in ("", ".", "..") else image.name
    suffix = next((one for one in sorted(VOLUME_SUFFIXES, key=len, reverse=True) if name.lower().endswith(one)), "")
    stem = name[: len(name) - len(suffix)]
    return image.resolve().parent.name if stem == "image" and image.resolve().parent.name else stem  # a folder a patient is common


def _key(text: str, taken: list[str], fallback: str) -> str:
    """A key from a name: what may not stand in one becomes ``-``; numbered where it is taken."""
    key = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:50] or fallback
    if is_reserved(key):
        key = f"{fallback}-{key}"
    folded = {one.casefold() for one in taken}
    return next(one for one in (key, *(f"{key}-{n}" for n in range(2, len(taken) + 3))) if one.casefold() not in folded)


def _relative(path: Path, folder: Path) -> str:
    """A path as project.yaml states it: from its folder where it lies in it, else absolute."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links are kept: the owner named them
    home = Path(os.path.abspath(folder))  # noqa: PTH100
    return absolute.relative_to(home).as_posix() if absolute.is_relative_to(home) else absolute.as_posix()


def _quoted(text: str) -> str:
    """Text that YAML takes for text, whatever it holds."""
    return json.dumps(text, ensure_ascii=False)
