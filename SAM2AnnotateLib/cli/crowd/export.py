"""``sam2annotate crowd export``: label maps, an nnU-Net data set, proposals for Slicer. Imports the library inside functions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ...errors import InputError
from .consensus import said_in
from .options import add_command, add_project_options, open_records, read

_DOUBTFUL = ("keep", "ignore", "leave_out", "refuse")  # crowd.export.data_set.DOUBTFUL_RULES; a test compares them
_EXAMPLES = """\
what is exported is what 'crowd consensus' made last. Beside each label map a file tells who (pseudonyms), when, and how many a slice.

examples:
  sam2annotate crowd export livers -o labels
  sam2annotate crowd export livers --nnunet nnUNet_raw --number 501 --name CrowdLivers --doubtful-slices ignore
  sam2annotate crowd export livers --proposals              opens in Slicer: SAM2Annotate > Worklist
"""


def add_parser(commands) -> None:
    """Register the command."""
    parser = add_command(commands, "export", "label maps, an nnU-Net data set, or proposals for Slicer from the consensus", _EXAMPLES)
    parser.set_defaults(run=run)
    add_project_options(parser)
    add = parser.add_argument
    add("-o", "--output", type=Path, metavar="DIR", help="write a label map VOLUME.nii.gz for each volume into this folder")
    add("--overwrite", action="store_true", help="replace label maps and cases that are there")
    add("--nnunet", type=Path, metavar="RAW", help="write an nnU-Net data set into this folder of raw data")
    add("--number", type=int, default=501, metavar="N", help="of the data set (default: 501)")
    add("--name", metavar="NAME", help="of the data set (default: the project's key)")
    add("--channel", metavar="NAME", help="of the image, such as CT (default: what the images say)")
    add("--doubtful-slices", default="keep", choices=_DOUBTFUL, help="that nobody decided, in the data set (default: keep)")
    add("--doubtful", type=float, default=None, metavar="DOUBT", help="from which on a slice is in doubt (default: 0.35)")
    add("--proposals", action="store_true", help="write proposals beside the volumes, for the worklist of the Slicer module")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...crowd.export import KeptOutcome, export_data_set, write_label_maps, write_proposals
    from ...crowd.outcome.queue import DOUBTFUL

    if not (options.output or options.nnunet or options.proposals):
        raise InputError("Say what to export: -o DIR for label maps, --nnunet RAW for a data set, --proposals for Slicer.")
    least = DOUBTFUL if options.doubtful is None else options.doubtful
    if not 0 <= least <= 1:
        raise InputError(f"--doubtful is a doubt from 0 to 1, got {least:g}.")
    project = read(options.folder)
    kept = KeptOutcome(project)
    with open_records([project], options.database) as records:
        records.add_project(project)
        if said_in(records, project).digest != kept.digest:
            print("Answers or decisions came since this consensus was made; run 'crowd consensus' again to count them.", file=sys.stderr)
    if options.output:
        write_label_maps(kept, options.output, options.overwrite, print)
    if options.nnunet:
        data_set, report = export_data_set(
            kept, options.nnunet, options.number, options.name or project.key, channel=options.channel,
            doubtful=options.doubtful_slices, least_doubt=least, replace=options.overwrite,
        )  # fmt: skip
        print(f"{data_set.folder}:")
        print("\n".join(report.lines()))
    if options.proposals:
        write_proposals(kept, print)
    return 0
