"""``sam2annotate dicom-seg``: any segmentation as a DICOM SEG of its series. Imports the library inside functions."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from .values import add_series_options, parse_names, show_notes

_EXAMPLES = """examples:
  sam2annotate dicom-seg predictions/p01.nii.gz --image dicom_folder --data-set nnUNet_raw/Dataset007_Liver -o p01.dcm
  sam2annotate dicom-seg review.seg.nrrd --image dicom_folder -o review.dcm --algorithm manual
  sam2annotate dicom-seg mask.nii.gz --image dicom_folder --name 1=liver --code liver=SCT:10200004:Liver -o liver.dcm

Patient, study and frame of reference are the series'; a frame refers to the image that it lies on. A segment is coded as its source says it
(.seg.nrrd, DICOM SEG), else by --code or the data set's plan, else as tissue.
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "dicom-seg", help="write a segmentation as DICOM SEG", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write a label map, a .seg.nrrd or a prediction as a DICOM segmentation of the DICOM series that it was made on.",
    )  # fmt: skip
    add = parser.add_argument
    add("segmentation", metavar="SEGMENTATION", help=".seg.nrrd, a labelmap (.nii.gz, .nrrd, .mha), or DICOM SEG")
    add("--image", required=True, metavar="FOLDER", help="the DICOM series")
    add_series_options(parser)
    add("-o", "--output", required=True, metavar="FILE.dcm", help="the DICOM segmentation to write")
    add("--name", action="append", default=[], metavar="VALUE=NAME", help="name of a labelmap's value; may be repeated")
    add("--code", action="append", default=[], metavar="NAME=CODE", help="what a segment is, SCHEME:VALUE:MEANING; may be repeated")
    add("--data-set", metavar="DATASET", help="names and codes of a labelmap's values as in this data set's plan")
    algorithms = ("manual", "semiautomatic", "automatic")
    add("--algorithm", default="semiautomatic", choices=algorithms, help="how it was made (default: semiautomatic)")
    add("--overwrite", action="store_true", help="replace a file that exists")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..nnunet import DataSet
    from ..nnunet.sources import read_segments
    from ..nnunet.sources.to_dicom import codes_of_labels, dicom_segment
    from ..volume_io import is_dicom_path, read_dicom
    from ..volume_io.write_dicom_seg import is_dicom_name, parsed_code, require_dicom_writable, write_dicom_seg

    output = Path(options.output)
    if not is_dicom_name(output):
        raise InputError(f"'{output.name}' is no name of a DICOM file: expected one that ends in .dcm.")
    require_dicom_writable(output, is_dicom_path(Path(options.image)))
    if output.exists() and not options.overwrite:
        raise InputError(f"'{output}' exists already. Choose another name, or add --overwrite to replace it.")
    names, codes = parse_names(options.name), {}
    if options.data_set:
        labels = DataSet.open(Path(options.data_set)).plan.labels
        names = {**{label.value: label.name for label in labels}, **names}
        codes = codes_of_labels(labels)
    for text in options.code:
        name, _, code = text.partition("=")
        codes[name.strip().casefold()] = parsed_code(code, name.strip())
    image = read_dicom(Path(options.image), options.series, options.volume)
    show_notes(options.image, image.volume.notes)
    found = read_segments(options.segmentation, names, image.volume.grid, image.slices)
    if found.patient_id and image.patient_id and found.patient_id != image.patient_id:
        raise InputError(f"'{options.segmentation}' is of another patient than '{options.image}'.")
    segments = [dicom_segment(one, image.volume.grid, codes, options.algorithm.upper()) for one in found.segments]
    write_dicom_seg(segments, image.slices, output)
    for segment in segments:
        slices = int(segment.mask_kji.any(axis=(1, 2)).sum())
        print(f"{segment.name}: {int(segment.mask_kji.sum())} voxels on {slices} slices ({segment.kind.scheme}:{segment.kind.value})")
    return 0
