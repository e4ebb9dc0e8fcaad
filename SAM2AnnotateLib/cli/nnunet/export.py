"""``sam2annotate nnunet export``: cases into an nnU-Net data set, and out of it. Imports the library inside functions."""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ..values import add_series_options, add_untilt_option, parse_names, show_notes

_EXAMPLES = """examples:
  sam2annotate nnunet export nnUNet_raw/Dataset007_Liver --case p01 --image ct.nii.gz --segmentation seg.seg.nrrd \\
      --channel CT --label liver --label "tumor=tumor*;lesion*"
  sam2annotate nnunet export nnUNet_raw/Dataset007_Liver --case p02 --patient P2 --image dicom_folder --segmentation mask.nii.gz \\
      --name 1=liver --name 2=tumor
  sam2annotate nnunet export nnUNet_raw/Dataset007_Liver --cases cases.csv
  sam2annotate nnunet export nnUNet_raw/Dataset008_Both --images other/Dataset001_A/imagesTr --labels other/Dataset001_A/labelsTr \\
      --channel CT --label liver
  sam2annotate nnunet export nnUNet_raw/Dataset007_Liver --remove p01

The first export makes the data set, with a plan of its own: from --plan FILE.json, or from --channel and --label in the order of the
values 1, 2, ... (NAME, or NAME=SEGMENT;SEGMENT, where * stands for any characters). Later exports follow the plan that lies in the data
set. A table of cases has the columns case, patient, images, segmentation, part; several images are separated by ';', an empty patient
means the case's own, an empty part what --part says. Paths in it count from its folder. With --images and --labels each case is a patient
of its own, and the values have the names that a dataset.json beside the folder of labels gives them, unless --name says otherwise.
"""


@dataclass(frozen=True)
class _Row:
    case_id: str
    patient: str | None
    images: tuple[Path, ...]
    segmentation: Path
    part: str


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "export", help="write cases into a data set", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write cases into an nnU-Net v2 raw data set: all of the call, or none.",
    )  # fmt: skip
    add = parser.add_argument
    add("data_set", metavar="DATASET", help="the folder DatasetNNN_Name, in nnU-Net's folder of raw data")
    add("--case", metavar="ID", help="the case's id, which names its files")
    add("--patient", metavar="ID", help="its patient (default: as DICOM says, or the case's id)")
    add("--image", action="append", default=[], metavar="IMAGE", help="file or DICOM folder; once for each channel, in the plan's order")
    add_series_options(parser)
    add_untilt_option(parser)
    add("--segmentation", metavar="FILE", help=".seg.nrrd, a labelmap (.nii.gz, .nrrd, .mha), or DICOM SEG (.dcm)")
    add("--name", action="append", default=[], metavar="VALUE=NAME", help="name of a labelmap's value; may be repeated")
    add("--cases", metavar="FILE.csv", help="many cases, see below")
    add("--images", metavar="FOLDER", help="many cases: images, named as their label maps or as in nnU-Net (NAME_0000.nii.gz)")
    add("--labels", metavar="FOLDER", help="with --images: label maps (NAME.nii.gz)")
    add("--remove", action="append", default=[], metavar="ID", help="take a case out of the data set; may be repeated")
    add("--part", default="auto", choices=("auto", "train", "test"), help="where new cases go (default: as the plan's split says)")
    add("--replace", action="store_true", help="replace cases that are there already")
    rules = ("leave_out", "ignore", "keep", "refuse")
    add("--unreviewed", choices=rules, help="what becomes of objects with slices nobody reviewed (default: as the plan says)")
    add("--resample-channels", action="store_true", help="interpolate further channels onto the first one's grid")
    add("--annotator", metavar="NAME", help="who annotated, for the provenance")
    add("--plan", metavar="FILE.json", help="plan of a new data set")
    add("--channel", action="append", default=[], metavar="NAME", help="a channel of a new data set: CT, or the MR sequence")
    add("--label", action="append", default=[], metavar="NAME[=SEGMENTS]", help="a label of a new data set")
    add("--file-ending", default=".nii.gz", help="of a new data set: .nii.gz (default), .nrrd or .mha")
    add("--ignore-label", action="store_true", help="a new data set gets nnU-Net's ignore label, which unreviewed slices become")
    add("--test-share", type=float, default=0.0, metavar="X", help="of a new data set: share of patients for the test set")
    add("--folds", type=int, default=5, metavar="N", help="of a new data set: folds for cross-validation (default: 5)")
    add("--seed", type=int, default=12345, metavar="N", help="of a new data set: seed of its splits")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...nnunet import DataSet

    rows = _rows(options)
    names = {**_names_beside(options.labels), **parse_names(options.name)}
    if not rows and not options.remove:
        raise InputError(
            "Nothing to do: give --case, --image and --segmentation, or --cases FILE.csv, or --images and --labels, or --remove ID."
        )
    folder = Path(options.data_set)
    plan = _new_plan(options, folder)
    data_set = DataSet.open(folder) if plan is None else DataSet.create(folder.parent, plan)
    if options.remove:
        print("\n".join(data_set.remove(options.remove).lines()))
    if rows:
        report = data_set.export(
            _cases(rows, data_set.plan, names, options),
            replace_cases=options.replace,
            unreviewed=options.unreviewed,
            resample=options.resample_channels,
            on_case=lambda case_id: print(f"writing {case_id}", file=sys.stderr),
        )
        print("\n".join(report.lines()))
    return 0


