"""``sam2annotate crowd init``: a new project that works. Imports the library inside functions."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...errors import InputError
from .options import add_command, open_records

_EXAMPLES = """\
project.yaml explains each of its entries. Write a sentence for each object and put example pictures beside it, then invite and serve.

examples:
  sam2annotate crowd init livers --volumes scans/*.nii.gz --object Liver
  sam2annotate crowd init organs --volumes scans/*.nii.gz --object "Liver=The large organ under the right ribs." --object Spleen --every 4
  sam2annotate crowd init livers --volumes scans/*.nii.gz --object Liver --gold scans/p07.nii.gz=experts/p07.nii.gz
"""

# A pixel so many times longer than wide says that slices were cut across those that were acquired.
_LONGEST_PIXEL = 3


def add_parser(commands) -> None:
    """Register the command."""
    parser = add_command(commands, "init", "make a project: its folder, project.yaml, slices as pictures, and database", _EXAMPLES)
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("folder", metavar="FOLDER", type=Path, help="of the project; made if it is missing")
    add("--volumes", metavar="IMAGE", type=Path, nargs="+", required=True, help="NIfTI, NRRD or MHA files, or folders with a DICOM series")
    add("--object", metavar="NAME[=SENTENCE]", action="append", required=True, help="what to look for; may be repeated")
    add(
        "--gold",
        metavar="IMAGE=LABELS",
        action="append",
        default=[],
        help="known answers for one of the volumes; may be repeated",
    )
    add("--title", help="as people read it (default: made from the objects)")
    add("--axis", default="axial", help="axial, coronal, sagittal, i, j or k (default: axial)")
    add("--window", default="auto", help="gray window: auto, mr, LO,HI or a name such as liver (default: auto)")
    add("--every", type=int, default=1, metavar="N", help="ask each N-th slice (default: 1)")
    add("--people", type=int, default=3, metavar="N", help="people for each slice (default: 3)")
    add("--training", type=int, metavar="N", help="slices with feedback that each person does first (default: 5 with --gold, else 0)")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...crowd.project import write_project

    objects = {}
    for text in options.object:
        name, equals, sentence = text.partition("=")
        if name in objects:
            raise InputError(f"The object '{name}' is given twice.")
        objects[name] = sentence if equals else f"{name}: describe in plain words here how to know it."
    gold = {}
    for text in options.gold:
        image, equals, labels = text.rpartition("=")
        if not equals or not image:
            raise InputError(f"--gold takes IMAGE=LABELS, got '{text}'.")
        gold[Path(image)] = Path(labels)
    project = write_project(
        options.folder, options.volumes, objects, gold=gold, title=options.title, axis=options.axis, window=options.window,
        every=options.every, people=options.people, training=options.training, say=print,
    )  # fmt: skip
    with open_records([project], None, may_upgrade=True) as records:
        where, known = records.database.shown, len(records.gold_answers(project.key))
        tasks = sum(one.tasks for one in records.progress(project.key).volumes)
    what = f"{tasks} tasks for {options.people} people each, {known} with a known answer"
    print(f"'{project.title}': {what}, on {len(project.volumes)} volumes.")
    for warning in _coarse_slices(project):
        print(warning)
    print(f"Answers are kept in {where}.")
    print(f"Next: edit {options.folder / 'project.yaml'}, then")
    print(f"  sam2annotate crowd invite {options.folder} --role owner")
    print(f"  sam2annotate crowd serve {options.folder}")
    return 0


def _coarse_slices(project) -> list[str]:
    """A line for each volume whose slices have pixels much longer than wide: it was most likely acquired along another axis."""
    lines = []
    for volume in project.volumes:
        spacing_mm = volume.stack.frame_spacing_rc_mm
        if max(spacing_mm) > _LONGEST_PIXEL * min(spacing_mm):
            rows, columns = volume.stack.frame_shape_rc
            lines.append(
                f"'{volume.key}': {volume.stack.shape_src[0]} slices of {rows} x {columns} pixels, each {spacing_mm[0]:.3g} mm high and "
                f"{spacing_mm[1]:.3g} mm wide. It was probably acquired along another axis: see 'axis' in project.yaml (k: the file's)."
            )
    return lines
