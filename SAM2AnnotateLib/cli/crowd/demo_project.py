"""The small project of ``crowd demo``: the sample case, known answers, three people who have answered. Imports the library inside."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from .consensus import said_in

if TYPE_CHECKING:
    from ...crowd.project import CrowdProject
    from ...crowd.records import CrowdRecords

_SAMPLE = Path(__file__).parents[2] / "sample_data" / "ct_sarcoma_003"
_VOLUME, _OBJECT, _EXAMPLE_SLICE = "thigh", "tumor", 28
_COLLEAGUES = ("careful", "typical", "hasty")

_TEXT = """\
# The project of `sam2annotate crowd demo`. A project of your own is made by `sam2annotate crowd init`, which explains each entry.
key: demo
title: Tumors of the thigh (demo)
instructions: |
  The pictures are slices through a thigh, seen from below. Somewhere in the muscle is a tumor.

  Draw a box around it on each slice where you see it, as tight as you can. The first slices are for practice.
axis: axial
window: [-160, 240]
slices: {{first: 9, last: 41, every: 2}}
people_per_slice: 6
gold_share: 0.2
training_count: 2
objects:
  - key: tumor
    name: Tumor
    sentence: A roundish mass in the muscle, a little brighter than what is around it.
    examples: [{example}]
    label: 1
volumes:
  - key: thigh
    image: {image}
    gold: {gold}
    gold_slices: {{first: 16, last: 40, every: 6}}
"""


def make_demo_project(folder: Path) -> CrowdProject:
    """Write the project into a folder, with an example picture of what is looked for.

    Raises:
        OutputError: if it cannot be written.
    """
    from ...atomic_files import write_text_atomically
    from ...crowd.project import read_project

    def write(example: str) -> CrowdProject:
        text = _TEXT.format(example=example, image=_quoted(_SAMPLE / "image.nii.gz"), gold=_quoted(_SAMPLE / "label.nii.gz"))
        write_text_atomically(folder / "project.yaml", text)
        return read_project(folder)

    _draw_example(write(""), folder / "example.png")
    return write("example.png")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _draw_example(project: CrowdProject, file: Path) -> None:
    """A slice with the box that a person should draw."""
    import io

    from PIL import Image, ImageDraw

    from ...crowd.project import ProjectPictures

    volume = project.volume(_VOLUME)
    position = volume.stack.position_of(_EXAMPLE_SLICE)
    picture = Image.open(io.BytesIO(ProjectPictures(project).png(_VOLUME, position))).convert("RGB")
    [box] = truth_of(project).at(position)
    scale = 2
    picture = picture.resize((scale * picture.width, scale * picture.height))
    edges = [scale * box.col_start - 2, scale * box.row_start - 2, scale * box.col_stop + 1, scale * box.row_stop + 1]
    ImageDraw.Draw(picture).rectangle(edges, outline=(255, 213, 74), width=2)
    picture.save(file)


def truth_of(project: CrowdProject):
    """Where the tumor really is, as an `ObjectTruth`."""
    from ...crowd.simulated import ObjectTruth
    from ...volume_io import read_volume

    volume = project.volume(_VOLUME)
    masks = volume.stack.view(read_volume(_SAMPLE / "label.nii.gz").array_kji != 0)
    return ObjectTruth.of_masks(dict(enumerate(masks)))


def let_colleagues_answer(records: CrowdRecords, project: CrowdProject) -> None:
    """Three simulated people answer all slices; what they leave in doubt goes to the reviewer, as by `crowd consensus`."""
    from ...crowd.outcome import doubtful_slices, make_outcome
    from ...crowd.simulated import PEOPLE, SimulatedPerson
    from ...crowd.simulated.crowd import run_crowd

    people = {f"{name} colleague": SimulatedPerson(PEOPLE[name], number) for number, name in enumerate(_COLLEAGUES, start=1)}
    begin = datetime.now(timezone.utc) - timedelta(hours=1)
    run_crowd(records, project, {(_VOLUME, _OBJECT): truth_of(project)}, people, seed=1, begin=begin)
    outcome = make_outcome(project, said_in(records, project), None)
    records.set_doubtful(project.key, doubtful_slices(project, outcome))