def _cases(rows: list[_Row], plan, names: dict[int, str], options: argparse.Namespace) -> Iterator:
    """The cases one after another, so that one at a time is in memory."""
    from ...nnunet import ExportCase
    from ...nnunet.data_sets.transaction import settle_around
    from ...nnunet.sources import read_image, read_segments

    for row in rows:
        for path in (*row.images, row.segmentation):
            settle_around(path)  # it may lie in another data set
        if len(row.images) != len(plan.channels):
            raise InputError(f"Case '{row.case_id}' has {len(row.images)} images, the plan has the channels {', '.join(plan.channels)}.")
        images = tuple(read_image(path, series=options.series, number=options.volume, untilt=options.untilt) for path in row.images)
        notes = {image.source: list(image.volume.notes) for image in images if image.volume.notes}
        for source, told in notes.items():
            show_notes(source, told)
        found = read_segments(row.segmentation, names, images[0].volume.grid, images[0].slices)
        provenance = {} if options.annotator is None else {"annotator": options.annotator}
        if notes:
            provenance["image_notes"] = [note for told in notes.values() for note in told]
        yield ExportCase(row.case_id, images, found.segments, row.patient, found.source, found.patient_id, provenance, row.part, found.grid)


def _rows(options: argparse.Namespace) -> list[_Row]:
    if options.images is not None or options.labels is not None:
        return _rows_of_folders(options)
    if options.cases is not None:
        if options.case or options.image or options.segmentation:
            raise InputError("Give either --cases FILE.csv or one case with --case, --image and --segmentation, not both.")
        return _rows_of_table(Path(options.cases), options.part)
    if not (options.case or options.image or options.segmentation):
        return []
    if not (options.case and options.image and options.segmentation):
        raise InputError("A case needs --case ID, --image IMAGE (once for each channel) and --segmentation FILE.")
    images = tuple(Path(image) for image in options.image)
    return [_Row(options.case, options.patient, images, Path(options.segmentation), options.part)]


def _rows_of_folders(options: argparse.Namespace) -> list[_Row]:
    from ...nnunet.cases.layout import paired_files
    from ...nnunet.data_sets.transaction import settle_around

    if options.images is None or options.labels is None or options.cases or options.case or options.image or options.segmentation:
        raise InputError("Give --images FOLDER and --labels FOLDER together, and no other cases beside them.")
    images, labels = Path(options.images), Path(options.labels)
    for folder in (images, labels):
        settle_around(folder)
    found = paired_files(images, labels)
    if not found:
        raise InputError(f"There is no image with a label map of its name in '{images}' and '{labels}'.")
    return [_Row(files.case_id, None, files.images, files.labels, options.part) for files in found]


def _names_beside(labels: str | None) -> dict[int, str]:
    """What a data set's description says of the values of its labels; nothing without one."""
    from ...nnunet.runs.folders import DataSetDescription

    path = None if labels is None else Path(labels).parent / "dataset.json"
    if path is None or not path.is_file():
        return {}
    named = DataSetDescription(path).labels
    return {values[0]: name for name, values in named.items() if len(values) == 1 and values[0] != 0}


def _rows_of_table(path: Path, part: str) -> list[_Row]:
    needed = {"case", "images", "segmentation"}
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            if not needed <= set(table.fieldnames or ()):
                raise InputError(f"The table '{path}' needs the columns {', '.join(sorted(needed))}; it has {table.fieldnames}.")
            content = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InputError(f"The table of cases '{path}' cannot be read: {exc}.") from exc
    rows = []
    for line in content:
        images = tuple(path.parent / one.strip() for one in (line["images"] or "").split(";") if one.strip())
        segmentation = path.parent / (line["segmentation"] or "")
        rows.append(_Row(line["case"] or "", line.get("patient") or None, images, segmentation, line.get("part") or part))
    return rows


def _new_plan(options: argparse.Namespace, folder: Path):
    """The plan that the options state; None if they state none."""
    from ...nnunet import DataSetPlan, LabelRule, SplitRule
    from ...nnunet.cases.plan import read_plan

    if options.plan is None and not options.channel and not options.label:
        return None
    if options.plan is not None:
        if options.channel or options.label:
            raise InputError("Give either --plan FILE.json, or --channel and --label, not both.")
        plan = read_plan(options.plan)
        if folder.name != plan.folder_name:
            raise InputError(f"The plan '{options.plan}' is of '{plan.folder_name}', the folder is called '{folder.name}'.")
        return plan
    named = re.fullmatch(r"Dataset(\d{3})_(.+)", folder.name)
    if named is None:
        raise InputError(f"'{folder.name}' is no name for a data set: nnU-Net expects DatasetNNN_Name, such as Dataset007_Liver.")
    labels = []
    for value, text in enumerate(options.label, start=1):
        name, _, segments = text.partition("=")
        labels.append(LabelRule(value, name.strip(), tuple(part.strip() for part in segments.split(";") if part.strip())))
    return DataSetPlan(
        int(named[1]), named[2], tuple(options.channel), tuple(labels), options.file_ending,
        ignore=options.ignore_label, unreviewed="ignore" if options.ignore_label else "leave_out",
        split=SplitRule(options.folds, options.test_share, options.seed),
    )  # fmt: skip
